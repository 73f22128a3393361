/** What fails, and what comes too late, lets no request in and is not lost silently. */
import t from 'tap'
import sessionPlugin, { MemoryStore } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { Client, createClock } from 'fastify-openapi-session/testing'
import { createGate } from '../support/gate.js'
import { ProbeStore } from '../support/probe-store.js'
import { ask, guarded, optional, reported, setCookies } from '../support/harness.js'
import { Admin, type Options, setUp } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }
const both = { security: [{ session: [], bearer: [] }] }

t.test('a function of the options that rejects with nothing lets no request in', async (t) => {
  for (const nothing of [undefined, null, '', 0, false]) {
    const reject = async (): Promise<never> => await Promise.reject(nothing)
    const thrown = (): never => { throw nothing as unknown as Error }
    const cases: Record<string, [Options, object]> = {
      verifier: [{ verifiers: { bearer: reject } }, both],
      'verifier that throws': [{ verifiers: { bearer: thrown } }, both],
      verify: [{ verify: reject }, guarded],
      'verify where a session is optional': [{ verify: reject }, optional],
      roles: [{ roles: thrown }, { security: [{ session: ['admin'] }] }]
    }
    for (const [name, [options, schema]] of Object.entries(cases)) {
      const { app, client } = await setUp(t, options)
      let entered = 0
      app.get('/', { schema }, async () => { entered++ })
      client.jar.take((await app.session.issue(ada)).setCookie)
      const { statusCode, body } = await client.get('/')
      t.equal(statusCode, 500, `${name}: ${JSON.stringify(nothing)}`)
      t.match(body, /failed without an error/)
      t.equal(entered, 0)
    }
  }
})

t.test('an option principal that throws nothing fails the save', async (t) => {
  let failing = false
  const { app, client, store } = await setUp(t, { principal: ({ userId }) => { if (failing) throw undefined as unknown as Error; return userId } })
  app.post('/', { schema: guarded }, async ({ session }) => { session.data.a = 1; failing = true; return 'saved' })
  client.jar.take((await app.session.issue(ada)).setCookie)
  store.take()
  const response = await client.post('/')
  t.equal(response.statusCode, 500)
  t.notMatch(response.body, /saved/)
  t.same(store.take(), ['read'])
})

t.test('every 401 has a challenge and every 503 its Retry-After, also under an error handler of the app', async (t) => {
  const { app, client, store } = await setUp(t, { storeTimeout: 0.05, verifiers: { bearer: () => false, 'api.key': () => { throw Object.assign(new Error('mine'), { statusCode: 401, headers: { 'www-authenticate': 'Bearer realm="mine"' } }) } } })
  app.get('/session', { schema: guarded }, async () => 'in')
  app.get('/foreign', { schema: { security: [{ bearer: [] }] } }, async () => 'in')
  app.get('/own', { schema: { security: [{ 'api.key': [] }] } }, async () => 'in')
  app.post('/save', { schema: optional }, async ({ session }) => { session.data.a = 1 })
  t.match(await client.get('/session'), { statusCode: 401, headers: { 'www-authenticate': 'Cookie cookie-name="__Host-session"' } })
  t.match(await client.get('/foreign'), { statusCode: 401, headers: { 'www-authenticate': 'bearer' } })
  t.match(await client.get('/own'), { statusCode: 401, headers: { 'www-authenticate': 'Bearer realm="mine"' } })

  const { app: handled, client: visitor, store: broken } = await setUp(t, { storeTimeout: 0.05, verifiers: { bearer: () => false } })
  handled.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => await reply.code(error.statusCode ?? 500).send('sorry'))
  handled.get('/session', { schema: guarded }, async () => 'in')
  handled.get('/foreign', { schema: { security: [{ bearer: [] }] } }, async () => 'in')
  handled.post('/save', { schema: optional }, async ({ session }) => { session.data.a = 1 })
  t.match(await visitor.get('/session'), { statusCode: 401, body: 'sorry', headers: { 'www-authenticate': 'Cookie cookie-name="__Host-session"' } })
  t.match(await visitor.get('/foreign'), { statusCode: 401, body: 'sorry', headers: { 'www-authenticate': 'bearer' } })

  const { app: page, client: reader } = await setUp(t)
  page.setErrorHandler(async (error, request, reply) => await reply.code(200).send('the login page'))
  page.get('/session', { schema: guarded }, async () => 'in')
  const { headers, body } = await reader.get('/session')
  t.equal(body, 'the login page')
  t.notOk('www-authenticate' in headers, 'another response has no challenge')

  for (const [each, its] of [[client, store], [visitor, broken]] as const) {
    its.create = async () => false
    t.match(await each.post('/save'), { statusCode: 503, headers: { 'retry-after': '5' } }, 'an id that is taken')
    its.create = async () => { throw new Error('down') }
    t.match(await each.post('/save'), { statusCode: 503, headers: { 'retry-after': '5' } }, 'a store that is down')
  }
})

