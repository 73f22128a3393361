import t from 'tap'
import Fastify from 'fastify'
import sessionPlugin, { MemoryStore, type Session, type SessionEvent } from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import { ProbeStore } from '../support/probe-store.js'
import { ask, bootError, guarded, makeApp, optional, reported, setCookies } from '../support/harness.js'
import { Admin, setUp, Visitor } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

t.test('several sessions live in one app, each with its cookie, schema and store', async (t) => {
  const { app } = makeApp(t)
  const [shop, office] = [new ProbeStore(), new ProbeStore()]
  const events: SessionEvent[] = []
  const onEvent = (event: SessionEvent): void => { events.push(event) }
  await app.register(sessionPlugin, { schema: Visitor, store: shop, onEvent, principal: (data) => data.userId })
  await app.register(sessionPlugin, { scheme: 'admin', schema: Admin, store: office, onEvent, cookie: { name: '__Host-admin', sameSite: 'strict' }, roles: (data) => [`level ${data.level}`] })
  app.post('/both', { schema: { security: [{}, { session: [], admin: [] }] } }, async ({ session, admin }) => {
    session.start(ada)
    admin.start({ name: 'Boss', level: 2 })
  })
  app.get('/shop', { schema: guarded }, async (request) => {
    t.equal(request.admin.exists, false)
    t.throws(() => (request.admin as unknown as Session).data, { code: 'FST_SESSION_NOT_DECLARED', message: /does not declare the session "admin": add security: \[\{ admin: \[\] \}\]/ })
    return request.session.data.userId
  })
  app.get('/office', { schema: { security: [{ admin: ['level 2'] }] } }, async ({ admin }) => admin.data.name)
  app.get('/either', { schema: { security: [{ session: [] }, { admin: [] }] } }, async ({ session, admin }) => [session.exists, admin.exists])
  app.get('/and', { schema: { security: [{ session: [], admin: [] }] } }, async () => 'both')
  app.post('/leave', { schema: { security: [{ admin: [] }] } }, async ({ admin }) => { admin.destroy() })
  const client = new Client(app)

  t.equal((await client.get('/either')).statusCode, 401)
  const both = await client.post('/both')
  t.same(setCookies(both).map((line) => line.replace(/=[\w-]{22}\.[\w-]{43};/, '=...;')).sort(), [
    '__Host-admin=...; Path=/; HttpOnly; Secure; SameSite=Strict', '__Host-session=...; Path=/; HttpOnly; Secure; SameSite=Lax'
  ])
  t.same([shop.take(), office.take()], [['create'], ['create']])
  t.equal((await client.get('/shop')).body, 'ada')
  t.same([shop.take(), office.take()], [['read'], []], 'a route reads what it declares')
  t.equal((await client.get('/office')).body, 'Boss')
  t.same([shop.take(), office.take()], [[], ['read']])
  t.same((await client.get('/either')).json(), [true, true])
  t.equal((await client.get('/and')).body, 'both')
  await client.post('/leave')
  t.same((await client.get('/either')).json(), [true, false])
  t.equal((await client.get('/and')).statusCode, 401)
  t.equal((await client.get('/office')).headers['www-authenticate'], 'Cookie cookie-name="__Host-admin"')
  t.same([...new Set(events.map(({ scheme }) => scheme))].sort(), ['admin', 'session'])
})

t.test('what one session stores is stored, whether the other can be stored or not', async (t) => {
  const { app } = makeApp(t)
  const [shop, office] = [new ProbeStore(), new ProbeStore()]
  await app.register(sessionPlugin, { schema: Visitor, store: shop })
  await app.register(sessionPlugin, { scheme: 'admin', schema: Admin, store: office, cookie: { name: '__Host-admin' } })
  app.post('/', { schema: { security: [{}, { session: [], admin: [] }] } }, async ({ session, admin }) => {
    session.start(ada)
    admin.start({ name: 'Boss', level: 2 })
  })
  app.get('/', { schema: optional }, async ({ session }) => session.exists)
  office.before = () => { throw new Error('down') }
  const client = new Client(app)
  const response = await client.post('/')
  t.equal(response.statusCode, 503)
  t.same(setCookies(response).map((line) => line.split('=')[0]), ['__Host-session'])
  t.equal((await client.get('/')).json(), true)
})

