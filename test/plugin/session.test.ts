import t from 'tap'
import { ask, guarded, openWorld, optional, reported, sessionOf, setCookies } from '../support/harness.js'
import { anySession, setUp } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

t.test('data can be changed at any depth and are saved automatically', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    session.data.cart['tea'] = (session.data.cart['tea'] ?? 0) + 1
    return session.exists
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  t.equal((await client.post('/')).json(), false, 'the first change makes the session, when the response is sent')
  t.same(store.take(), ['create'])
  t.equal((await client.post('/')).json(), true)
  t.same(store.take(), ['read', 'update'])
  t.same((await client.get('/')).json(), { roles: [], cart: { tea: 2 } })
})

t.test('a first write begins the session when it is saved: not there before, there after a commit', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async (request) => {
    const session = anySession(request)
    session.data.a = 1
    t.equal(session.exists, false)
    t.throws(() => session.id, { code: 'FST_SESSION_REQUIRED', statusCode: 401 })
    t.same(store.take(), [], 'nothing is stored yet')
    const line = await session.commit()
    t.same(store.take(), ['create'])
    t.equal(session.exists, true)
    return { id: session.id, line }
  })
  const response = await client.post('/')
  const { id, line } = response.json<{ id: string, line: string }>()
  t.same(setCookies(response), [line])
  t.match(await app.session.find(id), { id, data: { a: 1 } })
  t.notOk(store.take().includes('create'), 'and once')
})

t.test('data without a session are the defaults of the schema', async (t) => {
  const { app, client, store } = await setUp(t)
  app.get('/', { schema: optional }, async ({ session }) => session.data)
  const response = await client.get('/')
  t.same(response.json(), { roles: [], cart: {} })
  t.same(setCookies(response), [], 'looking makes no session')
  t.same(store.take(), [])
})

t.test('data without a session throw a 401 where the defaults do not satisfy the schema', async (t) => {
  const { Type } = await import('@sinclair/typebox')
  const { app, client } = await setUp(t, { schema: Type.Object({ userId: Type.String(), cart: Type.Any({ default: {} }) }) as never })
  app.get('/', { schema: optional }, async ({ session }) => session.data)
  app.get('/get', { schema: optional }, async ({ session }) => String(session.get('userId')))
  app.post('/set', { schema: optional }, async ({ session }) => { session.set('userId', 'ada') })
  app.post('/unset', { schema: optional }, async ({ session }) => { session.unset('userId'); return 'fine' })
  app.post('/regenerate', { schema: optional }, async ({ session }) => { await session.regenerate(['userId']); return 'fine' })
  for (const response of [await client.get('/'), await client.post('/set')]) {
    t.match(response.json(), { statusCode: 401, code: 'FST_SESSION_REQUIRED' })
    t.equal(response.headers['www-authenticate'], 'Cookie cookie-name="__Host-session"')
  }
  t.equal((await client.get('/get')).body, 'undefined')
  t.equal((await client.post('/unset')).body, 'fine')
  t.equal((await client.post('/regenerate')).body, 'fine')
})

t.test('get, set and unset read and change one key', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    t.equal(session.get('a'), undefined)
    session.set('a', 1)
    session.set('b', 2)
    t.equal(session.get('a'), 1)
    t.equal(session.data.a, 1)
    session.unset('b')
    t.equal(session.get('b'), undefined)
    t.notOk('b' in session.data)
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  app.post('/unset', { schema: guarded }, async ({ session }) => {
    session.unset('a')
    // Back to what the schema gives it: the data still have to fit.
    session.unset('roles')
    return session.get('roles')
  })
  await client.post('/')
  t.same((await client.get('/')).json(), { roles: [], cart: {}, a: 1 })
  t.same((await client.post('/unset')).json(), [])
  t.same((await client.get('/')).json(), { roles: [], cart: {} })
})

t.test('keys that objects have by themselves are plain data', async (t) => {
  const { app, client } = await setUp(t, { schema: undefined as never })
  const keys = ['__proto__', 'constructor', 'toString', 'cookie', 'save', 'id', 'data', 'destroy', 'hasOwnProperty', 'toJSON', '']
  app.post('/', { schema: optional }, async ({ session }) => {
    for (const key of keys) {
      t.equal(session.get(key as never), undefined, key)
      session.set(key as never, `<${key}>` as never)
    }
  })
  app.get('/', { schema: guarded }, async ({ session }) => {
    t.equal(Object.getPrototypeOf(session.data), Object.prototype)
    return keys.map((key) => session.get(key as never))
  })
  t.equal((await client.post('/')).statusCode, 200)
  t.same((await client.get('/')).json(), keys.map((key) => `<${key}>`))
})

