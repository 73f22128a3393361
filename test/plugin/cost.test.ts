import t from 'tap'
import type { HeapProfiler } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { ProbeStore } from '../support/probe-store.js'
import { guarded, makeApp, optional, Visitor } from './support.js'

/** Counts how often somebody looks at the Cookie header of a request. */
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
    const response = await app.inject({ url, headers: { cookie } })
    t.same([response.headers.vary, response.headers['cache-control'], response.headers['set-cookie']], [undefined, undefined, undefined], url)
    t.same({ calls: store.take(), looks: watch.looks, decoded, clock }, { calls: [], looks: 0, decoded: 0, clock: 0 }, url)
  }
  await app.inject({ url: '/declared', headers: { cookie } })
  t.same(store.take(), ['read'], 'the counters do count')
  t.equal(watch.looks, 1)
  t.equal(decoded, 0, 'the token needs no decoding')
})

/** Bytes that a sampling profile of the heap sees allocated by the files of the library, itself or what they call, per request. */
async function allocatedByLibrary (app: FastifyInstance, url: string, cookie: string): Promise<number> {
  const REQUESTS = 1000
  const session = new Session()
  session.connect()
  const ask = async (): Promise<unknown> => await app.inject({ url, headers: { cookie } })
  for (let warm = 0; warm < 100; warm++) await ask()
  await session.post('HeapProfiler.startSampling', { samplingInterval: 512, includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true } as object)
  for (let sent = 0; sent < REQUESTS; sent++) await ask()
  const { profile } = await session.post('HeapProfiler.stopSampling')
  session.disconnect()
  const own = ({ callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode): number =>
    (/\/lib\/(?!testing)[^?]*\.ts$/.test(callFrame.url) ? selfSize : 0) + children.reduce((sum, child) => sum + own(child), 0)
  return own(profile.head) / REQUESTS
}

t.test('no allocation that a profile sees', async (t) => {
  const { app } = makeApp(t, { logger: false })
  await app.register(sessionPlugin, { schema: Visitor })
  app.get('/plain', async () => 'plain')
  app.get('/declared', { schema: guarded }, async () => 'declared')
  const { cookie } = await app.session.issue({ roles: [], cart: {} })
  const [plain, declared] = [await allocatedByLibrary(app, '/plain', cookie), await allocatedByLibrary(app, '/declared', cookie)]
  t.comment(`bytes per request: ${plain.toFixed(0)} on a route that declares nothing, ${declared.toFixed(0)} on one that declares the session`)
  t.ok(declared > 500, 'the profile does see the library where it works')
  t.ok(plain < declared / 20, `${plain} bytes per request`)
})

t.test('what each thing costs in calls of the store', async (t) => {
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
  t.same(await calls('POST', '/renew'), ['read', 'create', 'update'])
  t.same(await calls('POST', '/login'), ['read', 'create', 'update'])
  t.same(await calls('POST', '/logout'), ['read', 'update'])
})
