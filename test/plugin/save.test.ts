import t from 'tap'
import { Readable } from 'node:stream'
import { createGate } from '../support/gate.js'
import { ask, guarded, optional, reported, setCookies, type World } from '../support/harness.js'
import { anySession, setUp } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

function dataRoute ({ app }: World): void {
  app.get('/data', { schema: optional }, async ({ session }) => ({ exists: session.exists, ...session.data }))
}

/** Signs the client in. */
async function signIn (setup: World): Promise<string> {
  const { cookie, setCookie } = await setup.app.session.issue(ada)
  setup.client.jar.take(setCookie)
  setup.store.take()
  setup.events.length = 0
  return cookie
}

/** Signs the client in to an app that then has a route that gives its data. */
async function signedIn (setup: World): Promise<string> {
  dataRoute(setup)
  return await signIn(setup)
}

t.test('an untouched session is not written', async (t) => {
  const setup = await setUp(t)
  const { app, client, store } = setup
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  app.get('/back', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    session.unset('a')
    session.data.cart['x'] = 1
    delete session.data.cart['x']
  })
  await signedIn(setup)
  for (const url of ['/', '/back']) {
    const response = await client.get(url)
    t.equal(response.statusCode, 200)
    t.same(setCookies(response), [])
    t.same(store.take(), ['read'], url)
  }
})

t.test('a new session without data has no record and no cookie', async (t) => {
  const { app, client, store } = await setUp(t)
  app.get('/', { schema: optional }, async ({ session }) => [session.data, session.get('a'), session.exists])
  app.post('/', { schema: optional }, async ({ session }) => { session.unset('a'); session.destroy() })
  for (const response of [await client.get('/'), await client.post('/')]) {
    t.equal(response.statusCode, 200)
    t.same(setCookies(response), [])
    t.equal(response.headers.vary, 'Cookie')
    t.equal(response.headers['cache-control'], undefined)
  }
  t.same(store.take(), [])
})

t.test('a status of 500 and above saves no data, and destroy and renew hold', async (t) => {
  const setup = await setUp(t)
  const { app, client, store, events } = setup
  app.post('/data', { schema: optional }, async ({ session }, reply) => {
    session.data.a = 1
    return await reply.code(500).send({})
  })
  app.post('/throw', { schema: optional }, async ({ session }) => {
    session.data.a = 1
    throw new Error('boom')
  })
  app.post('/start', { schema: optional }, async ({ session }, reply) => {
    session.start({ ...ada, a: 1 })
    return await reply.code(503).send({})
  })
  app.post('/renew', { schema: guarded }, async ({ session }, reply) => {
    session.renew()
    session.data.a = 1
    return await reply.code(500).send({})
  })
  app.post('/destroy', { schema: guarded }, async ({ session }, reply) => {
    session.data.a = 1
    session.destroy()
    session.data.a = 1
    return await reply.code(500).send({})
  })
  app.post('/refused', { schema: optional }, async ({ session }, reply) => {
    session.data.a = 4
    return await reply.code(499).send({})
  })

  dataRoute(setup)
  for (const url of ['/data', '/throw', '/start']) {
    const response = await client.post(url)
    t.same(setCookies(response), [], url)
    t.same(store.take(), [], url)
    t.same(reported(events.splice(0)), ['discarded:server-error'], url)
  }
  await signIn(setup)
  for (const url of ['/data', '/throw', '/start']) {
    await client.post(url)
    t.same(store.take(), ['read'], url)
    t.same(reported(events.splice(0)), ['discarded:server-error'])
    t.notOk('a' in (await client.get('/data')).json())
    store.take()
  }
  const before = client.jar.get('__Host-session')
  t.equal((await client.post('/renew')).statusCode, 500)
  t.not(client.jar.get('__Host-session'), before)
  t.same(reported(events.splice(0)), ['discarded:server-error', 'renewed:renew'])
  t.same((await client.get('/data')).json(), { exists: true, ...ada })
  t.equal((await client.post('/refused')).statusCode, 499)
  t.equal((await client.get('/data')).json().a, 4, 'below 500 they are')
  const ended = await client.post('/destroy')
  t.equal(ended.statusCode, 500)
  t.match(ended.headers['set-cookie'], /Max-Age=0/)
  t.same((await client.get('/data')).json(), { exists: false, roles: [], cart: {} })
})

t.test('a change in an error handler counts as one of the handler', async (t) => {
  const setup = await setUp(t)
  const { app, client } = setup
  app.setErrorHandler(async (error, request, reply) => {
    anySession(request).data.b = 2
    return await reply.code(400).send({})
  })
  app.post('/', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    throw new Error('handled')
  })
  await signedIn(setup)
  t.equal((await client.post('/')).statusCode, 400)
  t.match((await client.get('/data')).json(), { a: 1, b: 2 })
})