t.test('two updates of a new session in one request, and what was changed beside them, are all kept', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    const { data } = session
    await session.update((stored) => { stored.a = 1 })
    t.equal(session.data, data, 'the draft stays the object it is')
    data.b = 2
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  t.equal((await client.post('/')).statusCode, 200)
  t.match((await client.get('/')).json(), { a: 1, b: 2 })
})

t.test('parallel updates of one request lose nothing, in a sealed cookie either', async (t) => {
  for (const options of [{}, { store: sealedCookie({ keys: [makeKey()] }) }] as Options[]) {
    const { app, client } = await setUp(t, options)
    app.post('/', { schema: guarded }, async ({ session }) => {
      await Promise.all(Array.from({ length: 5 }, async () => await session.update(async (data) => { data.a = (data.a ?? 0) + 1 })))
    })
    app.get('/', { schema: guarded }, async ({ session }) => session.data)
    client.jar.take((await app.session.issue(ada)).setCookie)
    t.equal((await client.post('/')).statusCode, 200)
    t.match((await client.get('/')).json(), { a: 5 })
  }
})

t.test('a logout that a renewal overtook is final, whether sessions have a principal or not', async (t) => {
  for (const options of [{}, { principal: (data: { userId?: string }) => data.userId }] as Options[]) {
    const { app, client } = await setUp(t, options)
    const gate = createGate()
    app.post('/logout', { schema: guarded }, async ({ session }) => {
      await gate.pass()
      session.destroy()
    })
    app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
    app.get('/', { schema: guarded }, async () => 'in')
    const { cookie, setCookie } = await app.session.issue(ada)
    client.jar.take(setCookie)
    const logout = ask(app, 'POST /logout', cookie)
    await gate.reached
    for (let times = 0; times < 2; times++) t.equal((await client.post('/renew')).statusCode, 200)
    t.equal((await client.get('/')).statusCode, 200)
    gate.open()
    t.equal((await logout).statusCode, 200)
    t.equal((await client.get('/')).statusCode, 401)
  }
})

t.test('a renewal that a logout overtook revives nothing and sends no cookie', async (t) => {
  for (const options of [{}, { principal: (data: { userId?: string }) => data.userId }] as Options[]) {
    const { app, client, store, events } = await setUp(t, options)
    app.post('/logout', { schema: guarded }, async ({ session }) => { session.destroy() })
    app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
    app.get('/', { schema: guarded }, async () => 'in')
    const { id, cookie, setCookie } = await app.session.issue(ada)
    client.jar.take(setCookie)
    const gate = createGate()
    store.before = async ({ method }) => { if (method === 'update') await gate.pass() }
    const renewal = ask(app, 'POST /renew', cookie)
    await gate.reached
    t.equal((await client.post('/logout')).statusCode, 200)
    gate.open()
    t.same(setCookies(await renewal), [])
    t.equal(await app.session.find(id), undefined)
    t.ok(reported(events).includes('discarded:ended'))
  }
})

