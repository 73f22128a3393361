/** What fails, and what comes too late, must not let anybody in nor get lost without a word. */
import { mock } from 'node:test'
import t from 'tap'
import sessionPlugin, { MemoryStore } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { Client, createClock } from 'fastify-openapi-session/testing'
import { ProbeStore } from '../support/probe-store.js'
import { until } from '../support/servers-process.js'
import { Admin, cookies, guarded, optional, type Options, setUp, told } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }
const both = { security: [{ session: [], bearer: [] }] }

t.test('a function of the options that rejects with nothing lets nobody in', async (t) => {
  for (const nothing of [undefined, null, '', 0, false]) {
    const reject = async (): Promise<never> => await Promise.reject(nothing)
    const thrown = (): never => { throw nothing as unknown as Error }
    const cases: Record<string, [Options, object]> = {
      verifier: [{ verifiers: { bearer: reject } }, both],
      'verifier that throws': [{ verifiers: { bearer: thrown } }, both],
      verify: [{ verify: reject }, guarded],
      'verify where nobody has to be signed in': [{ verify: reject }, optional],
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

t.test('nor does it pass for saved', async (t) => {
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

t.test('C31 every 401 has a challenge and every 503 its Retry-After, also under an error handler of the app', async (t) => {
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
  t.notOk('www-authenticate' in headers, 'another answer has no challenge')

  for (const [each, its] of [[client, store], [visitor, broken]] as const) {
    its.create = async () => false
    t.match(await each.post('/save'), { statusCode: 503, headers: { 'retry-after': '5' } }, 'an id that is taken')
    its.create = async () => { throw new Error('down') }
    t.match(await each.post('/save'), { statusCode: 503, headers: { 'retry-after': '5' } }, 'a store that is down')
  }
})

t.test('what is done after the response is told, unless it is committed', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => { mock.timers.reset() })
  const { app, client, events } = await setUp(t)
  const late: Record<string, (session: any) => unknown> = {
    destroy: (session) => { session.destroy() },
    start: (session) => { session.start(ada) },
    renew: (session) => { session.renew() },
    data: (session) => { session.data.a = 5 },
    set: (session) => { session.set('a', 6) },
    unset: (session) => { session.unset('userId') },
    'committed at once': async (session) => { session.destroy(); await session.commit() },
    'committed in time': async (session) => { session.data.a = 7; await new Promise(setImmediate); await session.commit() }
  }
  let done: Promise<unknown> = Promise.resolve()
  let goOn = (): void => {}
  app.post('/:what', { schema: guarded }, async ({ session, params }, reply) => {
    const gone = new Promise<void>((resolve) => { goOn = resolve })
    done = gone.then(async () => await late[(params as { what: string }).what]?.(session))
    await reply.send('bye')
  })
  for (const what of Object.keys(late)) {
    client.jar.take((await app.session.issue(ada)).setCookie)
    events.length = 0
    t.equal((await client.post(`/${encodeURIComponent(what)}`)).body, 'bye')
    goOn()
    await done
    mock.timers.tick(5000)
    const lost = !what.startsWith('committed')
    t.same(told(events).filter((event) => event !== 'destroyed:destroy'), lost ? ['discarded:after-commit'] : [], what)
    if (lost) t.match(events[0], { detail: /await session\.commit\(\)/ })
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
    let arrived = (): void => {}
    let goOn = (): void => {}
    app.post('/logout', { schema: guarded }, async ({ session }) => {
      const held = new Promise<void>((resolve) => { goOn = resolve })
      arrived()
      await held
      session.destroy()
    })
    app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
    app.get('/', { schema: guarded }, async () => 'in')
    const { cookie, setCookie } = await app.session.issue(ada)
    client.jar.take(setCookie)
    const entered = new Promise<void>((resolve) => { arrived = resolve })
    const logout = app.inject({ method: 'POST', url: '/logout', headers: { cookie } })
    await entered
    for (let times = 0; times < 2; times++) t.equal((await client.post('/renew')).statusCode, 200)
    t.equal((await client.get('/')).statusCode, 200)
    goOn()
    t.equal((await logout).statusCode, 200)
    t.equal((await client.get('/')).statusCode, 401)
  }
})

t.test('of two renewals at the same time the one that comes through is followed by a logout', async (t) => {
  for (const options of [{}, { principal: (data: { userId?: string }) => data.userId }] as Options[]) {
    const { app, client, store } = await setUp(t, options)
    const held: Record<string, () => void> = {}
    const hold = async (name: string): Promise<void> => await new Promise((resolve) => { held[name] = resolve })
    app.post('/logout', { schema: guarded }, async ({ session }) => { await hold('logout'); session.destroy() })
    app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
    app.get('/', { schema: guarded }, async () => 'in')
    const { cookie, setCookie } = await app.session.issue(ada)
    client.jar.take(setCookie)
    const logout = app.inject({ method: 'POST', url: '/logout', headers: { cookie } })
    await until('the logout has looked', async () => held['logout'] !== undefined)
    // The first renewal is about to end the old record, ...
    store.before = async ({ method }) => { if (method === 'update' && held['renewal'] === undefined) await hold('renewal') }
    const first = app.inject({ method: 'POST', url: '/renew', headers: { cookie } })
    await until('the first renewal is held', async () => held['renewal'] !== undefined)
    // ... when the second one does.
    t.equal((await client.post('/renew')).statusCode, 200)
    t.equal((await client.get('/')).statusCode, 200)
    held['logout']?.()
    t.equal((await logout).statusCode, 200)
    held['renewal']?.()
    const [line] = cookies(await first)
    t.equal((await client.get('/')).statusCode, 401)
    if (line !== undefined) t.equal((await app.inject({ url: '/', headers: { cookie: line.split(';')[0] as string } })).statusCode, 401)
  }
})

t.test('a logout follows a session however often it is renewed on its way', async (t) => {
  for (const options of [{}, { principal: (data: { userId?: string }) => data.userId }] as Options[]) {
    const { app, client, store } = await setUp(t, options)
    app.post('/logout', { schema: guarded }, async ({ session }) => {
      for (let times = 0; times < 2; times++) await client.post('/renew')
      session.destroy()
    })
    app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
    app.get('/', { schema: guarded }, async () => 'in')
    const { cookie, setCookie } = await app.session.issue(ada)
    client.jar.take(setCookie)
    let renewals = 0
    // Twice it is renewed between the look and the delete.
    store.before = async ({ method }) => { if (method === 'update' && renewals++ < 3) await client.post('/renew') }
    t.equal((await app.inject({ method: 'POST', url: '/logout', headers: { cookie } })).statusCode, 200)
    t.equal((await client.get('/')).statusCode, 401)
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
    t.equal((await app.inject({ method: 'POST', url: '/save', headers: { cookie } })).statusCode, 200)
    t.match((await client.get('/')).json(), { b: 7 })
  }
})

t.test('a store that does not close in time does not keep the app from it', async (t) => {
  const { app, store } = await setUp(t, { storeTimeout: 0.05 })
  store.close = async () => await new Promise(() => {})
  await t.rejects(app.close(), { code: 'FST_SESSION_STORE' })
})

t.test('where one session of a request cannot be read, the cookie of another that was adopted is handed out', async (t) => {
  const { app, store } = await setUp(t)
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => { release = resolve })
  await app.register(sessionPlugin, {
    scheme: 'admin',
    schema: Admin,
    cookie: { name: 'admin', secure: false },
    adopt: {
      cookieName: 'old',
      successor: () => 'A'.repeat(43),
      find: async () => { await slow; return { data: { name: 'ada' }, forget: async () => {} } }
    }
  })
  app.get('/', { schema: { security: [{ session: [], admin: [] }] } }, async () => 'in')
  const { cookie } = await app.session.issue(ada)
  store.before = () => { release(); throw new Error('down') }
  const answer = await app.inject({ url: '/', headers: { cookie: `${cookie}; old=1` } })
  t.equal(answer.statusCode, 503)
  t.match(cookies(answer), [/^admin=A{43}/, /^old=;/])
})

t.test('a limit of sessions that cannot be kept signs nobody out: before the login, or at the next one', async (t) => {
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
  t.same(told(events), ['created:start', 'failed:limit'])
  t.ok(log.some(({ level, session }) => level === 40 && session?.type === 'failed'))
  t.equal((await app.session.list('ada')).sessions.length, 2)
  t.equal((await client.post('/login')).statusCode, 200)
  t.equal((await app.session.list('ada')).sessions.length, 1, 'the next login sees to it')
})

t.test('a route that reads without touching keeps the idle deadline where it is, whatever has to be written anew', async (t) => {
  const [old, young] = [makeKey(), makeKey()]
  const reading = { schema: guarded, config: { session: { touch: false } } }
  const clock = createClock()
  const options = { now: clock.now, idleTimeout: 100 }
  const before = await setUp(t, { ...options, store: sealedCookie({ keys: [old] }) })
  const after = await setUp(t, { ...options, store: sealedCookie({ keys: [young, old] }) })
  const store = new MemoryStore({ now: clock.now })
  const nobody = await setUp(t, { ...options, store: new ProbeStore(store) })
  const known = await setUp(t, { ...options, store: new ProbeStore(store), principal: ({ userId }) => userId })
  for (const [{ app: issuer }, { app, client }] of [[before, after], [nobody, known]] as const) {
    app.get('/', reading, async () => 'in')
    client.jar.take((await issuer.session.issue(ada)).setCookie)
    clock.advance(60_000)
    t.equal((await client.get('/')).statusCode, 200)
    clock.advance(60_000)
    t.equal((await client.get('/')).statusCode, 401)
  }
})

t.test('step-up goes by the clock that answers, wherever the login before was', async (t) => {
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

t.test('a store that answers without a promise is as good as any', async (t) => {
  const { app, client, store } = await setUp(t)
  const { cookie } = await app.session.issue(ada)
  const id = store.calls[0]?.of as string
  const record = await store.inner.read(id)
  store.read = ((asked: string) => asked === id ? record : undefined) as never
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  t.match((await app.inject({ url: '/', headers: { cookie } })).json(), { userId: 'ada' })
  t.equal((await client.get('/')).statusCode, 401)
})

t.test('a store that throws at once is a store that fails', async (t) => {
  const { app, client, store } = await setUp(t)
  app.get('/', { schema: guarded }, async () => 'in')
  client.jar.take((await app.session.issue(ada)).setCookie)
  store.read = () => { throw new Error('not even a promise') }
  t.match((await client.get('/')).json(), { statusCode: 503, code: 'FST_SESSION_STORE' })
})

t.test('roles that are no list let nobody in', async (t) => {
  for (const [roles, what] of [[null, 'null'], ['admin', 'string'], [undefined, 'undefined']] as const) {
    const { app, client } = await setUp(t, { roles: () => roles as never })
    app.get('/', { schema: { security: [{ session: ['admin'] }] } }, async () => 'in')
    client.jar.take((await app.session.issue(ada)).setCookie)
    t.match((await client.get('/')).json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA', message: new RegExp(`gave ${what} instead of a list`) })
  }
})

t.test('a store that never comes to an end is a 409 in the end: what did not happen is not said to have', async (t) => {
  const { app, store, events } = await setUp(t, { principal: ({ userId }) => userId })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  app.post('/save', { schema: guarded }, async ({ session }) => { session.data.a = 1 })
  app.post('/logout', { schema: guarded }, async ({ session }) => { session.destroy() })
  const { cookie } = await app.session.issue(ada)
  events.length = 0
  store.update = async () => 'conflict'
  for (const url of ['/renew', '/save', '/logout']) {
    const answer = await app.inject({ method: 'POST', url, headers: { cookie } })
    t.match(answer.json(), { statusCode: 409, code: 'FST_SESSION_CONFLICT' }, url)
    t.same(cookies(answer), [])
  }
  t.same(told(events), [])
  t.equal((await app.session.list('ada')).sessions.length, 1)
})

t.test('a save that finds its session changed and then gone is lost, and told', async (t) => {
  const { app, client, store, events } = await setUp(t)
  app.post('/', { schema: guarded }, async ({ session }) => { session.data.a = 1 })
  client.jar.take((await app.session.issue(ada)).setCookie)
  events.length = 0
  store.update = async (id) => { await store.inner.delete(id); return 'conflict' }
  t.equal((await client.post('/')).statusCode, 200)
  t.same(told(events), ['discarded:ended-meanwhile'])
})
