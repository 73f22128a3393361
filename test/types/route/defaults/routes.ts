// A default `security`, declared to the types once, holds for every route without one of its own.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Static, Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import sessionPlugin, { type AbsentSession, type AnySession, type LiveSession, required } from 'fastify-openapi-session'

const Visitor = Type.Object({ userId: Type.String() })
type Visitor = Static<typeof Visitor>

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
  interface SessionUsers { session: string }
  interface SessionDefaults { security: [{ session: [] }] }
}

const signedIn = required('session')

export function routes (app: FastifyInstance): void {
  app.get('/', { schema: { body: {} } }, async ({ session }) => {
    expectTypeOf(session).toEqualTypeOf<LiveSession<Visitor, string>>()
    return session.data.userId + session.user
  })
  app.get('/', { schema: {} }, async ({ session }) => session.data.userId)
  app.get('/', async ({ session }) => session.data.userId)
  app.get<{ Params: { id: string } }>('/', async ({ params, session }) => session.data.userId + params.id)
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<AnySession>() })
  app.get('/', { schema: { security: signedIn } }, async ({ session }) => session.data.userId)
  // @ts-expect-error the route overrides the default
  app.get('/', { schema: { security: [] } }, async ({ session }) => session.data)
  // @ts-expect-error the route overrides the default
  app.get('/', { schema: { security: [{ bearer: [] }] } }, async ({ session }) => session.data)
  // Without a schema the types do not tell a route with options from a request of any route.
  app.get('/', { logLevel: 'warn' }, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<AnySession>() })
}

export function helper (request: FastifyRequest): void {
  expectTypeOf(request.session).toEqualTypeOf<LiveSession<Visitor, string | undefined> | AbsentSession<Visitor>>()
}

export async function options (app: FastifyInstance): Promise<void> {
  await app.register(sessionPlugin, { schema: Visitor, security: [{ session: [] }] })
  await app.register(sessionPlugin, { schema: Visitor, security: signedIn })
  await app.register(sessionPlugin, { schema: Visitor })
  // @ts-expect-error another default than is declared
  await app.register(sessionPlugin, { schema: Visitor, security: [{ session: [] }, {}] })
  // @ts-expect-error another default than is declared
  await app.register(sessionPlugin, { schema: Visitor, security: [{ session: ['admin'] }] })
}