t.test('a save that a renewal overtook reaches the renewed session, whether sessions have a principal or not', async (t) => {
  for (const options of [{}, { principal: (data: { userId?: string }) => data.userId }] as Options[]) {
    const { app, client } = await setUp(t, options)
    app.post('/save', { schema: guarded }, async ({ session }) => {
      session.data.b = 7
      t.equal((await client.post('/renew')).statusCode, 200)
    })
    app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
    app.get('/', { schema: guarded }, async ({ session }) => session.data)
    const { cookie, setCookie } = await app.session.issue(ada)
    client.jar.take(setCookie)
    t.equal((await ask(app, 'POST /save', cookie)).statusCode, 200)
    t.match((await client.get('/')).json(), { b: 7 })
  }
})

t.test('a store that does not close in time does not keep the app from closing', async (t) => {
  const { app, store } = await setUp(t, { storeTimeout: 0.05 })
  store.close = async () => await new Promise(() => {})
  await t.rejects(app.close(), { code: 'FST_SESSION_STORE' })
})

t.test('where one session of a request cannot be read, the cookie of another that was adopted is sent', async (t) => {
  const { app, store } = await setUp(t)
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => { release = resolve })
  await app.register(sessionPlugin, {
    scheme: 'admin',
    schema: Admin,
    cookie: { name: 'admin', secure: false },
    adopt: {
      cookieName: 'old',
      identify: (value) => value,
      find: async () => { await slow; return { name: 'ada' } }
    }
  })
  app.get('/', { schema: { security: [{ session: [], admin: [] }] } }, async () => 'in')
  const { cookie } = await app.session.issue(ada)
  store.before = () => { release(); throw new Error('down') }
  const answer = await ask(app, '/', `${cookie}; old=1`)
  t.equal(answer.statusCode, 503)
  t.match(setCookies(answer), [/^admin=[\w-]{22}\.[\w-]{43};/, /^old=;/])
})

t.test('a limit of sessions that cannot be kept fails no login, and is kept by the next one', async (t) => {
  const principal = (data: { userId?: string }): string | undefined => data.userId
  for (const method of ['list', 'update'] as const) {
    for (const url of ['/login', '/renew']) {
      const { app, client, store, events } = await setUp(t, { principal, maxPerPrincipal: 1, storeTimeout: 0.05 })
      app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada) })
      app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
      app.get('/', { schema: guarded }, async () => 'in')
      await client.post('/login')
      await new Client(app).post('/login')
      client.jar.clear()
      await client.post('/login')
      events.length = 0
      store.before = (call) => { if (call.method === method) throw new Error('down for a moment') }
      const { statusCode } = await client.post(url)
      store.before = undefined
      t.equal((await client.get('/')).statusCode, 200, `${url}, ${method} fails: the cookie that the browser has opens (${statusCode})`)
      t.ok((await app.session.list('ada')).sessions.length <= 2, 'and at most the one that could not be ended is left')
    }
  }

  const { app, client, store, events, log } = await setUp(t, { principal, maxPerPrincipal: 1 })
  app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada) })
  app.get('/', { schema: guarded }, async () => 'in')
  await app.session.issue(ada)
  events.length = 0
  store.before = ({ method }) => { if (method === 'update') throw new Error('down for a moment') }
  t.equal((await client.post('/login')).statusCode, 200)
  store.before = undefined
  t.same(reported(events), ['created:start', 'failed:limit'])
  t.ok(log.some(({ level, session }) => level === 40 && session?.type === 'failed'))
  t.equal((await app.session.list('ada')).sessions.length, 2)
  t.equal((await client.post('/login')).statusCode, 200)
  t.equal((await app.session.list('ada')).sessions.length, 1, 'the next login keeps it')
})

