import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { MemoryStore } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { Client } from 'fastify-openapi-session/testing'
import t from 'tap'
import { ProbeStore } from '../support/probe-store.js'
import { backends } from './backends.js'
import { ask, managerOf, optional, plugin, reported, sessionOf, setCookies } from '../support/harness.js'
import { only } from './place.js'
import { alone, COOKIE, createWorld, onEach, replay, sessionsOf, tokenOf } from './support.js'

onEach(t, 'two apps in one process share nothing', async (t, backend) => {
  const [one, two] = [await createWorld(t, backend), await createWorld(t, backend)]
  const ada = await one.signedIn('ada')
  const bob = await two.signedIn('bob')
  t.equal(await replay(two, tokenOf(ada)), 401)
  t.equal(await replay(one, tokenOf(bob)), 401)
  t.equal((await ada.get('/me')).json<{ userId: string }>().userId, 'ada')
  t.equal((await bob.get('/me')).json<{ userId: string }>().userId, 'bob')
  await one.app.close()
  t.equal((await bob.get('/me')).statusCode, 200, 'the end of one is not that of the other')
})

alone.test('two registrations in one app, with other stores, schemas, timeouts and cookies, do not meet', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const shop = new MemoryStore()
  await app.register(plugin, { store: shop, principal: (data) => data.userId, idleTimeout: 60 })
  await app.register(plugin, {
    scheme: 'staff', store: sealedCookie({ keys: [makeKey()] }), cookie: { name: '__Host-staff' }, schema: Type.Object({ name: Type.String() }), principal: (data) => data.name
  })
  const both = [{ session: [] }, { staff: [] }, {}]
  app.post('/login', { schema: { security: both } }, async (request) => { sessionOf(request).start({ userId: 'ada' }) })
  app.post('/staff', { schema: { security: both } }, async (request) => { sessionOf(request, 'staff').start({ name: 'eve' }) })
  app.get('/shop', { schema: { security: [{ session: [] }] } }, async (request) => sessionOf(request).data)
  app.get('/desk', { schema: { security: [{ staff: [] }] } as never }, async (request) => sessionOf(request, 'staff').data)
  app.post('/logout', { schema: { security: both } }, async (request) => { sessionOf(request).destroy() })
  const client = new Client(app)
  await client.post('/login')
  t.same([(await client.get('/shop')).statusCode, (await client.get('/desk')).statusCode], [200, 401])
  await client.post('/staff')
  t.same([(await client.get('/shop')).json(), (await client.get('/desk')).json()], [{ userId: 'ada' }, { name: 'eve' }])
  const [line = '', other = ''] = setCookies(await client.post('/logout'))
  t.match(line, /^__Host-session=;/)
  t.equal(other, '')
  t.same([(await client.get('/shop')).statusCode, (await client.get('/desk')).statusCode], [401, 200])
  t.equal(shop.size, 0)
  for (const [from, to, url] of [['__Host-staff', COOKIE, '/shop'], [COOKIE, '__Host-staff', '/desk']] as const) {
    t.equal((await ask(app, url, `${to}=${client.jar.get(from) ?? ''}`)).statusCode, 401, 'the cookie of one is none of the other')
  }
})

alone.test('a cookie of one scheme opens no session of another scheme in the same store', async (t) => {
  const inner = new MemoryStore()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { store: new ProbeStore(inner), principal: (data) => data.userId })
  await app.register(plugin, { scheme: 'admin', store: new ProbeStore(inner), cookie: { name: '__Host-admin' }, principal: (data) => data.userId })
  app.get('/admin', { schema: { security: [{ admin: [] }] } as never }, async () => 'secret')
  app.get('/shop', { schema: { security: [{ session: [] }] } }, async () => 'tea')
  const { cookie } = await managerOf(app).issue({ userId: 'ada' })
  t.equal((await ask(app, '/shop', cookie)).statusCode, 200)
  t.equal((await ask(app, '/admin', cookie.replace(COOKIE, '__Host-admin'))).statusCode, 401)
  t.same(await sessionsOf(app, 'ada', 'admin'), [])
})

const RESERVED = ['__proto__', 'constructor', 'prototype', 'cookie', 'save', 'toString', 'hasOwnProperty', 'valueOf', 'toJSON', 'then', 'destroy', 'id', 'data', 'v', 'deadline', 'get', 'set', '__defineGetter__', '$ref', '']