t.test('exists, id and the times describe the session, and throw a 401 where there is none', async (t) => {
  const { app, client, clock } = await setUp(t, { idleTimeout: 100, absoluteTimeout: 150 })
  const facts = ['id', 'createdAt', 'authenticatedAt', 'expiresAt'] as const
  app.get('/none', { schema: optional }, async (request) => {
    const session = anySession(request)
    t.equal(session.exists, false)
    for (const fact of facts) t.throws(() => session[fact], { code: 'FST_SESSION_REQUIRED', statusCode: 401 }, fact)
  })
  app.post('/start', { schema: optional }, async (request) => {
    const session = anySession(request)
    session.start(ada)
    return { exists: session.exists, ...Object.fromEntries(facts.map((fact) => [fact, session[fact]])) }
  })
  app.get('/', { schema: guarded }, async ({ session }) => ({ exists: session.exists, ...Object.fromEntries(facts.map((fact) => [fact, session[fact]])) }))
  app.post('/destroy', { schema: guarded }, async ({ session }) => {
    session.destroy()
    t.equal(session.exists, false)
    t.throws(() => session.id, { code: 'FST_SESSION_REQUIRED' })
  })
  t.equal((await client.get('/none')).statusCode, 200)
  const start = clock.now()
  const started = (await client.post('/start')).json()
  t.match(started, { exists: true, id: /^[\w-]{22}$/, createdAt: start, authenticatedAt: start, expiresAt: start + 100_000 })
  t.match(client.jar.get('__Host-session'), new RegExp(`^${started.id}\\.[\\w-]{43}$`), 'the cookie is the id and a secret')
  t.same((await client.get('/')).json(), started)
  t.match(await app.session.find(started.id), { id: started.id, createdAt: start, expiresAt: start + 100_000 })
  clock.advance(80_000)
  t.same((await client.get('/')).json(), { ...started, expiresAt: start + 150_000 }, 'idle or absolute, whichever is sooner')
  t.equal((await client.post('/destroy')).statusCode, 200)
})

t.test('start begins another session, with another id and secret, and deletes the record of the old one', async (t) => {
  const { app, client, store, events } = await setUp(t, { principal: (data) => data.userId })
  app.post('/cart', { schema: optional }, async ({ session }) => { session.data.cart = { tea: 1 }; return '' })
  app.post('/login', { schema: optional }, async (request) => {
    const session = anySession(request)
    session.start({ ...ada, cart: session.data.cart })
    session.data.a = 1
    return { id: session.id, userId: session.data.userId }
  })
  app.get('/', { schema: guarded }, async ({ session }) => ({ id: session.id, data: session.data }))
  await client.post('/cart')
  const before = client.jar.get('__Host-session')
  store.take()
  const login = await client.post('/login')
  t.same(store.take(), ['read', 'create', 'delete'])
  t.not(client.jar.get('__Host-session'), before)
  const me = await client.get('/')
  t.same(me.json(), { id: login.json().id, data: { userId: 'ada', roles: [], cart: { tea: 1 }, a: 1 } })
  t.equal((await ask(app, '/', `__Host-session=${before}`)).statusCode, 401)
  t.same(reported(events), ['created:first-write', 'destroyed:replaced', 'created:start', 'expired:absent', 'rejected:unauthenticated'])
})

t.test('start takes a copy', async (t) => {
  const { app, client } = await setUp(t)
  const given = { roles: ['a'], cart: {} }
  app.post('/', { schema: optional }, async ({ session }) => {
    session.start(given)
    session.data.roles.push('b')
    return session.data
  })
  t.same((await client.post('/')).json(), { roles: ['a', 'b'], cart: {} })
  t.same(given, { roles: ['a'], cart: {} })
})

