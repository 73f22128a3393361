import t, { type Test } from 'tap'
import { createHook } from 'node:async_hooks'
import type { HeapProfiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import { setImmediate as turn } from 'node:timers/promises'
import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, InjectOptions } from 'fastify'
import sessionPlugin, { MemoryStore, type SessionStore } from 'fastify-openapi-session'
import { createGate } from '../support/gate.js'
import { ProbeStore } from '../support/probe-store.js'
import { ask, guarded, makeApp, optional, stopTimers } from '../support/harness.js'
import { Visitor } from './support.js'

/** Counts how often the Cookie header of a request is read. */
function watchCookieHeader (app: FastifyInstance): { looks: number } {
  const watch = { looks: 0 }
  app.addHook('onRequest', async ({ raw: { headers } }) => {
    const { cookie } = headers
    Object.defineProperty(headers, 'cookie', { get () { watch.looks++; return cookie } })
  })
  return watch
}

t.test('a route that declares nothing costs nothing', async (t) => {
  const { app } = makeApp(t)
  const store = new ProbeStore()
  const watch = watchCookieHeader(app)
  let decoded = 0
  await app.register(fastifyCookie, { hook: false, parseOptions: { decode: (text: string) => { decoded++; return text } } as never })
  let clock = 0
  await app.register(sessionPlugin, { schema: Visitor, store, now: () => { clock++; return Date.now() } })
  app.get('/plain', async () => 'plain')
  app.get('/empty', { schema: { security: [] } }, async () => 'empty')
  app.get('/declared', { schema: optional }, async () => 'declared')
  const { cookie } = await app.session.issue({ roles: [], cart: {} })
  store.take()
  clock = 0
  for (const url of ['/plain', '/empty', '/nowhere']) {
    const response = await ask(app, url, cookie)
    t.same([response.headers.vary, response.headers['cache-control'], response.headers['set-cookie']], [undefined, undefined, undefined], url)
    t.same({ calls: store.take(), looks: watch.looks, decoded, clock }, { calls: [], looks: 0, decoded: 0, clock: 0 }, url)
  }
  await ask(app, '/declared', cookie)
  t.same(store.take(), ['read'], 'the counters do count')
  t.equal(watch.looks, 1)
  t.equal(decoded, 0, 'a credential needs no decoding')
})