t.test('a route with touch: false keeps the idle deadline where it is, also where the record or cookie is written in another form', async (t) => {
  const [old, young] = [makeKey(), makeKey()]
  const reading = { schema: guarded, config: { session: { touch: false } } }
  const clock = createClock()
  const options = { now: clock.now, idleTimeout: 100 }
  const before = await setUp(t, { ...options, store: sealedCookie({ keys: [old] }) })
  const after = await setUp(t, { ...options, store: sealedCookie({ keys: [young, old] }) })
  const store = new MemoryStore({ now: clock.now })
  const without = await setUp(t, { ...options, store: new ProbeStore(store) })
  const known = await setUp(t, { ...options, store: new ProbeStore(store), principal: ({ userId }) => userId })
  for (const [{ app: issuer }, { app, client }] of [[before, after], [without, known]] as const) {
    app.get('/', reading, async () => 'in')
    client.jar.take((await issuer.session.issue(ada)).setCookie)
    clock.advance(60_000)
    t.equal((await client.get('/')).statusCode, 200)
    clock.advance(60_000)
    t.equal((await client.get('/')).statusCode, 401)
  }
})

t.test('step-up goes by the clock of the process that asks, whichever process had the login before', async (t) => {
  const clock = createClock()
  const store = new MemoryStore({ now: clock.now })
  const options = { principal: ({ userId }: { userId?: string }) => userId, maxPerPrincipal: 3, store: new ProbeStore(store) }
  const ahead = await setUp(t, { ...options, now: () => clock.now() + 300_000 })
  const { app, client } = await setUp(t, { ...options, now: clock.now })
  app.get('/', { schema: guarded, config: { session: { maxAge: 60 } } }, async () => 'in')
  await ahead.app.session.issue(ada)
  client.jar.take((await app.session.issue(ada)).setCookie)
  t.equal((await client.get('/')).statusCode, 200)
  clock.advance(61_000)
  t.equal((await client.get('/')).statusCode, 401)
})

t.test('a store may return without a promise', async (t) => {
  const { app, client, store } = await setUp(t)
  const { cookie } = await app.session.issue(ada)
  const id = store.calls[0]?.of as string
  const record = store.inner.read(id)
  store.read = ((asked: string) => asked === id ? record : undefined) as never
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  t.match((await ask(app, '/', cookie)).json(), { userId: 'ada' })
  t.equal((await client.get('/')).statusCode, 401)
})

t.test('a store that throws synchronously is a store that fails', async (t) => {
  const { app, client, store } = await setUp(t)
  app.get('/', { schema: guarded }, async () => 'in')
  client.jar.take((await app.session.issue(ada)).setCookie)
  store.read = () => { throw new Error('not even a promise') }
  t.match((await client.get('/')).json(), { statusCode: 503, code: 'FST_SESSION_STORE' })
})

t.test('roles that are not a list let no request in', async (t) => {
  for (const [roles, what] of [[null, 'null'], ['admin', 'string'], [undefined, 'undefined']] as const) {
    const { app, client } = await setUp(t, { roles: () => roles as never })
    app.get('/', { schema: { security: [{ session: ['admin'] }] } }, async () => 'in')
    client.jar.take((await app.session.issue(ada)).setCookie)
    t.match((await client.get('/')).json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA', message: new RegExp(`returned ${what} instead of a list`) })
  }
})

t.test('a login whose store throws synchronously leaves no second session', async (t) => {
  const { app, client, store } = await setUp(t, { principal: ({ userId }) => userId })
  app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada) })
  client.jar.take((await app.session.issue(ada)).setCookie)
  let failed = false
  store.delete = (id) => {
    if (failed) return store.inner.delete(id)
    failed = true
    throw new Error('down')
  }
  t.equal((await client.post('/login')).statusCode, 503)
  t.equal((await app.session.list('ada')).sessions.length, 1)
})

t.test('a save that finds its session changed and then gone is discarded, and reported', async (t) => {
  const { app, client, store, events } = await setUp(t)
  app.post('/', { schema: guarded }, async ({ session }) => { session.data.a = 1 })
  client.jar.take((await app.session.issue(ada)).setCookie)
  events.length = 0
  store.update = async (id) => { store.inner.delete(id); return 'conflict' as const }
  t.equal((await client.post('/')).statusCode, 200)
  t.same(reported(events), ['discarded:ended'])
})
