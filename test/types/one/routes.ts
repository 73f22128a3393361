// The ready routes of the one session of an app.
import type { FastifyInstance } from 'fastify'
import { expectTypeOf } from 'expect-type'
import { sessionRoutes } from 'fastify-openapi-session/routes'

const deep = { list: [{ n: 1 }] }

export async function one (app: FastifyInstance): Promise<void> {
  await app.register(sessionRoutes, {
    prefix: '/auth',
    check: async ({ username, remember }, request) => {
      expectTypeOf(username).toEqualTypeOf<string>()
      expectTypeOf(remember).toBeAny()
      return request.url === '' ? null : { userId: username, roles: [], deep }
    },
    lifetime: ({ remember }) => ({ persistent: remember === true }),
    me: (request) => ({ name: request.session.data.userId.toUpperCase() }),
    describe: ({ data }) => ({ theme: data.theme }),
    routes: { list: false, login: { url: '/sign-in', config: { session: { touch: false } } } }
  })
  // @ts-expect-error `deep` is missing
  await app.register(sessionRoutes, { check: ({ username }) => ({ userId: username, roles: [] }) })
  // @ts-expect-error there is no key of this name
  await app.register(sessionRoutes, { check: () => undefined, describe: ({ data }) => ({ device: data.device }) })
}