t.test('a credential of one session does not open the other', async (t) => {
  const { app } = makeApp(t)
  const store = new MemoryStore()
  await app.register(sessionPlugin, { schema: Visitor, store: new ProbeStore(store) })
  await app.register(sessionPlugin, { scheme: 'admin', store: new ProbeStore(store), cookie: { name: '__Host-admin' } })
  app.get('/', { schema: { security: [{ admin: [] }] } }, async () => 'in')
  const { cookie } = await app.session.issue({ ...ada, name: 'Boss', level: 3 } as never)
  t.equal((await ask(app, '/', cookie.replace('session', 'admin'))).statusCode, 401)
})

t.test('two sessions on one store are refused', async (t) => {
  const { app, store } = await setUp(t)
  t.match(await bootError(() => app.register(sessionPlugin, { scheme: 'admin', store, cookie: { name: '__Host-admin' } })),
    { code: 'FST_SESSION_OPTIONS', message: /"session" and "admin" share one store/ })
})

t.test('the error of an undeclared session quotes a name that needs quotes', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, { scheme: 'partner-api' } as never)
  app.get('/', async (request) => (request as any)['partner-api'].data)
  t.match((await app.inject('/')).json().message, 'add security: [{ "partner-api": [] }]')
})

t.test('several apps in one process share nothing', async (t) => {
  const start = async (options: object): Promise<{ client: Client, store: ProbeStore, events: SessionEvent[], app: ReturnType<typeof Fastify> }> => {
    const app = Fastify()
    t.teardown(() => app.close())
    const store = new ProbeStore()
    const events: SessionEvent[] = []
    await app.register(sessionPlugin, { store, onEvent: (event: SessionEvent) => { events.push(event) }, ...options } as never)
    app.get('/', { schema: guarded }, async ({ session }) => [session.data, session.expiresAt - Date.now()])
    app.post('/', { schema: optional }, async ({ session, body }) => { session.start(body as never) })
    return { app, store, events, client: new Client(app) }
  }
  const one = await start({ schema: Visitor, idleTimeout: 100 })
  const two = await start({ schema: Admin, cookie: { name: 'sid' }, idleTimeout: 1000, principal: (data: { name: string }) => data.name })
  t.equal((await one.client.post('/', ada)).statusCode, 200)
  t.equal((await two.client.post('/', { name: 'Boss' })).statusCode, 200)
  t.same((await one.client.get('/')).json()[0], ada)
  t.same((await two.client.get('/')).json()[0], { name: 'Boss', level: 1 })
  t.ok((await one.client.get('/')).json()[1] <= 100_000)
  t.ok((await two.client.get('/')).json()[1] > 100_000)
  for (const { cookie, other } of [
    { cookie: `sid=${one.client.jar.get('__Host-session')}`, other: two },
    { cookie: `__Host-session=${two.client.jar.get('sid')}`, other: one }
  ]) t.equal((await ask(other.app, '/', cookie)).statusCode, 401)
  t.same([reported(one.events)[0], reported(two.events)[0]], ['created:start', 'created:start'])
  t.equal(one.store.take().filter((method) => method === 'create').length, 1)
  await one.app.close()
  t.same([one.store.closed, two.store.closed], [1, 0])
  t.equal((await two.client.get('/')).statusCode, 200)
})

t.test('two contexts side by side in one app share nothing', async (t) => {
  const { app } = makeApp(t)
  for (const prefix of ['/a', '/b']) {
    await app.register(async (child) => {
      await child.register(sessionPlugin, { schema: Visitor, store: new ProbeStore(), cookie: { name: 'sid', path: prefix } })
      child.post('/', { schema: optional }, async ({ session }) => { session.data.a = (session.data.a ?? 0) + 1; return session.data.a })
    }, { prefix })
  }
  const client = new Client(app)
  t.equal((await client.post('/a')).json(), 1)
  t.equal((await client.post('/a/')).json(), 2)
  t.equal((await client.post('/b')).json(), 1)
})