/** Bytes that a sampling profile of the heap sees allocated by the files of the library, itself or what they call, per request. */
async function allocatedByLibrary (app: FastifyInstance, url: string, cookie: string): Promise<number> {
  const REQUESTS = 1000
  const session = new Session()
  session.connect()
  for (let warm = 0; warm < 100; warm++) await ask(app, url, cookie)
  await session.post('HeapProfiler.startSampling', { samplingInterval: 512, includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true } as object)
  for (let sent = 0; sent < REQUESTS; sent++) await ask(app, url, cookie)
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  const own = ({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number =>
    (/\/lib\/(?!testing)[^?]*\.ts$/.test(callFrame.url) ? selfSize : 0) + children.reduce((sum, child) => sum + own(child), 0)
  return own(profile.head) / REQUESTS
}

t.test('a route that declares nothing allocates nothing but the object that Fastify makes of its route options', async (t) => {
  const { app } = makeApp(t, { logger: false })
  await app.register(sessionPlugin, { schema: Visitor })
  app.get('/plain', async () => 'plain')
  app.get('/declared', { schema: guarded }, async () => 'declared')
  const { cookie } = await app.session.issue({ roles: [], cart: {} })
  const [plain, declared] = [await allocatedByLibrary(app, '/plain', cookie), await allocatedByLibrary(app, '/declared', cookie)]
  t.comment(`bytes per request: ${plain.toFixed(0)} on a route that declares nothing, ${declared.toFixed(0)} on one that declares the session`)
  t.ok(declared > 500, 'the profile does see the library where it works')
  t.ok(plain < 300, `${plain} bytes per request`)
})

t.test('what each operation costs in calls of the store', async (t) => {
  const { app } = makeApp(t)
  const store = new ProbeStore()
  await app.register(sessionPlugin, { schema: Visitor, store, principal: (data) => data.userId })
  app.get('/read', { schema: guarded }, async ({ session }) => session.data)
  app.get('/unused', { schema: optional }, async () => '')
  app.post('/write', { schema: guarded }, async ({ session }) => { session.data.a = (session.data.a ?? 0) + 1 })
  app.post('/login', { schema: optional }, async ({ session }) => { session.start({ userId: 'ada', roles: [], cart: {} }) })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  app.post('/logout', { schema: guarded }, async ({ session }) => { session.destroy() })
  let cookie = ''
  const calls = async (method: 'GET' | 'POST', url: string): Promise<string[]> => {
    const response = await app.inject({ method, url, headers: { cookie } })
    t.equal(response.statusCode, 200)
    const [set] = [response.headers['set-cookie']].flat()
    if (set !== undefined) cookie = set.split(';')[0] as string
    return store.take()
  }
  t.same(await calls('GET', '/unused'), [])
  t.same(await calls('POST', '/login'), ['create'])
  t.same(await calls('GET', '/unused'), ['read'])
  t.same(await calls('GET', '/read'), ['read'])
  t.same(await calls('POST', '/write'), ['read', 'update'])
  t.same(await calls('POST', '/renew'), ['read', 'update'])
  t.same(await calls('POST', '/login'), ['read', 'create', 'delete'])
  t.same(await calls('POST', '/logout'), ['read', 'delete'])
})

interface Cost {
  readonly promises: number
  readonly timers: number
  readonly stringify: number
  readonly calls: readonly string[]
}

/** Counts the promises, timers and calls of `JSON.stringify` that a request costs, and what it asks of the store. */
async function costOf (t: Test, app: FastifyInstance, request: () => Promise<InjectOptions>, store?: ProbeStore): Promise<Cost> {
  // Compiled code and caches are in place after a first request.
  await app.inject(await request())
  const measured = await request()
  store?.take()
  const cost = { promises: 0, timers: 0, stringify: 0 }
  const { stringify } = JSON
  const intercepted = t.intercept(JSON, 'stringify', { value: (...all: Parameters<typeof stringify>) => { cost.stringify++; return stringify(...all) } })
  const hook = createHook({ init (_id, type) { if (type === 'PROMISE') cost.promises++; else if (type === 'Timeout') cost.timers++ } }).enable()
  const { statusCode } = await app.inject(measured)
  hook.disable()
  intercepted.restore()
  t.equal(statusCode, 200)
  return { ...cost, calls: store?.take() ?? [] }
}

/** Returns a function that measures a route, over what it costs without the plugin. */
async function meter (t: Test, store: ProbeStore): Promise<(method: 'GET' | 'POST', url: string) => Promise<Cost>> {
  const { app: bare } = makeApp(t, { logger: false })
  const { app } = makeApp(t, { logger: false })
  await app.register(sessionPlugin, { schema: Visitor, store, principal: (data) => data.userId })
  const ada = { userId: 'ada', roles: ['admin'], cart: { tea: 1 } }
  bare.get('/', async () => 'x')
  app.get('/plain', async () => 'x')
  app.get('/read', { schema: guarded }, async ({ session }) => { session.get('userId'); return 'x' })
  app.get('/data', { schema: guarded }, async ({ session }) => { session.get('cart')?.['tea']?.toString(); return 'x' })
  app.post('/write', { schema: guarded }, async ({ session }) => { session.set('a', (session.get('a') ?? 0) + 1); return 'x' })
  app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada); return 'x' })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew(); return 'x' })
  app.post('/logout', { schema: optional }, async ({ session }) => { session.destroy(); return 'x' })
  const base = await costOf(t, bare, async () => ({ url: '/' }))
  return async (method, url) => {
    const request = async (): Promise<InjectOptions> => ({ method, url, headers: { cookie: (await app.session.issue(ada)).cookie } })
    const { promises, timers, stringify, calls } = await costOf(t, app, request, store)
    return { promises: promises - base.promises, timers: timers - base.timers, stringify: stringify - base.stringify, calls }
  }
}