t.test('an error handler for a refusal may begin a session', async (t) => {
  const { app, client } = await setUp(t)
  app.setErrorHandler(async (error, request, reply) => {
    anySession(request).data.cart['next'] = 1
    return await reply.redirect('/login')
  })
  app.get('/', { schema: guarded }, async () => 'in')
  app.get('/login', { schema: optional }, async ({ session }) => session.data.cart)
  t.equal((await client.get('/')).statusCode, 302)
  t.same((await client.get('/login')).json(), { next: 1 })
})

t.test('the data object that a handler holds stays the session\'s data, whatever is merged into it', async (t) => {
  const setup = await setUp(t)
  const { app, client } = setup
  const gate = createGate()
  app.post('/b', { schema: guarded }, async ({ session }) => { session.data.b = 2 })
  app.post('/commit', { schema: guarded }, async ({ session }) => {
    const { data } = session
    data.a = 1
    await gate.pass()
    await session.commit()
    data.cart['late'] = 1
    return [data.b, session.data === data]
  })
  app.post('/update', { schema: guarded }, async ({ session }) => {
    const { data } = session
    await session.update((stored) => { stored.a = 7 })
    data.cart['later'] = 2
    return [data.a, session.data === data]
  })
  await signedIn(setup)
  const slow = client.post('/commit')
  await gate.reached
  await client.post('/b')
  gate.open()
  t.same((await slow).json(), [2, true])
  t.same((await client.get('/data')).json().cart, { late: 1 })
  t.same((await client.post('/update')).json(), [7, true])
  t.same((await client.get('/data')).json().cart, { late: 1, later: 2 })
})

t.test('two changes that do not fit together are a 409', async (t) => {
  const { Type } = await import('@sinclair/typebox')
  // Either a or b.
  const schema = Type.Object({ a: Type.Optional(Type.Integer()), b: Type.Optional(Type.Integer()) }, { maxProperties: 1 })
  const setup = await setUp(t, { schema: schema as never })
  const { app, client } = setup
  let gate = createGate()
  app.post('/a', { schema: guarded }, async ({ session }) => { session.data.a = 1; await gate.pass() })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.data.a = 1; session.renew(); await gate.pass() })
  app.post('/clear', { schema: guarded }, async ({ session }) => { session.unset('b') })
  app.post('/b', { schema: guarded }, async ({ session }) => { session.data.b = 1 })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  client.jar.take((await app.session.issue({} as never)).setCookie)
  for (const url of ['/a', '/renew']) {
    await client.post('/clear')
    gate = createGate()
    const slow = client.post(url)
    await gate.reached
    await client.post('/b')
    gate.open()
    const response = await slow
    t.match(response.json(), { statusCode: 409, code: 'FST_SESSION_CONFLICT', message: /at the same time/ })
    t.same(setCookies(response), [])
    t.same((await client.get('/')).json(), { b: 1 })
  }
  gate.open()
  t.equal((await client.post('/a')).statusCode, 500, 'by itself that is plainly invalid')
})

t.test('two changes that change the principal only together are a 409', async (t) => {
  const setup = await setUp(t, { principal: ({ a, b, userId }) => a === 1 && b === 1 ? 'eve' : userId })
  const { app, client } = setup
  const gate = createGate()
  app.post('/a', { schema: guarded }, async ({ session }) => { session.data.a = 1; await gate.pass() })
  app.post('/b', { schema: guarded }, async ({ session }) => { session.data.b = 1 })
  dataRoute(setup)
  await signIn(setup)
  const slow = client.post('/a')
  await gate.reached
  await client.post('/b')
  gate.open()
  t.match((await slow).json(), { statusCode: 409, code: 'FST_SESSION_CONFLICT' })
  t.same((await client.get('/data')).json(), { exists: true, ...ada, b: 1 })
  t.same((await app.session.list('eve')).sessions, [])
})

t.test('a save does not reach a session that belongs to another principal since', async (t) => {
  const setup = await setUp(t, { principal: (data) => data.userId })
  const { app, client, store, events } = setup
  const gate = createGate()
  app.post('/a', { schema: guarded }, async ({ session }) => { session.data.a = 1; await gate.pass() })
  await signIn(setup)
  const slow = client.post('/a')
  await gate.reached
  const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions
  // As a version of the app writes it whose option `principal` is another one.
  const record = await store.inner.read(id)
  const payload = record?.payload.replace('"userId":"ada"', '"userId":"eve"') ?? ''
  t.equal(await store.inner.update(id, { payload, version: 2, expiresAt: Date.now() + 60_000, principal: 'eve' }), 'updated')
  gate.open()
  t.equal((await slow).statusCode, 200)
  t.same(reported(events), ['discarded:ended'])
  t.same((await app.session.find(id))?.data, { ...ada, userId: 'eve' })
})