t.test('start takes a copy without a schema, too, and refuses what JSON would change', async (t) => {
  const { app, client } = await openWorld(t, {})
  const given: Record<string, unknown> = { roles: ['a'] }
  app.post('/', { schema: optional }, async (request) => {
    const session = sessionOf(request)
    session.start(given)
    given['roles'] = ['b']
    t.throws(() => { session.start({ at: new Date() }) }, { code: 'FST_SESSION_INVALID_DATA' })
  })
  app.get('/', { schema: optional }, async (request) => sessionOf(request).data)
  await client.post('/')
  t.same((await client.get('/')).json(), { roles: ['a'] })
})

t.test('start fills in defaults and refuses what does not fit, at once', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    session.start({ userId: 'ada' } as never)
    return session.data
  })
  app.post('/wrong', { schema: optional }, async ({ session }) => {
    t.throws(() => session.start({ userId: 5 } as never), { code: 'FST_SESSION_INVALID_DATA', message: /\/userId: Expected string/ })
    t.throws(() => session.start(null as never), { code: 'FST_SESSION_INVALID_DATA', message: /an object is expected/ })
    t.throws(() => session.start([] as never), { code: 'FST_SESSION_INVALID_DATA' })
    t.throws(() => session.start(undefined as never), { code: 'FST_SESSION_INVALID_DATA' })
    t.equal(session.exists, false)
    return session.data
  })
  t.same((await client.post('/')).json(), { userId: 'ada', roles: [], cart: {} })
  store.take()
  client.jar.clear()
  t.equal((await client.post('/wrong')).statusCode, 200)
  t.same(store.take(), [])
})

t.test('start takes timeouts and persistence for one session', async (t) => {
  const { app, client, clock } = await setUp(t, { idleTimeout: 100, absoluteTimeout: 1000 })
  app.post('/', { schema: optional }, async (request) => {
    const session = anySession(request)
    session.start(ada, request.body as object)
    return session.expiresAt - clock.now()
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.expiresAt - clock.now())
  const login = async (options: object): Promise<{ cookie: string, left: unknown }> => {
    client.jar.clear()
    const response = await client.post('/', options)
    return { cookie: setCookies(response)[0]?.replace(/=[\w-]{22}\.[\w-]{43};/, '=...;') ?? '', left: response.json() }
  }
  const session = '__Host-session=...; Path=/; HttpOnly; Secure; SameSite=Lax'
  const persistent = (seconds: number): string => session.replace(' Path', ` Max-Age=${seconds}; Path`)
  t.same(await login({}), { cookie: session, left: 100_000 })
  t.same(await login({ absoluteTimeout: 50 }), { cookie: session, left: 50_000 })
  t.same(await login({ absoluteTimeout: 5000 }), { cookie: session, left: 100_000 })
  t.same(await login({ persistent: true }), { cookie: persistent(1000), left: 1_000_000 }, 'who asked to be remembered is not idle')
  t.same(await login({ persistent: true, idleTimeout: 200 }), { cookie: persistent(1000), left: 200_000 })
  t.same(await login({ persistent: true, absoluteTimeout: 5000 }), { cookie: persistent(5000), left: 5_000_000 })
  clock.advance(1000_000)
  t.equal((await client.get('/')).json(), 4_000_000)
  clock.advance(3_999_000)
  t.equal((await client.get('/')).json(), 1000)
  clock.advance(1000)
  t.equal((await client.get('/')).statusCode, 401)
  await login({ idleTimeout: 300 })
  for (let round = 0; round < 3; round++) {
    clock.advance(250_000)
    t.equal((await client.get('/')).json(), Math.min(300_000, 1000_000 - (round + 1) * 250_000))
  }
  clock.advance(250_000)
  t.equal((await client.get('/')).statusCode, 401, 'at the absolute timeout')
  await login({ idleTimeout: 300 })
  clock.advance(20_000)
  t.equal((await client.get('/')).json(), 280_000, 'a longer idle timeout moves when a tenth of it is to be gained')
  t.same(await login({ idleTimeout: 10 }), { cookie: session, left: 10_000 }, 'it may be shorter than that of the scheme')
  clock.advance(9_000)
  t.equal((await client.get('/')).json(), 10_000)
  clock.advance(10_000)
  t.equal((await client.get('/')).statusCode, 401, 'the shorter idle timeout ends the session')
  t.same(await login({ idleTimeout: 2000 }), { cookie: session, left: 1000_000 }, 'it never passes the absolute timeout')

  for (const [options, complaint] of [
    [{ absoluteTimeout: 0 }, /absoluteTimeout must be a positive number of seconds/],
    [{ absoluteTimeout: '1h' }, /absoluteTimeout must be a positive number of seconds/],
    [{ idleTimeout: -1 }, /idleTimeout must be a positive number of seconds/]
  ] as const) {
    const response = await client.post('/', options)
    t.match(response.json(), { statusCode: 500, code: 'FST_SESSION_OPTIONS', message: complaint })
  }
})

t.test('renew gives the session a new secret and keeps its id, data and times', async (t) => {
  const { app, client, clock, events, store } = await setUp(t, { principal: (data) => data.userId, absoluteTimeout: 3600 })
  app.post('/renew', { schema: guarded }, async ({ session }) => {
    const before = session.id
    session.renew()
    await session.commit()
    t.equal(session.id, before, 'the id stays')
    return { id: session.id, createdAt: session.createdAt }
  })
  app.post('/both', { schema: guarded }, async ({ session }) => { session.renew(); session.data.a = 5; session.renew() })
  app.get('/', { schema: guarded }, async ({ session }) => ({ id: session.id, createdAt: session.createdAt, authenticatedAt: session.authenticatedAt, data: session.data }))
  app.post('/none', { schema: optional }, async (request) => { anySession(request).renew() })
  const start = clock.now()
  client.jar.take((await app.session.issue(ada)).setCookie)
  const before = client.jar.get('__Host-session')
  store.take()
  clock.advance(60_000)
  const renewed = await client.post('/renew')
  t.same(store.take(), ['read', 'update'])
  t.equal(setCookies(renewed).length, 1)
  t.same((await client.get('/')).json(), { id: renewed.json().id, createdAt: start, authenticatedAt: start, data: ada })
  t.equal((await ask(app, '/', `__Host-session=${before}`)).statusCode, 401, 'the old secret is dead')
  t.equal((await client.post('/both')).statusCode, 200)
  t.equal((await client.get('/')).json().data.a, 5)
  t.match(reported(events), ['created:issue', 'renewed:renew', 'rejected:stale-secret', 'rejected:unauthenticated', 'renewed:renew'])
  client.jar.clear()
  t.equal((await client.post('/none')).statusCode, 401)
  // The absolute deadline has not moved.
  t.equal((await app.session.list('ada')).sessions.length, 1)
  clock.advance(3_540_000)
  t.same((await app.session.list('ada')).sessions, [])
})

t.test('renew after start changes nothing: the session is new already', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async (request) => {
    const session = anySession(request)
    session.start(ada)
    const { id } = session
    session.renew()
    t.equal(session.id, id)
  })
  t.equal((await client.post('/')).statusCode, 200)
  t.same(store.take(), ['create'])
})

