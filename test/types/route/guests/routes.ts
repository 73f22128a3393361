// Sessions that guests have data of: without a session, `data` are the defaults of the schema.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Static, Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import { type AnySession, type BlankSession, type LiveSession, optional, type OptionalSession, required, type SecuredRequest } from 'fastify-openapi-session'

const Visitor = Type.Object({ userId: Type.Optional(Type.String()), cart: Type.Array(Type.String(), { default: [] }) })
const Hints = Type.Object({ theme: Type.Optional(Type.String()) })
const Staff = Type.Object({ name: Type.String() })
type Visitor = Static<typeof Visitor>
type Hints = Static<typeof Hints>

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor, hints: typeof Hints, staff: typeof Staff }
  interface SessionGuests { session: true }
}

const anyone = optional('session')

export function routes (app: FastifyInstance): void {
  app.get('/', { schema: { security: anyone } }, async ({ session }) => {
    expectTypeOf(session).toEqualTypeOf<LiveSession<Visitor> | BlankSession<Visitor>>()
    expectTypeOf(session).toEqualTypeOf<OptionalSession<'session'>>()
    session.data.cart.push('tea')
    expectTypeOf(await session.update((data) => { data.cart.push('tea') })).toEqualTypeOf<Visitor>()
    // @ts-expect-error there may be no session
    String(session.id)
    return session.exists ? session.id : session.data.cart
  })
  // A schema without required keys is satisfied by nothing at all.
  app.get('/', { schema: { security: [{ hints: [] }, {}] } }, async ({ hints }) => {
    expectTypeOf(hints).toEqualTypeOf<LiveSession<Hints> | BlankSession<Hints>>()
    hints.data.theme = 'dark'
  })
  // @ts-expect-error the name of the staff has no default
  app.get('/', { schema: { security: [{ staff: [] }, {}] } }, async ({ staff }) => staff.data)
  app.get('/', { schema: { security: required('session') } }, async (request) => cartOf(request))
  app.get('/', { schema: { security: anyone } }, async (request) => cartOf(request))
  // @ts-expect-error the route declares no session
  app.get('/', { schema: { security: [] } }, async (request) => cartOf(request))
  // @ts-expect-error the route declares no session
  app.get('/', { schema: { security: [] } }, async ({ session }) => session.data)
}

/** Helpers of routes that load the session name the list of these routes. */
function cartOf (request: SecuredRequest<typeof anyone>): string[] {
  return request.session.data.cart
}

/** A request of any route may have no session declared, so its data are there only if it exists. */
export function helper (request: FastifyRequest): string[] {
  expectTypeOf(request.session).toEqualTypeOf<AnySession<'session'>>()
  // @ts-expect-error the route may declare no session
  String(request.session.data)
  return request.session.exists ? request.session.data.cart : request.session.get('cart') ?? []
}