t.test('an inner session lives beside the outer one', async (t) => {
  const { app, client, store } = await setUp(t)
  const inside = new ProbeStore()
  await app.register(async (child) => {
    await child.register(sessionPlugin, { scheme: 'admin', schema: Admin, store: inside, cookie: { name: '__Host-admin' } })
    child.post('/inner', { schema: { security: [{}, { session: [], admin: [] }] } }, async ({ session, admin }) => {
      session.data.a = (session.data.a ?? 0) + 1
      admin.start({ name: 'x', level: 1 })
      return session.data.a
    })
  })
  app.get('/outer', { schema: optional }, async (request) => [request.session.data.a ?? null, 'admin' in request])
  t.equal((await client.post('/inner')).json(), 1)
  t.same([store.take(), inside.take()], [['create'], ['create']], 'each once, though both contexts guard the route')
  t.equal((await client.post('/inner')).json(), 2)
  t.same([store.take(), inside.take()], [['read', 'update'], ['read', 'create', 'delete']])
  t.same((await client.get('/outer')).json(), [2, false])
})

t.test('a route of the outer app cannot name an inner session', async (t) => {
  const { app } = await setUp(t)
  await app.register(async (child) => { await child.register(sessionPlugin, { scheme: 'admin', schema: Admin, cookie: { name: '__Host-admin' } }) })
  app.get('/', { schema: { security: [{ admin: [] }] } }, async () => 'in')
  t.match(await bootError(() => app.ready()), { code: 'FST_SESSION_OPTIONS', message: /route GET \/: no session and no verifier is registered for the security scheme "admin"/ })
})

t.test('verifiers of an outer context hold in an inner one', async (t) => {
  const { app, client } = await setUp(t, { verifiers: { bearer: ({ headers }) => headers.authorization === 'Bearer good' } })
  await app.register(async (child) => {
    await child.register(sessionPlugin, { scheme: 'admin', schema: Admin, cookie: { name: '__Host-admin' } })
    child.get('/', { schema: { security: [{ admin: [] }, { bearer: [] }] } }, async () => 'in')
  })
  t.equal((await client.get('/')).statusCode, 401)
  t.equal((await client.get('/', { authorization: 'Bearer good' })).body, 'in')
})

t.test('where an inner and an outer context have a verifier of one name, the inner one decides', async (t) => {
  const { app, client } = await setUp(t, { verifiers: { bearer: () => true } })
  await app.register(async (child) => {
    await child.register(sessionPlugin, { scheme: 'admin', schema: Admin, cookie: { name: '__Host-admin' }, verifiers: { bearer: () => false } })
    child.get('/inner', { schema: { security: [{ bearer: [] }] } }, async () => 'in')
  })
  app.get('/outer', { schema: { security: [{ bearer: [] }] } }, async () => 'out')
  t.equal((await client.get('/inner')).statusCode, 401)
  t.equal((await client.get('/outer')).body, 'out')
})

t.test('where an outer session is registered after an inner one of its name, the inner one guards the inner routes', async (t) => {
  const { app } = makeApp(t)
  const [inside, outside] = [new ProbeStore(), new ProbeStore()]
  await app.register(async (child) => {
    await child.register(sessionPlugin, { schema: Visitor, store: inside, cookie: { name: '__Host-inner' } })
    child.get('/inner', { schema: guarded }, async ({ session }) => session.data.a)
    app.decorate('issueInside', async () => await child.session.issue({ a: 1, roles: [], cart: {} }))
  })
  await app.register(sessionPlugin, { schema: Visitor, store: outside })
  const { issueInside } = app as unknown as { issueInside (): Promise<{ cookie: string }> }
  await app.ready()
  t.equal((await ask(app, '/inner', (await issueInside()).cookie)).body, '1')
  t.same([inside.take(), outside.take()], [['create', 'read'], []])
})