t.test('a request with a store in the process makes no promise and no timer, and writes its data once', async (t) => {
  const costOfRoute = await meter(t, new ProbeStore())
  const free = { promises: 0, timers: 0, stringify: 0 }
  t.same(await costOfRoute('GET', '/plain'), { ...free, calls: [] })
  t.same(await costOfRoute('GET', '/read'), { ...free, calls: ['read'] })
  t.same(await costOfRoute('GET', '/data'), { ...free, calls: ['read'] })
  t.same(await costOfRoute('POST', '/write'), { ...free, stringify: 1, calls: ['read', 'update'] })
  t.same(await costOfRoute('POST', '/renew'), { ...free, stringify: 1, calls: ['read', 'update'] })
  t.same(await costOfRoute('POST', '/login'), { ...free, stringify: 1, calls: ['read', 'create', 'delete'] })
  t.same(await costOfRoute('POST', '/logout'), { ...free, calls: ['read', 'delete'] })
})

/** A store that returns one promise for each call, as one outside of the process does. */
function promised (store: SessionStore): SessionStore {
  return new Proxy(store, {
    get (target, name: keyof SessionStore) {
      const member: unknown = target[name]
      if (typeof member !== 'function') return member
      return async (...all: unknown[]): Promise<unknown> => member.apply(target, all) as unknown
    }
  })
}

t.test('a request with a store outside of the process makes few promises, and shares the timer of other requests', async (t) => {
  const costOfRoute = await meter(t, new ProbeStore(promised(new MemoryStore())))
  const budgets = [
    ['GET', '/plain', { promises: 0, timers: 0, stringify: 0, calls: [] }],
    ['GET', '/read', { promises: 8, timers: 0, stringify: 0, calls: ['read'] }],
    ['GET', '/data', { promises: 8, timers: 0, stringify: 0, calls: ['read'] }],
    ['POST', '/write', { promises: 21, timers: 0, stringify: 1, calls: ['read', 'update'] }],
    ['POST', '/renew', { promises: 21, timers: 0, stringify: 1, calls: ['read', 'update'] }],
    ['POST', '/login', { promises: 23, timers: 0, stringify: 1, calls: ['read', 'create', 'delete'] }],
    ['POST', '/logout', { promises: 19, timers: 0, stringify: 0, calls: ['read', 'delete'] }]
  ] as const
  for (const [method, url, { promises, ...others }] of budgets) {
    const { promises: made, ...counted } = await costOfRoute(method, url)
    t.same(counted, others, url)
    t.ok(made <= promises, `${url}: ${made} promises of ${promises}`)
  }
})

type Data = Record<string, unknown>

/** Sends requests at once, and returns how many store calls they made. */
async function storm (apps: readonly FastifyInstance[], store: ProbeStore, requests: readonly InjectOptions[]): Promise<{ calls: number, statuses: number[] }> {
  store.take()
  const responses = await Promise.all(requests.map((request, index) => (apps[index % apps.length] as FastifyInstance).inject(request)))
  return { calls: store.take().length, statuses: [...new Set(responses.map(({ statusCode }) => statusCode))] }
}