onEach(t, 'keys such as __proto__ are plain data', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { app } = world
  app.post('/key', { schema: optional }, async (request) => {
    const { key, value, how } = request.body as { key: string, value: unknown, how: string }
    const session = sessionOf(request)
    if (how === 'set') session.set(key, value)
    else if (how === 'update') await session.update((data: any) => { Object.defineProperty(data, key, { value, enumerable: true, configurable: true, writable: true }) })
    else if (how === 'regenerate') await session.regenerate([key, 'userId'])
    else if (how === 'unset') session.unset(key)
    return { value: session.get(key) ?? null, has: Object.hasOwn(session.data, key) }
  })
  for (const key of RESERVED) {
    const ada = await world.signedIn()
    const ask = async (how: string, value: unknown = null): Promise<unknown> => (await ada.post('/key', { how, key, value })).json()
    t.same(await ask('read'), { value: null, has: false }, `${key}: absent`)
    t.same(await ask('set', { a: 1 }), { value: { a: 1 }, has: true }, `${key}: set`)
    t.same(await ask('read'), { value: { a: 1 }, has: true }, `${key}: kept`)
    t.same(await ask('update', 5), { value: 5, has: true }, `${key}: update()`)
    t.same(await ask('regenerate'), { value: 5, has: true }, `${key}: regenerate()`)
    const parallel = await Promise.all([ask('set', 7), ada.post('/put', { other: 1 })])
    t.same(parallel[0], { value: 7, has: true })
    t.equal((await ada.get('/me')).statusCode, 200)
    t.same(await ask('unset'), { value: null, has: false }, `${key}: unset`)
    t.same(await ask('read'), { value: null, has: false }, `${key}: gone`)
  }
  t.equal(({} as { a?: number }).a, undefined, 'no prototype was touched')
  t.notOk(world.events.some(({ reason }) => reason === 'server-error'))
})

alone.test('data with a prototype grant no role', async (t) => {
  const world = await createWorld(t)
  world.app.post('/raw', { schema: optional }, async (request) => { sessionOf(request).start(JSON.parse((request.body as { text: string }).text)) })
  for (const text of ['{"userId":"ada","__proto__":{"roles":["admin"]}}', '{"userId":"ada","constructor":{"prototype":{"roles":["admin"]}}}', '{"__proto__":{"userId":"ada","roles":["admin"]}}']) {
    const client = world.visitor()
    await client.post('/raw', { text })
    t.not((await client.get('/admin')).statusCode, 200, text)
  }
  t.notOk('roles' in {})
})

