// Nothing is declared to the types: data and users are anything, and the session follows `security` nevertheless.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { expectTypeOf } from 'expect-type'
import sessionPlugin, { type BlankSession, type LiveSession, optional, required, type SecurityScheme } from 'fastify-openapi-session'

expectTypeOf<SecurityScheme>().toEqualTypeOf<string>()
expectTypeOf(required('session', 'admin')).toEqualTypeOf<readonly [{ readonly session: readonly ['admin'] }]>()
expectTypeOf(required('bearer')).toEqualTypeOf<readonly [{ readonly bearer: readonly [] }]>()
expectTypeOf(optional('session')).toEqualTypeOf<readonly [{ readonly session: readonly [] }, {}]>()

export async function routes (app: FastifyInstance): Promise<void> {
  await app.register(sessionPlugin, { user: async (data) => data['userId'], roles: (data, user) => user.roles })
  app.get('/', { schema: { security: [{ session: ['anything'] }] } }, async ({ session }) => {
    expectTypeOf(session).toEqualTypeOf<LiveSession>()
    expectTypeOf(session.user).toBeAny()
    expectTypeOf(session.get('anything')).toBeUnknown()
    return session.data['anything']
  })
  app.get('/', { schema: { security: [{ session: [] }, { whatever: [] }] } }, async ({ session }) => {
    expectTypeOf(session).toEqualTypeOf<LiveSession | BlankSession>()
    session.data['cart'] = []
    return session.exists ? session.user.name : ''
  })
  // @ts-expect-error the route declares no session
  app.get('/', { schema: { security: [] } }, async ({ session }) => session.data)
  // @ts-expect-error the route declares no session
  app.get('/', { schema: {} }, async ({ session }) => session.data)
  // @ts-expect-error the route declares no session
  app.get('/', async ({ session }) => session.data)
  app.get('/', async (request) => helper(request))
}

function helper (request: FastifyRequest): unknown {
  return request.session.get('anything')
}