t.test('n parallel requests of one session make about n store calls, and no change is lost', async (t) => {
  const N = 300
  // Of a busy machine, no request takes so long that it times out or is judged again.
  stopTimers(t)
  const store = new ProbeStore()
  store.before = async () => { await new Promise(setImmediate) }
  const apps: FastifyInstance[] = []
  for (let n = 0; n < 2; n++) {
    const { app } = makeApp(t, { logger: false })
    await app.register(sessionPlugin, { schema: Visitor, store, principal: (data) => data.userId, maxPerPrincipal: 1_000 })
    app.post('/keys/:key', { schema: optional }, async ({ session, params }) => { session.set((params as { key: string }).key as never, 1 as never) })
    app.post('/update', { schema: guarded }, async ({ session }) => { await session.update((data) => { data.a = (data.a ?? 0) + 1 }) })
    app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
    app.post('/logout', { schema: optional }, async ({ session }) => { session.destroy() })
    apps.push(app)
  }
  const [one] = apps as [FastifyInstance]
  const all = (url: (n: number) => string, headers: Record<string, string>): InjectOptions[] =>
    Array.from({ length: N }, (_, n) => ({ method: 'POST', url: url(n), headers }))
  const issue = async (): Promise<{ id: string, headers: { cookie: string } }> => {
    const { id, cookie } = await one.session.issue({ userId: 'ada', roles: [], cart: {} })
    return { id, headers: { cookie } }
  }
  const changes = {
    '/update': (data: Data) => data['a'] === N,
    '/keys': (data: Data) => Object.keys(data).filter((key) => /^k\d+$/.test(key)).length === N,
    '/renew': () => true
  }
  // Compare-and-set decides between processes, so that some writes are made again there.
  for (const [used, most] of [[[one], 2 * N], [apps, 4 * N]] as const) {
    for (const [url, isComplete] of Object.entries(changes)) {
      const { id, headers } = await issue()
      const { calls, statuses } = await storm(used, store, all((n) => url === '/keys' ? `/keys/k${n}` : url, headers))
      t.same(statuses, [200], url)
      t.ok(calls <= most, `${url} in ${used.length}: ${calls} calls for ${N} requests`)
      t.ok(isComplete((await one.session.find(id))?.data as Data), `${url}: every change is there`)
    }
    const { id, headers } = await issue()
    t.same(await storm(used, store, all(() => '/logout', headers)), { calls: 2 * N, statuses: [200] })
    t.equal(await one.session.find(id), undefined)
    t.same(await storm(used, store, all((n) => `/keys/k${n}`, {})), { calls: N, statuses: [200] }, 'without a cookie each request begins a session')
  }
})

t.test('while one write does not return, the writers behind it are 503 and do not write', async (t) => {
  const store = new ProbeStore()
  const { app } = makeApp(t, { logger: false })
  await app.register(sessionPlugin, { schema: Visitor, store, storeTimeout: 2 })
  app.post('/', { schema: guarded }, async ({ session }) => { session.set('a', 1) })
  const { cookie } = await app.session.issue({ roles: [], cart: {} })
  const N = 50
  const pass = stopTimers(t)
  const [first, loaded] = [createGate(), createGate()]
  let reads = 0
  store.before = async ({ method }) => {
    if (method === 'update') await first.pass()
    else if (++reads === N) void loaded.pass()
  }
  const responses = storm([app], store, Array.from({ length: N }, () => ({ method: 'POST', url: '/', headers: { cookie } })))
  await Promise.all([first.reached, loaded.reached])
  await turn()
  pass(2)
  t.same(await responses, { calls: N + 1, statuses: [503] })
})

t.test('of large data, only the values that changed are written as JSON again, and the rest is not lost', async (t) => {
  const { app } = makeApp(t, { logger: false })
  const { app: other } = makeApp(t, { logger: false })
  const store = new MemoryStore()
  for (const each of [app, other]) await each.register(sessionPlugin, { schema: Visitor, store })
  app.post('/', { schema: guarded }, async ({ session }) => {
    const a = (session.get('a') ?? 0) + 1
    session.set('a', a)
    if (a === 5) session.data.cart['"tea\u2028"'] = a
  })
  const cart = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`item ${n}`, n]))
  const { id, cookie } = await app.session.issue({ roles: ['reader'], cart })
  const post = async (): Promise<unknown> => await app.inject({ method: 'POST', url: '/', headers: { cookie } })
  await post()
  await post()
  const written: unknown[] = []
  const { stringify } = JSON
  const intercepted = t.intercept(JSON, 'stringify', { value: (...all: Parameters<typeof stringify>) => { written.push(all[0]); return stringify(...all) } })
  await post()
  intercepted.restore()
  t.ok(written.includes(3), 'the new value is written')
  t.notOk(stringify(written).includes('item'), 'the values that stayed are not')
  await post()
  await post()
  // The app that wrote the payload knows its content without reading it.
  for (const each of [app, other]) t.same((await each.session.find(id))?.data, { a: 5, roles: ['reader'], cart: { ...cart, '"tea\u2028"': 5 } })
})