t.test('regenerate gives the session a new secret and keeps only the keys named', async (t) => {
  const { app, client, events } = await setUp(t)
  app.post('/', { schema: guarded }, async ({ session, body }) => {
    await session.regenerate((body as { keep?: never }).keep)
    return session.data
  })
  app.post('/set', { schema: guarded }, async ({ session }) => { await session.regenerate(['cart', 'b']); session.set('a', 7); return session.data })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  const arrive = async (): Promise<string | undefined> => {
    client.jar.clear()
    client.jar.take((await app.session.issue({ userId: 'ada', roles: ['x'], cart: { tea: 1 }, a: 1 })).setCookie)
    return client.jar.get('__Host-session')
  }
  const before = await arrive()
  t.same((await client.post('/', {})).json(), { roles: [], cart: {} })
  t.not(client.jar.get('__Host-session'), before)
  t.same((await client.get('/')).json(), { roles: [], cart: {} })
  t.equal((await ask(app, '/', `__Host-session=${before}`)).statusCode, 401)
  await arrive()
  t.same((await client.post('/', { keep: ['cart', 'b', 'userId'] })).json(), { userId: 'ada', roles: [], cart: { tea: 1 } })
  await arrive()
  t.same((await client.post('/set')).json(), { roles: [], cart: { tea: 1 }, a: 7 })
  t.same((await client.get('/')).json(), { roles: [], cart: { tea: 1 }, a: 7 })
  t.equal(reported(events).filter((event) => event === 'renewed:regenerate').length, 3)
})