alone.test('scheme names that are names of JavaScript are refused, or work like any other', async (t) => {
  for (const scheme of ['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'then', 'log', 'server', 'body', 'headers', 'raw', 'ready', 'close', 'inject', 'a b', 'a\r\nb', '']) {
    const app = Fastify()
    try {
      await app.register(plugin, { scheme, cookie: { name: 'x' } })
      app.get('/', { schema: { security: [JSON.parse(`{${JSON.stringify(scheme)}:[]}`)] } }, async () => 'in')
      t.equal((await app.inject('/')).statusCode, 401, `${scheme} is enforced`)
    } catch (error) {
      t.equal((error as { code?: string }).code, 'FST_SESSION_OPTIONS', `${scheme} is refused`)
    } finally {
      await app.close()
    }
  }
})

alone.test('a requirement that is hidden from Object.entries does not open a route', async (t) => {
  for (const requirement of [Object.create({ session: [] }), new Map([['session', []]]), new (class { get session (): [] { return [] } })(), [], 'session', 5, null, undefined, () => []]) {
    const app = Fastify()
    await app.register(plugin)
    app.get('/', { schema: { security: [requirement] } as never }, async () => 'in')
    await t.rejects(async () => app.ready(), { code: 'FST_SESSION_OPTIONS' })
    await app.close()
  }
})

alone.test('data over the limit are refused before the store is called', async (t) => {
  const probe = new ProbeStore()
  const world = await createWorld(t, only(probe, { count: async () => (probe.inner as MemoryStore).size }), { maxSize: 1000 })
  const ada = await world.signedIn()
  probe.take()
  const tooLarge = await ada.post('/put', { text: 'x'.repeat(1000) })
  t.equal(tooLarge.statusCode, 500)
  t.equal(tooLarge.json<{ code: string }>().code, 'FST_SESSION_TOO_LARGE')
  t.same(probe.take(), ['read'])
  t.equal((await world.visitor().post('/login', { userId: 'x'.repeat(1000) })).statusCode, 500)
  t.same(probe.take(), [])
  const room = 1000 - Buffer.byteLength(JSON.stringify({ userId: 'ada', roles: [], text: '' }))
  t.equal((await ada.post('/put', { text: 'é'.repeat(room / 2 + 1) })).statusCode, 500, 'bytes count, not characters')
  t.equal((await ada.post('/put', { text: 'é'.repeat(Math.floor(room / 2)) })).statusCode, 200)
})

alone.test('a MemoryStore never holds more than maxSessions', async (t) => {
  const store = new MemoryStore({ maxSessions: 100 })
  const world = await createWorld(t, only(store, { count: async () => store.size }))
  for (let i = 0; i < 500; i++) {
    await world.visitor().post('/put', { cart: i })
    if (store.size > 100) t.fail(`${store.size} sessions`)
  }
  t.equal(store.size, 100)
})

onEach(t, 'each thing that happens is reported in exactly one event, with its reason', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { events, clock } = world
  const ada = world.visitor()
  const happens = async (what: () => unknown): Promise<string[]> => {
    events.length = 0
    await what()
    return reported(events)
  }
  t.same(await happens(() => ada.get('/seen')), [])
  t.same(await happens(() => ada.get('/me')), ['rejected:unauthenticated'])
  t.same(await happens(() => ada.post('/put', { cart: 1 })), ['created:first-write'])
  t.same(await happens(() => ada.get('/me')), ['rejected:unauthenticated'])
  t.same(await happens(() => ada.post('/put', { cart: 2 })), [], 'a save is no event')
  const login = await happens(() => ada.post('/login', { userId: 'ada' }))
  t.same(login.toSorted(), backend.sealed ? ['created:start'] : ['created:start', 'destroyed:replaced'])
  t.same(await happens(() => ada.get('/me')), [])
  t.same(await happens(() => ada.get('/admin')), ['rejected:forbidden'])
  t.same(await happens(() => ada.post('/do/renew')), ['renewed:renew'])
  t.same(await happens(() => ada.post('/do/become')), ['renewed:principal'])
  t.same(await happens(() => ada.post('/do/regenerate')), ['renewed:regenerate'])
  t.same(await happens(() => ada.inject({ method: 'POST', url: '/put', headers: { origin: 'https://evil.example' } })), ['rejected:cross-origin'])
  t.same(await happens(() => ask(world.app, '/seen', `${COOKIE}=x`)), ['rejected:malformed-cookie'])
  t.same(await happens(() => ask(world.app, '/seen', `${COOKIE}=x; ${COOKIE}=y`)), ['rejected:duplicate-cookie'])
  t.same(await happens(() => ada.post('/logout')), ['destroyed:destroy'])
  t.same(await happens(() => ada.post('/logout')), [])
  t.same(await happens(() => managerOf(world.app).issue({ userId: 'ada' })), ['created:issue'])
  const bob = await world.signedIn('bob')
  clock.advance(1_800_001)
  t.same(await happens(() => bob.get('/seen')), ['expired:absent'])
  if (!backend.sealed) {
    await world.signedIn('bob')
    t.same(await happens(async () => managerOf(world.app).revoke(((await sessionsOf(world.app, 'bob'))[0] as { id: string }).id)), ['destroyed:revoke'])
    await world.signedIn('bob')
    for (const _ of [1, 2]) await world.signedIn('bob')
    t.same(await happens(() => managerOf(world.app).revokeAll('bob')), ['destroyed:revoke'], 'one for all of them')
    t.match(events, [{ id: undefined, principal: 'bob', detail: '3 sessions' }])
    t.same(await happens(() => managerOf(world.app).revokeAll('bob')), [])
    t.same(await happens(() => managerOf(world.app).revoke('A'.repeat(22))), [], 'no event for a session that does not exist')
  }
})

onEach(t, 'the end of a session at its absolute deadline is reported once', async (t, backend) => {
  const { events, clock, signedIn } = await createWorld(t, backend, { idleTimeout: 600, absoluteTimeout: 3600 })
  const ada = await signedIn()
  for (let second = 500; second <= 3500; second += 500) {
    clock.advance(500_000)
    t.equal((await ada.get('/me')).statusCode, 200)
  }
  clock.advance(100_001)
  events.length = 0
  await ada.get('/seen')
  t.match(events, [{ type: 'expired', reason: backend.sealed ? 'absolute' : 'absent' }])
  t.equal(events.length, 1)
})

alone.test('each event names scheme, session and principal, and never a token', async (t) => {
  const world = await createWorld(t)
  const ada = await world.signedIn()
  const tokens = [tokenOf(ada)]
  await ada.post('/do/renew')
  tokens.push(tokenOf(ada))
  await ada.post('/logout')
  for (const event of world.events) t.match(event, { scheme: 'session', id: /^[\w-]{22}$/, principal: 'ada' })
  for (const token of tokens) t.notMatch(JSON.stringify(world.events), token)
})

alone.test('a listener that throws is logged, and the request goes on', async (t) => {
  const world = await createWorld(t, backends['memory'], { onEvent: () => { throw new Error('listener broke') } })
  t.equal((await (await world.signedIn()).get('/me')).statusCode, 200)
  t.match(JSON.stringify(world.log), /listener broke/)
})
