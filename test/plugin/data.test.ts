import t, { type Test } from 'tap'
import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import { FormatRegistry, type TObject, Type } from '@sinclair/typebox'
import sessionPlugin, { MemoryStore, type SessionEvent } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { Client } from 'fastify-openapi-session/testing'
import { cookies, guarded, optional, setUp, told } from './support.js'

const token = `${'t'.repeat(42)}A`
const id = createHash('sha256').update(token).digest('base64url')
const cookie = `__Host-session=${token}`

/** An app that finds `payload` in its store under a cookie. */
async function finding (t: Test, payload: string, options: { schema?: TObject, migrate?: (data: unknown) => unknown, principal?: (data: any) => string } = {}): Promise<{
  read: () => Promise<{ status: number, body: any }>, write: (body: object) => Promise<number>, events: SessionEvent[], store: MemoryStore
}> {
  const store = new MemoryStore()
  await store.create(id, { payload, version: 1, expiresAt: Date.now() + 60_000 })
  const app = Fastify()
  t.teardown(() => app.close())
  const events: SessionEvent[] = []
  await app.register(sessionPlugin, { store, onEvent: (event: SessionEvent) => { events.push(event) }, ...options } as never)
  app.get('/', { schema: optional }, async ({ session }) => ({ exists: session.exists, data: session.exists ? session.data : null }))
  app.post('/', { schema: guarded }, async ({ session, body }) => { Object.assign(session.data, body) })
  return {
    read: async () => {
      const response = await app.inject({ url: '/', headers: { cookie } })
      return { status: response.statusCode, body: response.json() }
    },
    write: async (body) => (await app.inject({ method: 'POST', url: '/', headers: { cookie }, payload: body })).statusCode,
    events,
    store
  }
}

const now = Date.now()
const life = { createdAt: now, authenticatedAt: now, deadline: now + 60_000, persistent: false }
const stored = (data: unknown, facts: object = {}): string => JSON.stringify({ v: 1, scheme: 'session', ...life, ...facts, data })

t.test('defaults are applied to data stored before the schema had them', async (t) => {
  const schema = Type.Object({ userId: Type.String(), theme: Type.String({ default: 'light' }), deep: Type.Object({ n: Type.Integer({ default: 3 }) }, { default: {} }) })
  const { read, write, events, store } = await finding(t, stored({ userId: 'ada' }), { schema })
  t.same(await read(), { status: 200, body: { exists: true, data: { userId: 'ada', theme: 'light', deep: { n: 3 } } } })
  t.equal((await store.read(id))?.version, 1, 'and by themselves are no change')
  t.equal(await write({ theme: 'dark' }), 200)
  t.same((await read()).body.data, { userId: 'ada', theme: 'dark', deep: { n: 3 } })
  t.same(events, [])
})

t.test('migrate makes older data fit', async (t) => {
  const schema = Type.Object({ name: Type.String(), level: Type.Integer({ default: 1 }) })
  const given: unknown[] = []
  const migrate = (data: unknown): unknown => { given.push(structuredClone(data)); return { name: (data as { user?: { name?: string } }).user?.name } }
  const { read, write, store } = await finding(t, stored({ user: { name: 'Ada' } }), { schema, migrate })
  t.same(await read(), { status: 200, body: { exists: true, data: { name: 'Ada', level: 1 } } })
  t.same(given, [{ user: { name: 'Ada' } }])
  t.equal(await write({ level: 2 }), 200)
  t.match((await store.read(id))?.payload, /"data":\{"name":"Ada","level":2\}\}$/)
  given.length = 0
  t.same((await read()).body.data, { name: 'Ada', level: 2 })
  t.same(given, [], 'what fits is left alone')
})

t.test('what migrate changed is saved with the next change, whatever another version wrote meanwhile', async (t) => {
  const schema = Type.Object({ name: Type.String() }, { additionalProperties: false })
  const migrate = (data: unknown): unknown => ({ name: (data as { user: string }).user })
  const { store, write, read } = await finding(t, stored({ user: 'ada' }), { schema, migrate })
  const record = await store.read(id)
  t.equal(await write({ name: 'Ada' }), 200)
  t.same(await store.update(id, { ...record, payload: stored({ user: 'old code' }), version: 3 } as never), 'updated', 'the version of the app before writes as well')
  t.same((await read()).body.data, { name: 'old code' })
})