t.test('regenerate keeps the defaults of a schema that has required keys', async (t) => {
  const { Type } = await import('@sinclair/typebox')
  const schema = Type.Object({ userId: Type.String(), cart: Type.Array(Type.String(), { default: [] }), a: Type.Optional(Type.Integer()) })
  const { app, client } = await setUp(t, { schema: schema as never })
  app.post('/', { schema: guarded }, async ({ session }) => { await session.regenerate(['userId']); return session.data })
  client.jar.take((await app.session.issue({ userId: 'ada', cart: ['tea'], a: 1 } as never)).setCookie)
  const response = await client.post('/')
  t.equal(response.statusCode, 200)
  t.same(response.json(), { userId: 'ada', cart: [] })
})

t.test('regenerate without a session begins none by itself', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => { await session.regenerate() })
  app.post('/set', { schema: optional }, async ({ session }) => { await session.regenerate(); session.set('a', 1) })
  t.same(setCookies(await client.post('/')), [])
  t.same(store.take(), [])
  t.equal(setCookies(await client.post('/set')).length, 1)
  t.same(store.take(), ['create'])
})

t.test('regenerate after start keeps the new session', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    session.start({ userId: 'ada', roles: [], cart: {}, a: 1 })
    await session.regenerate(['userId'])
    return session.data
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  await client.post('/')
  t.same(store.take(), ['create'])
  t.same((await client.get('/')).json(), ada)
})

t.test('destroy ends the session on the server and in the browser, and is idempotent', async (t) => {
  const { app, client, store, events } = await setUp(t)
  app.post('/logout', { schema: optional }, async ({ session }) => {
    session.data.a = 1
    session.destroy()
    session.destroy()
    return { exists: session.exists, data: session.data }
  })
  app.get('/', { schema: guarded }, async () => 'in')
  const { cookie, setCookie } = await app.session.issue(ada)
  client.jar.take(setCookie)
  store.take()
  const logout = await client.post('/logout')
  t.same(logout.json(), { exists: false, data: { roles: [], cart: {} } })
  t.same(store.take(), ['read', 'delete'])
  t.equal(logout.headers['set-cookie'], '__Host-session=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax')
  t.equal(client.jar.header(), undefined)
  t.equal((await ask(app, '/', cookie)).statusCode, 401)
  const again = await ask(app, 'POST /logout', cookie)
  t.equal(again.statusCode, 200)
  t.match(again.headers['set-cookie'], /Max-Age=0/, 'a dead cookie goes as well')
  t.same(setCookies(await client.post('/logout')), [], 'who sent none is sent none')
  t.same(reported(events), ['created:issue', 'destroyed:destroy', 'expired:absent', 'rejected:unauthenticated', 'expired:absent'])
})

t.test('of destroy and start in one request the later call counts', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/out-in', { schema: optional }, async ({ session }) => { session.destroy(); session.start({ ...ada, a: 1 }) })
  app.post('/in-out', { schema: optional }, async ({ session }) => { session.start(ada); session.destroy() })
  app.get('/', { schema: optional }, async ({ session }) => ({ exists: session.exists, a: session.data.a }))
  client.jar.take((await app.session.issue(ada)).setCookie)
  store.take()
  await client.post('/out-in')
  t.same(store.take(), ['read', 'create', 'delete'])
  t.same((await client.get('/')).json(), { exists: true, a: 1 })
  store.take()
  t.match((await client.post('/in-out')).headers['set-cookie'], /Max-Age=0/)
  t.same(store.take(), ['read', 'delete'])
  t.same((await client.get('/')).json(), { exists: false })
  store.take()
  t.same(setCookies(await client.post('/in-out')), [])
  t.same(store.take(), [], 'a session that ended before it was stored was never there')
})

t.test('data that are set after destroy begin another session', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => { session.destroy(); session.set('b', 1) })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  const { cookie, setCookie } = await app.session.issue({ ...ada, a: 1 })
  client.jar.take(setCookie)
  await client.post('/')
  t.same((await client.get('/')).json(), { roles: [], cart: {}, b: 1 })
  t.equal((await ask(app, '/', cookie)).statusCode, 401)
  client.jar.clear()
  await client.post('/')
  t.same((await client.get('/')).json(), { roles: [], cart: {}, b: 1 })
})