t.test('a save that conflicts for as long as a store call may take is a 409', async (t) => {
  const setup = await setUp(t, { storeTimeout: 0.02 })
  const { app, client, store } = setup
  app.post('/save', { schema: guarded }, async ({ session }) => { session.data.a = 1 })
  app.post('/update', { schema: guarded }, async ({ session }) => { await session.update((data) => { data.a = 1 }) })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  await signedIn(setup)
  store.update = async () => 'conflict' as const
  for (const url of ['/save', '/update', '/renew']) {
    const response = await client.post(url)
    t.match(response.json(), { statusCode: 409, code: 'FST_SESSION_CONFLICT' })
    t.same(setCookies(response), [])
    t.notOk(store.take().includes('create'), 'no second record is created')
  }
  t.same((await client.get('/data')).json(), { exists: true, ...ada })
})

t.test('data that a hijacked reply did not commit are reported as discarded', async (t) => {
  const setup = await setUp(t)
  const { app, client, events, log, store } = setup
  app.get('/hijacked', { schema: guarded }, async ({ session }, reply) => {
    session.data.a = 1
    reply.hijack()
    reply.raw.end('bye')
  })
  app.get('/fine', { schema: guarded }, async ({ session }, reply) => {
    reply.hijack()
    session.data.b = 1
    await session.commit()
    reply.raw.end('bye')
  })
  const cookie = await signedIn(setup)
  t.equal((await ask(app, '/hijacked', cookie)).body, 'bye')
  t.match(events.splice(0), [{ type: 'discarded', reason: 'after-commit', detail: /await session\.commit\(\) before the first byte/ }])
  t.same(store.take(), ['read'])
  t.ok(log.some(({ level, msg }) => level === 40 && msg.startsWith('session discarded: after-commit: ')), 'as a warning')
  t.equal((await ask(app, '/fine', cookie)).body, 'bye')
  t.same(reported(events), [])
  const { a, b } = (await client.get('/data')).json()
  t.same([a, b], [undefined, 1])
})

t.test('a discarded change is reported once in nested contexts', async (t) => {
  const { app, client, events } = await setUp(t)
  const { default: sessionPlugin } = await import('fastify-openapi-session')
  await app.register(async (inner) => {
    await inner.register(sessionPlugin, { scheme: 'admin', cookie: { name: '__Host-admin' } })
    inner.get('/', { schema: guarded }, async ({ session }, reply) => {
      reply.hijack()
      session.data.a = 1
      reply.raw.end('')
    })
  })
  client.jar.take((await app.session.issue(ada)).setCookie)
  events.length = 0
  await client.get('/')
  t.same(reported(events), ['discarded:after-commit'])
})

t.test('the cookie goes out only when the record is stored, and before the first byte', async (t) => {
  const { app, store } = await setUp(t)
  const order: string[] = []
  store.after = ({ method }) => { order.push(method) }
  app.addHook('onSend', async (request, reply) => { order.push(`onSend ${setCookies({ headers: reply.getHeaders() }).length}`) })
  app.get('/', { schema: optional }, async ({ session }) => {
    session.start(ada)
    return Readable.from((function * () { order.push('bytes'); yield 'x' })())
  })
  t.equal((await app.inject('/')).statusCode, 200)
  t.same(order, ['create', 'onSend 1', 'bytes'])
})