t.test('what does not fit is no session, and is told: never a 500', async (t) => {
  const schema = Type.Object({ userId: Type.String() })
  const odd: Array<[string, ((data: unknown) => unknown) | undefined, RegExp]> = [
    ['no migrate', undefined, /\/userId: Expected/],
    ['migrate does not help', (data) => data, /\/userId: Expected/],
    ['migrate throws', () => { throw new TypeError('secret') }, /^migrate threw TypeError$/],
    ['migrate throws something else', () => { throw 'secret' }, /^migrate threw string$/],
    ['migrate gives nothing', () => undefined, /migrate threw/],
    ['migrate gives no JSON', () => ({ userId: 'x', at: new Date() }), /migrate threw SessionError/],
    ['migrate gives a list', () => [], /an object is expected/],
    ['migrate is a promise', async (data) => data, /migrate threw/]
  ]
  for (const [name, migrate, detail] of odd) {
    const { read, events } = await finding(t, stored({ userId: 5, secret: 'hunter2' }), { schema, ...(migrate ? { migrate } : {}) })
    t.same(await read(), { status: 200, body: { exists: false, data: null } }, name)
    t.same(told(events), ['discarded:unfit'])
    t.match(events[0]?.detail, detail)
    t.notMatch(JSON.stringify(events), /hunter2|secret/)
  }
})

t.test('nor is one whose defaults cannot be filled in', async (t) => {
  const schema = Type.Object({ list: Type.Array(Type.String(), { default: [] }), theme: Type.String({ default: 'light' }) })
  const { read, events } = await finding(t, stored({ list: { length: -1 } }), { schema })
  t.same(await read(), { status: 200, body: { exists: false, data: null } })
  t.same(told(events), ['discarded:unfit'])
})

t.test('data that the option principal cannot read are no session, nor in the way of others', async (t) => {
  for (const [principal, detail] of [
    [(data: any) => data.user.id, /^the option principal failed with TypeError$/], [(data: any) => data.user ?? 5, /^the option principal failed with SessionError$/]
  ] as const) {
    const { read, events } = await finding(t, stored({ userId: 'secret' }), { schema: Type.Record(Type.String(), Type.Any()), principal } as never)
    t.same(await read(), { status: 200, body: { exists: false, data: null } })
    t.same(told(events), ['discarded:unfit'])
    t.match(events[0]?.detail, detail)
  }
})

t.test('C25 a stored key "__proto__" becomes nobody\'s prototype when defaults are filled in', async (t) => {
  const schema = Type.Object({ a: Type.Object({ level: Type.Integer({ default: 1 }) }, { default: {} }) })
  const { read, events } = await finding(t, stored(JSON.parse('{"a":{"__proto__":{"level":9,"isAdmin":true}}}')), { schema })
  t.same(await read(), { status: 200, body: { exists: false, data: null } })
  t.match(events, [{ type: 'discarded', reason: 'unfit', detail: /__proto__/ }])
})

t.test('a clock that counts parts of milliseconds is as good as any', async (t) => {
  for (const options of [{}, { store: sealedCookie({ keys: [makeKey()] }) }]) {
    const { app, client } = await setUp(t, { now: () => performance.timeOrigin + performance.now(), ...options })
    app.get('/', { schema: guarded }, async ({ session }) => session.data)
    client.jar.take((await app.session.issue({ userId: 'ada', roles: [], cart: {} })).setCookie)
    t.match((await client.get('/')).json(), { userId: 'ada' })
  }
})

t.test('damaged and unknown payloads are no session: never a 500', async (t) => {
  const good = stored({ userId: 'ada' })
  const payloads = [
    '', ' ', 'null', '[]', '5', '"x"', 'true', '{}', '{"v":1}', good.slice(0, -1), good.slice(1), good.slice(0, 20), `${good}x`, '\u0000',
    JSON.stringify({ v: 2, ...life, data: {} }), JSON.stringify({ ...life, data: {} }), stored(null), stored([]), stored('x'), stored(undefined),
    stored({}, { createdAt: '0' }), stored({}, { createdAt: null }), stored({}, { authenticatedAt: undefined }), stored({}, { deadline: 'x' }), stored({}, { deadline: {} }),
    stored({}, { persistent: 1 }), stored({}, { idleTimeout: '5' }), good.replace(/"deadline":\d+/, '"deadline":1e999'),
    '{"cookie":{"originalMaxAge":null},"passport":{"user":1}}'
  ]
  for (const payload of payloads) {
    const { read, events } = await finding(t, payload)
    t.same(await read(), { status: 200, body: { exists: false, data: null } }, payload)
    t.same(told(events), ['discarded:damaged'], payload)
  }
})

t.test('a record of another scheme is no session of this one', async (t) => {
  for (const scheme of ['admin', undefined, null, 5]) {
    const { read, events } = await finding(t, stored({ userId: 'ada' }, { scheme }))
    t.same(await read(), { status: 200, body: { exists: false, data: null } })
    t.match(events, [{ type: 'discarded', reason: 'unfit', detail: /another security scheme/ }])
  }
})

