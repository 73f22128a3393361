// The ready routes of several sessions: each option has the types of the scheme that it names.
import type { FastifyInstance } from 'fastify'
import { expectTypeOf } from 'expect-type'
import { sessionRoutes } from 'fastify-openapi-session/routes'

export async function several (app: FastifyInstance): Promise<void> {
  await app.register(sessionRoutes, {
    scheme: 'staff',
    check: async ({ username, password }) => {
      expectTypeOf(username).toEqualTypeOf<string>()
      return password === '' ? undefined : { name: username, rights: [] }
    },
    me: (request) => ({ name: request.staff.data.name.toUpperCase() }),
    describe: ({ data }) => ({ rights: data.rights.length })
  })
  await app.register(sessionRoutes, { scheme: 'session', check: ({ username }) => ({ userId: username, cart: [] }), me: (request) => request.session.data.cart })
  await app.register(sessionRoutes, { check: ({ username }) => ({ userId: username, cart: [] }) })
  // @ts-expect-error `rights` is missing
  await app.register(sessionRoutes, { scheme: 'staff', check: ({ username }) => ({ name: username }) })
  // @ts-expect-error there is no such scheme
  await app.register(sessionRoutes, { scheme: 'guests', check: () => undefined })
  // @ts-expect-error `check` is missing
  await app.register(sessionRoutes, { scheme: 'staff' })
  // @ts-expect-error there is no such route
  await app.register(sessionRoutes, { scheme: 'staff', check: () => undefined, routes: { signOut: false } })
}