t.test('data that JSON cannot hold are refused by name', async (t) => {
  const { app, client, store } = await setUp(t, { schema: undefined as never })
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  const wrong: Array<[unknown, RegExp]> = [
    [new Date(0), /data\.x is an instance of Date; use date\.toISOString\(\)/], [new Map(), /data\.x is an instance of Map; use a plain object/],
    [NaN, /data\.x is NaN; use null/], [Infinity, /data\.x is Infinity/], [() => 1, /data\.x is of type function/], [Symbol('s'), /data\.x is of type symbol/],
    [[1, [undefined]], /data\.x\[1\]\[0\] is of type undefined/], [10n, /data\.x is of type bigint/], [cycle, /nested more than 32 levels deep, or contains itself/], [{ deep: [{ set: new Set() }] }, /data\.x\.deep\[0\]\.set is an instance of Set/],
    [new (class Cart { tea = 1 })(), /data\.x is an instance of Cart/], [new (class extends URLSearchParams {})(), /data\.x is an instance of a class/],
    [{ toJSON () { throw new Error('mine') } }, /data\.x\.toJSON is of type function/]
  ]
  app.post('/:n', { schema: optional }, async ({ session, params }) => {
    session.set('x' as never, wrong[Number((params as { n: string }).n)]?.[0] as never)
  })
  app.post('/fine', { schema: optional }, async ({ session }) => {
    session.set('x' as never, { gone: undefined, bare: Object.assign(Object.create(null), { a: [null, true, 'é\u2028'] }), n: -1.5e300 } as never)
    session.set('y' as never, Object.assign(Object.create(Object.create(null)), { parsed: true }) as never)
  })
  app.get('/', { schema: optional }, async ({ session }) => session.data)
  for (const [index, [, complaint]] of wrong.entries()) {
    const response = await client.post(`/${index}`)
    t.match(response.json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA', message: complaint })
    t.same(setCookies(response), [])
    t.same(store.take(), [])
  }
  t.equal((await client.post('/fine')).statusCode, 200)
  t.same((await client.get('/')).json(), { x: { bare: { a: [null, true, 'é\u2028'] }, n: -1.5e300 }, y: { parsed: true } })
})

t.test('a value that JSON cannot hold is refused also where its JSON text is what is stored', async (t) => {
  const { app, client, store } = await setUp(t, { schema: undefined as never })
  const noon = new Date(0)
  app.post('/login', { schema: optional }, async ({ session }) => { session.start({ at: noon.toISOString(), nothing: null } as never) })
  app.post('/date', { schema: guarded }, async ({ session }) => { Object.assign(session.data, { at: noon }) })
  app.post('/nan', { schema: guarded }, async ({ session }) => { Object.assign(session.data, { nothing: NaN }) })
  await client.post('/login')
  store.take()
  t.match((await client.post('/date')).json(), { code: 'FST_SESSION_INVALID_DATA', message: /data\.at is an instance of Date/ })
  t.match((await client.post('/nan')).json(), { code: 'FST_SESSION_INVALID_DATA', message: /data\.nothing is NaN/ })
  t.same(store.take().filter((call) => !call.startsWith('read')), [])
})

t.test('data that do not fit the schema are not saved', async (t) => {
  const setup = await setUp(t)
  const { app, client, store } = setup
  app.post('/', { schema: guarded }, async ({ session }) => { session.data.a = 'secret-value' as never })
  await signedIn(setup)
  const response = await client.post('/')
  t.match(response.json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA', message: /do not fit its schema: \/a: Expected integer/ })
  t.notMatch(response.body, /secret-value/)
  t.same(store.take(), ['read'])
  t.notOk('a' in (await client.get('/data')).json())
})

t.test('what is stored is a copy that was checked, whatever the handler put into data', async (t) => {
  const setup = await setUp(t)
  const { app, client } = setup
  app.post('/list', { schema: guarded }, async ({ session }) => { session.data.roles = Object.setPrototypeOf(['admin'], null) })
  app.post('/getter/:looks', { schema: guarded }, async ({ session, params }) => {
    let looks = Number((params as { looks: string }).looks)
    Object.defineProperty(session.data, 'a', { enumerable: true, configurable: true, get: () => looks-- > 0 ? 5 : 'not a number' })
  })
  app.post('/throws', { schema: guarded }, async ({ session }) => {
    Object.defineProperty(session.data, 'a', { enumerable: true, get () { throw new Error('no') } })
  })
  await signedIn(setup)
  t.equal((await client.post('/list')).statusCode, 200)
  t.same((await client.get('/data')).json().roles, ['admin'])
  t.equal((await client.post('/throws')).statusCode, 500)
  for (let looks = 0; looks < 8; looks++) {
    await client.post(`/getter/${looks}`)
    const { exists, a } = (await client.get('/data')).json()
    t.ok(exists)
    t.ok(a === undefined || a === 5)
  }
})

t.test('data over maxSize are refused before the store is asked', async (t) => {
  const { app, client, store } = await setUp(t, { maxSize: 100 })
  app.post('/', { schema: optional }, async ({ session, body }) => { session.data.userId = 'é'.repeat((body as { n: number }).n) })
  const fixed = JSON.stringify({ roles: [], cart: {}, userId: '' }).length
  t.equal((await client.post('/', { n: (100 - fixed) / 2 })).statusCode, 200)
  store.take()
  const response = await client.post('/', { n: (100 - fixed) / 2 + 1 })
  t.match(response.json(), { statusCode: 500, code: 'FST_SESSION_TOO_LARGE', message: /take 102 bytes of JSON, and the option maxSize allows 100/ })
  t.same(store.take(), ['read'])
})
