import t from 'tap'
import { optional, required } from 'fastify-openapi-session'
import { setUp } from './support.js'

t.test('required() and optional() return plain lists, as a route could write them', async (t) => {
  t.strictSame(required('session'), [{ session: [] }])
  t.strictSame(required('session', 'admin', 'clerk'), [{ session: ['admin', 'clerk'] }])
  t.strictSame(required('bearer'), [{ bearer: [] }])
  t.strictSame(optional('session'), [{ session: [] }, {}])
  t.strictSame(optional('session', 'admin'), [{ session: ['admin'] }, {}])
  t.strictSame([...required('session'), ...required('bearer')], [{ session: [] }, { bearer: [] }])
  t.not(required('session'), required('session'), 'every call returns a list of its own')
})

t.test('a route is guarded by the list that required() or optional() returns', async (t) => {
  const { app, client } = await setUp(t, { principal: (data) => data.userId, roles: (data) => data.roles })
  app.get('/signed-in', { schema: { security: required('session') } }, async ({ session }) => session.data.userId)
  app.get('/admin', { schema: { security: required('session', 'admin') } }, async ({ session }) => session.data.userId)
  app.get('/anyone', { schema: { security: optional('session') } }, async ({ session }) => ({ exists: session.exists }))
  const answers = async (): Promise<number[]> =>
    await Promise.all(['/signed-in', '/admin', '/anyone'].map(async (url) => (await client.get(url)).statusCode))
  t.same(await answers(), [401, 401, 200])
  client.jar.take((await app.session.issue({ userId: 'ada', roles: [], cart: {} })).setCookie)
  t.same(await answers(), [200, 403, 200])
  client.jar.take((await app.session.issue({ userId: 'ada', roles: ['admin'], cart: {} })).setCookie)
  t.same(await answers(), [200, 200, 200])
})