t.test('update changes the stored data as one step, at once', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    const seen = await session.update((data) => { data.a = (data.a ?? 0) + 1 })
    t.equal(session.data.a, seen.a)
    t.equal(session.exists, true)
    return seen
  })
  app.post('/returned', { schema: guarded }, async ({ session }) => await session.update(async (data) => ({ ...data, b: 9 })))
  app.post('/beside', { schema: guarded }, async ({ session }) => {
    session.data.b = 3
    session.data.cart['tea'] = 1
    const seen = await session.update((data) => {
      t.equal(data.b, 9, 'it sees what is stored')
      data.a = 100
    })
    t.same([seen.a, seen.b, session.data.b], [100, 3, 3], 'what is not saved yet stays to be saved')
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  t.same((await client.post('/')).json(), { roles: [], cart: {}, a: 1 })
  t.same(store.take(), ['create'], 'stored once')
  t.equal((await client.post('/')).json().a, 2)
  t.same(store.take(), ['read', 'update'])
  t.equal((await client.post('/returned')).json().b, 9)
  await client.post('/beside')
  t.same((await client.get('/')).json(), { roles: [], cart: { tea: 1 }, a: 100, b: 3 })
})

t.test('update refuses another principal and data that do not fit', async (t) => {
  const { app, client } = await setUp(t, { principal: (data) => data.userId })
  app.post('/who', { schema: guarded }, async ({ session }) => {
    await session.update((data) => { data.userId = 'eve' })
  })
  app.post('/wrong', { schema: guarded }, async ({ session }) => { await session.update((data) => { data.a = 'x' as never }) })
  app.post('/throws', { schema: guarded }, async ({ session }) => { await session.update(() => { throw Object.assign(new Error('sold out'), { statusCode: 409 }) }) })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  client.jar.take((await app.session.issue(ada)).setCookie)
  t.match((await client.post('/who')).json(), { code: 'FST_SESSION_INVALID_DATA', message: /cannot change the principal of a session.*use start\(\)/ })
  t.match((await client.post('/wrong')).json(), { code: 'FST_SESSION_INVALID_DATA', message: /\/a/ })
  t.match((await client.post('/throws')).json(), { statusCode: 409, message: 'sold out' })
  t.same((await client.get('/')).json(), ada)
})

t.test('an update of a session that has ended is a 401', async (t) => {
  const { app, client, events } = await setUp(t)
  app.post('/', { schema: guarded }, async ({ session }) => {
    session.data.b = 1
    await app.session.revoke(session.id)
    await session.update((data) => { data.a = 1 })
  })
  client.jar.take((await app.session.issue(ada)).setCookie)
  t.match((await client.post('/')).json(), { statusCode: 401, code: 'FST_SESSION_REQUIRED' })
  t.same(reported(events), ['created:issue', 'destroyed:revoke', 'discarded:ended'])
})

t.test('update saves a start, a renewal or an end before it', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/start', { schema: optional }, async ({ session }) => {
    session.start(ada)
    return await session.update((data) => { data.a = 1 })
  })
  app.post('/renew', { schema: guarded }, async ({ session }) => {
    const { id } = session
    session.renew()
    await session.update((data) => { data.a = 2 })
    t.equal(session.id, id)
    t.match(await session.commit(), new RegExp(`^__Host-session=${id}\\.`), 'the renewal is saved with the update')
  })
  app.post('/destroy', { schema: guarded }, async ({ session }) => {
    session.destroy()
    return await session.update((data) => { data.b = 5 })
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  t.same((await client.post('/start')).json(), { ...ada, a: 1 })
  t.equal((await client.post('/renew')).statusCode, 200)
  t.same((await client.get('/')).json(), { ...ada, a: 2 })
  t.same((await client.post('/destroy')).json(), { roles: [], cart: {}, b: 5 })
  t.same((await client.get('/')).json(), { roles: [], cart: {}, b: 5 })
})

t.test('two first updates at once make one session', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    await Promise.all([session.update((data) => { data.a = 1 }), session.update((data) => { data.b = 2 }), session.update((data) => { data.a = (data.a ?? 0) + 10 })])
    return session.data
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  const response = await client.post('/')
  t.equal(setCookies(response).length, 1)
  t.same(response.json(), { roles: [], cart: {}, a: 11, b: 2 })
  t.same((await client.get('/')).json(), { roles: [], cart: {}, a: 11, b: 2 })
  t.equal(store.take().filter((method) => method === 'create').length, 1)
})

