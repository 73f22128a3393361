/** A not-found handler that declares `security`. Fastify gives it to requests that match no route, and to `reply.callNotFound()`. */
import Fastify, { type FastifyInstance } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import t, { type Test } from 'tap'
import { ask, guarded, makeApp, optional } from '../support/harness.js'
import { anySession, setUp, type VisitorSession } from './support.js'

const ada = { userId: 'ada', roles: ['clerk'], cart: {} }
const principal = (data: { userId?: string }): string | undefined => data.userId

/** Declares a not-found handler. Fastify's types know no other options than its hooks. */
function notFound (app: FastifyInstance, options: object, handler: (session: VisitorSession) => unknown): void {
  app.setNotFoundHandler(options as object, async (request, reply) => reply.code(200).send({ found: await handler(anySession(request)) }))
}

/** The statuses of a guest, of Ada and of a page of another origin. */
async function statuses (app: FastifyInstance, url: string): Promise<number[]> {
  const { cookie } = await app.session.issue(ada)
  const headers = [{}, { cookie }, { cookie, 'sec-fetch-site': 'cross-site' }]
  return await Promise.all(headers.map(async (headers) => (await app.inject({ method: 'POST', url, headers })).statusCode))
}

t.test('the security of a not-found handler is enforced', async (t) => {
  const { app, store } = await setUp(t, { principal, roles: (data) => data.roles })
  notFound(app, { schema: guarded }, (session) => session.data.userId)
  await app.register(async (app) => { notFound(app, { schema: { security: [{ session: ['admin'] }] } }, () => 'secret') }, { prefix: '/admin' })
  await app.register(async (app) => { notFound(app, { schema: optional }, (session) => session.exists) }, { prefix: '/open' })
  await app.register(async (app) => { notFound(app, {}, (session) => session.exists) }, { prefix: '/plain' })
  t.same(await statuses(app, '/nowhere'), [401, 200, 403])
  t.same(await statuses(app, '/admin/nowhere'), [401, 403, 403])
  t.same(await statuses(app, '/open/nowhere'), [200, 200, 403])
  t.same(await statuses(app, '/plain/nowhere'), [200, 200, 200])
  const { cookie } = await app.session.issue(ada)
  t.same((await ask(app, '/nowhere', cookie)).json(), { found: 'ada' })
  store.take()
  await ask(app, '/plain/nowhere', cookie)
  t.same(store.take(), [], 'without security a 404 costs no call of the store')
})

t.test('the security of a not-found handler is enforced where the handler was declared before the plugin', async (t) => {
  const { app } = makeApp(t)
  notFound(app, { schema: guarded }, () => 'secret')
  await app.register(sessionPlugin)
  t.equal((await app.inject('/nowhere')).statusCode, 401)
})

t.test('a not-found handler has its own config, also where several share one object', async (t) => {
  const { app, clock } = await setUp(t, { principal })
  const config = {}
  const schema = { security: [{ session: [] }] }
  notFound(app, { schema: optional, config }, (session) => session.exists)
  await app.register(async (app) => { notFound(app, { schema, config }, () => 'secret') }, { prefix: '/one' })
  await app.register(async (app) => { notFound(app, { schema, config: { session: { maxAge: 60 } } }, () => 'secret') }, { prefix: '/two' })
  const { cookie } = await app.session.issue(ada)
  clock.advance(61_000)
  const ask = async (url: string, headers = {}): Promise<number> => (await app.inject({ url, headers })).statusCode
  t.same([await ask('/x'), await ask('/one/x'), await ask('/two/x')], [200, 401, 401])
  t.same([await ask('/x', { cookie }), await ask('/one/x', { cookie }), await ask('/two/x', { cookie })], [200, 200, 401])
})

t.test('reply.callNotFound() leads to the security of the not-found handler', async (t) => {
  const { app } = await setUp(t, { principal, roles: (data) => data.roles, verifiers: { key: (request) => request.headers['x-key'] === 'k' } })
  const pass = { handler: (_request: unknown, reply: { callNotFound (): unknown }) => reply.callNotFound() } as const
  app.route({ method: 'POST', url: '/plain', ...pass } as never)
  app.route({ method: 'POST', url: '/open', schema: optional, ...pass } as never)
  app.route({ method: 'POST', url: '/key', schema: { security: [{ key: [] }] }, ...pass } as never)
  notFound(app, { schema: guarded }, (session) => session.data.userId)
  t.same(await statuses(app, '/plain'), [401, 200, 403])
  t.same(await statuses(app, '/open'), [401, 200, 403])
  const { cookie } = await app.session.issue(ada)
  t.equal((await app.inject({ method: 'POST', url: '/key', headers: { cookie, 'x-key': 'k' } })).statusCode, 401, 'the route does not load the session')
})

t.test('a session of the route does not stand for a scheme of its name that a verifier of the not-found handler decides', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, { cookie: { name: '__Host-outer' }, verifiers: { admin: () => false } })
  notFound(app, { schema: { security: [{ admin: [] }] } }, () => 'secret')
  let cookie = ''
  await app.register(async (child) => {
    await child.register(sessionPlugin, { scheme: 'admin' })
    child.get('/inner', { schema: { security: [{ admin: [] }] } }, (_request, reply) => { reply.callNotFound() })
    cookie = (await child.admin.issue({ name: 'x', level: 1 })).cookie
  })
  const response = await ask(app, '/inner', cookie)
  t.match([response.statusCode, response.json().message], [401, /"admin" is not satisfied/])
})

t.test('a session that a not-found handler changes is saved', async (t) => {
  const { app, client } = await setUp(t, { principal })
  app.get('/passed', (_request, reply) => { reply.callNotFound() })
  notFound(app, { schema: optional }, (session) => { session.data.a = (session.data.a ?? 0) + 1; return session.data.a })
  t.same((await client.get('/nowhere')).json(), { found: 1 })
  t.same((await client.get('/passed')).json(), { found: 2 })
  t.same((await client.get('/nowhere')).json(), { found: 3 })
})

const wrong: ReadonlyArray<[security: unknown, problem: RegExp]> = [
  [[{ sesion: [] }], /^the not-found handler: .*"sesion": did you mean "session"\?/],
  ['session', /^the not-found handler: `security` must be a list/]
]
for (const [security, message] of wrong) {
  t.test(`a not-found handler with the security ${JSON.stringify(security)} refuses every request`, async (t) => {
    const { app } = await setUp(t)
    notFound(app, { schema: { security } }, () => 'secret')
    const response = await app.inject('/nowhere')
    t.match({ status: response.statusCode, ...response.json() }, { status: 500, code: 'FST_SESSION_OPTIONS', message })
  })
}

/** Registers the plugin in an inner context, of which the not-found handler of the app knows nothing. */
async function inner (t: Test, declareBefore: boolean): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  const declare = (): void => { notFound(app, { schema: guarded }, () => 'secret') }
  if (declareBefore) declare()
  await app.register(async (app) => {
    await app.register(sessionPlugin)
    app.get('/inner', (_request, reply) => { reply.callNotFound() })
  })
  if (!declareBefore) declare()
  return app
}

for (const before of [true, false]) {
  t.test(`a not-found handler outside of the session's context, declared ${before ? 'before' : 'after'} it, refuses every request`, async (t) => {
    const app = await inner(t, before)
    for (const url of ['/nowhere', '/inner']) {
      const response = await app.inject(url)
      t.equal(response.statusCode, 500, url)
      t.match(response.json(), { code: 'FST_SESSION_OPTIONS', message: /^the not-found handler names the session "session", which is registered in another context/ })
    }
  })
}
