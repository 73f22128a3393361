import t from 'tap'
import sessionPlugin from 'fastify-openapi-session'
import { bootError, makeApp } from '../support/harness.js'

const misplaced: ReadonlyArray<readonly [what: string, route: object, message: RegExp]> = [
  ['security beside the schema', { security: [{ session: [] }] }, /^route GET \/x: `security` stands outside of the schema, where it has no effect: write schema: \{ security: \[\.\.\.\] \}/],
  ['maxAge on a route without a session', { config: { session: { maxAge: 60 } } }, /^route GET \/x: config\.session\.maxAge needs a session: add security/]
]

for (const [what, route, message] of misplaced) {
  t.test(`${what} stops the boot: the route would be open`, async (t) => {
    const error = await bootError(async () => {
      const { app } = makeApp(t)
      await app.register(sessionPlugin)
      app.get('/x', route, async () => 'open')
      await app.ready()
    })
    t.match(error, { code: 'FST_SESSION_OPTIONS', message })
  })
}