t.test('a first update that fails leaves the next one alone', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    const [first, second] = await Promise.allSettled([session.update(() => { throw new Error('no') }), session.update((data) => { data.b = 2 })])
    t.equal(first.status, 'rejected')
    t.equal(second.status, 'fulfilled')
    return session.data
  })
  t.same((await client.post('/')).json(), { roles: [], cart: {}, b: 2 })
})

t.test('commit saves now and returns the Set-Cookie header', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    t.equal(await session.commit(), undefined, 'nothing to store, nothing to send')
    session.data.a = 1
    const line = await session.commit()
    t.match(line, /^__Host-session=[\w-]{22}\.[\w-]{43}; Path=\//)
    t.equal(session.exists, true)
    t.same(store.take(), ['create'])
    t.equal(await session.commit(), line)
    t.same(store.take(), [])
    session.data.b = 2
    await session.commit()
    t.same(store.take(), ['update'])
    return line
  })
  app.post('/end', { schema: guarded }, async ({ session }) => {
    session.destroy()
    return await session.commit()
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  const response = await client.post('/')
  t.same(setCookies(response), [response.body], 'once')
  t.same((await client.get('/')).json(), { roles: [], cart: {}, a: 1, b: 2 })
  t.match((await client.post('/end')).body, /^__Host-session=; Max-Age=0/)
})

t.test('commit serves a hijacked reply', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }, reply) => {
    session.start(ada)
    const line = await session.commit()
    reply.hijack()
    reply.raw.writeHead(200, { 'set-cookie': line as string }).end('raw')
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data.userId)
  t.equal((await client.post('/')).body, 'raw')
  t.equal((await client.get('/')).body, 'ada')
})

t.test('two commits at once store once', async (t) => {
  const { app, client, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => {
    session.data.a = 1
    const lines = await Promise.all([session.commit(), session.commit()])
    t.equal(lines[0], lines[1])
  })
  t.equal(setCookies(await client.post('/')).length, 1)
  t.same(store.take(), ['create'])
})

t.test('a change of principal makes another session, with another id and secret', async (t) => {
  const { app, client, clock, events, store } = await setUp(t, { principal: (data) => data.userId })
  app.post('/login', { schema: optional }, async ({ session }) => { session.data.userId = 'ada' })
  app.post('/switch', { schema: guarded }, async ({ session }) => { session.data.userId = 'eve'; session.data.b = 1 })
  app.post('/out', { schema: guarded }, async ({ session }) => { session.unset('userId') })
  app.post('/cart', { schema: optional }, async ({ session }) => { session.data.cart['tea'] = 1 })
  app.get('/', { schema: guarded }, async ({ session }) => [session.data.userId, session.createdAt, session.authenticatedAt])
  await client.post('/cart')
  const start = clock.now()
  const seen = [client.jar.get('__Host-session')]
  clock.advance(1000)
  for (const url of ['/login', '/switch', '/out']) {
    store.take()
    await client.post(url)
    t.same(store.take(), ['read', 'create', 'update'], url)
    seen.push(client.jar.get('__Host-session'))
    if (url === '/login') t.same((await client.get('/')).json(), ['ada', start, start + 1000], 'signed in just now')
  }
  t.equal(new Set(seen).size, 4)
  for (const token of seen.slice(0, 3)) {
    t.equal((await ask(app, '/', `__Host-session=${token}`)).statusCode, 401)
  }
  t.equal((await client.get('/')).statusCode, 401)
  t.same(reported(events).slice(0, 4), ['created:first-write', 'renewed:principal', 'renewed:principal', 'renewed:principal'])
  t.same((await app.session.list('ada')).sessions, [])
  t.same((await app.session.list('eve')).sessions, [])
})

t.test('a principal that is not text is refused', async (t) => {
  for (const [value, status] of [[5, 500], [{}, 500], [null, 200], ['', 200], [undefined, 200]] as const) {
    const { app, client } = await setUp(t, { principal: () => value as never })
    app.post('/', { schema: optional }, async ({ session }) => { session.data.a = 1 })
    const response = await client.post('/')
    t.equal(response.statusCode, status, String(value))
    if (status === 500) t.match(response.json(), { code: 'FST_SESSION_INVALID_DATA', message: /principal returned (number|object) instead of text/ })
  }
})