t.test('the same JSON in another spelling is the same session', async (t) => {
  const { read, write, store } = await finding(t, `{ "data": { "userId": "ad\\u0061", "x": "\\"data\\":" },\n "v": 1, "scheme": "session", "deadline": ${life.deadline}, "createdAt": ${now}, "authenticatedAt": ${now}, "persistent": false, "more": 1 }`)
  t.same((await read()).body, { exists: true, data: { userId: 'ada', x: '"data":' } })
  t.equal((await store.read(id))?.version, 1)
  t.equal(await write({ a: 1 }), 200)
  t.same((await read()).body.data, { userId: 'ada', x: '"data":', a: 1 })
})

t.test('a deadline in the payload holds, whatever the store says', async (t) => {
  const { read, events, store } = await finding(t, stored({}, { deadline: now - 1 }))
  t.same((await read()).body, { exists: false, data: null })
  t.same(told(events), ['expired:absolute'])
  t.equal(await store.read(id), undefined, 'and it is removed')
})

t.test('an expired record that a store hands out is no session', async (t) => {
  const { app, client, store, clock } = await setUp(t, { idleTimeout: 60 })
  app.get('/', { schema: guarded }, async () => 'in')
  client.jar.take((await app.session.issue({ roles: [], cart: {} })).setCookie)
  const read = store.read.bind(store)
  store.read = async (asked) => {
    const record = await read(asked)
    return record && { ...record, expiresAt: clock.now() }
  }
  t.equal((await client.get('/')).statusCode, 401)
})

t.test('a session that was damaged by hand does not hide what the list holds beside it', async (t) => {
  const { app, store, events, clock } = await setUp(t, { principal: (data) => data.userId })
  const { id: good } = await app.session.issue({ userId: 'ada', roles: [], cart: {} })
  await store.inner.create('d'.repeat(43), { payload: 'junk', version: 1, expiresAt: clock.now() + 1000, principal: 'ada' })
  t.same((await app.session.list('ada')).sessions.map((info) => info.id), [good])
  t.same(told(events), ['created:issue', 'discarded:damaged'])
})

t.test('formats that the app has registered with TypeBox are checked', async (t) => {
  FormatRegistry.Set('shout', (value) => value === value.toUpperCase())
  t.teardown(() => { FormatRegistry.Delete('shout') })
  const { app, client } = await setUp(t, { schema: Type.Object({ word: Type.Optional(Type.String({ format: 'shout' })) }) as never })
  app.post('/', { schema: optional }, async ({ session, body }) => { session.set('word' as never, (body as { word: string }).word as never) })
  t.equal((await client.post('/', { word: 'HEY' })).statusCode, 200)
  t.match((await client.post('/', { word: 'hey' })).json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA' })
})

t.test('any schema of TypeBox will do that describes objects', async (t) => {
  const Cat = Type.Object({ kind: Type.Literal('cat'), lives: Type.Integer() })
  const Dog = Type.Object({ kind: Type.Literal('dog') })
  for (const schema of [Type.Union([Cat, Dog]), Type.Intersect([Dog, Type.Object({ a: Type.Optional(Type.Integer()) })]), Type.Recursive((This) => Type.Object({ kind: Type.String(), next: Type.Optional(This) }))]) {
    const { app, client } = await setUp(t, { schema: schema as never })
    app.post('/', { schema: optional }, async ({ session }) => { session.start({ kind: 'dog' } as never) })
    app.get('/', { schema: guarded }, async ({ session }) => session.data)
    t.equal(cookies(await client.post('/')).length, 1)
    t.same((await client.get('/')).json(), { kind: 'dog' })
  }
})

t.test('two versions of an app take turns, and nobody is signed out', async (t) => {
  const store = new MemoryStore()
  const V1 = Type.Object({ name: Type.String(), n: Type.Integer() }, { additionalProperties: false })
  const V2 = Type.Object({ fullName: Type.String(), n: Type.Integer() }, { additionalProperties: false })
  const start = async (options: object): Promise<Client> => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(sessionPlugin, { store, ...options } as never)
    app.post('/', { schema: guarded }, async ({ session }) => { session.set('n' as never, Number(session.get('n' as never)) + 1 as never); return session.data })
    app.post('/in', { schema: optional }, async ({ session }) => { session.start({ name: 'Ada', n: 0 } as never) })
    return new Client(app, jar)
  }
  const { jar } = new Client({ inject: (() => {}) as never })
  const clients = [
    await start({ schema: V1, migrate: ({ fullName, n }: any) => ({ name: fullName, n }) }),
    await start({ schema: V2, migrate: ({ name, n }: any) => ({ fullName: name, n }) })
  ] as const
  await clients[0].post('/in')
  for (let round = 1; round <= 1000; round++) {
    const response = await clients[round % 2 as 0 | 1].post('/')
    if (response.statusCode !== 200 || response.json().n !== round) t.fail(`round ${round}: ${response.statusCode} ${response.body}`)
  }
  t.pass('1,000 requests')
})
