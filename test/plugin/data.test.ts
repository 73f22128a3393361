import t, { type Test } from 'tap'
import { createHash } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { FormatRegistry, type TObject, Type } from '@sinclair/typebox'
import sessionPlugin, { MemoryStore, type SessionEvent } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { Client } from 'fastify-openapi-session/testing'
import { ask, guarded, makeApp, optional, reported, setCookies } from '../support/harness.js'
import { setUp, Visitor } from './support.js'

const id = `${'i'.repeat(21)}A`
const secret = `${'t'.repeat(42)}A`
const secretHash = createHash('sha256').update(secret).digest('base64url')
const cookie = `__Host-session=${id}.${secret}`

const HOUR = 3_600_000

/** An app that finds `payload` in its store under a cookie. */
async function finding (t: Test, payload: string, options: { schema?: TObject, migrate?: (data: unknown) => unknown, principal?: (data: any) => string } = {}): Promise<{
  app: FastifyInstance, read: () => Promise<{ status: number, body: any }>, write: (body: object) => Promise<number>, events: SessionEvent[], store: MemoryStore
}> {
  const store = new MemoryStore()
  store.create(id, { payload, version: 1, expiresAt: Date.now() + HOUR })
  const app = Fastify()
  t.teardown(() => app.close())
  const events: SessionEvent[] = []
  await app.register(sessionPlugin, { store, onEvent: (event: SessionEvent) => { events.push(event) }, ...options } as never)
  app.get('/', { schema: optional }, async ({ session }) => ({ exists: session.exists, data: session.exists ? session.data : null }))
  app.post('/', { schema: guarded }, async ({ session, body }) => { Object.assign(session.data, body) })
  return {
    app,
    read: async () => {
      const response = await ask(app, '/', cookie)
      return { status: response.statusCode, body: response.json() }
    },
    write: async (body) => (await app.inject({ method: 'POST', url: '/', headers: { cookie }, payload: body })).statusCode,
    events,
    store
  }
}

const now = Date.now()
const life = { at: now, ms: HOUR }
const stored = (data: unknown, facts: object = {}): string => JSON.stringify({ hash: secretHash, ...life, ...facts, data })

t.test('defaults are applied to data stored before the schema had them', async (t) => {
  const schema = Type.Object({ userId: Type.String(), theme: Type.String({ default: 'light' }), deep: Type.Object({ n: Type.Integer({ default: 3 }) }, { default: {} }) })
  const { read, write, events, store } = await finding(t, stored({ userId: 'ada' }), { schema })
  t.same(await read(), { status: 200, body: { exists: true, data: { userId: 'ada', theme: 'light', deep: { n: 3 } } } })
  t.equal((store.read(id))?.version, 1, 'and by themselves are no change')
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
  t.match((store.read(id))?.payload, /"data":\{"name":"Ada","level":2\}\}$/)
  given.length = 0
  t.same((await read()).body.data, { name: 'Ada', level: 2 })
  t.same(given, [], 'what fits is left alone')
})

t.test('what migrate changed is saved with the next change, and what another version of the app wrote is migrated, too', async (t) => {
  const schema = Type.Object({ name: Type.String() }, { additionalProperties: false })
  const migrate = (data: unknown): unknown => ({ name: (data as { user: string }).user })
  const { store, write, read } = await finding(t, stored({ user: 'ada' }), { schema, migrate })
  const record = store.read(id)
  t.equal(await write({ name: 'Ada' }), 200)
  t.same(store.update(id, { ...record, payload: stored({ user: 'old code' }), version: 3 } as never), 'updated', 'the version of the app before writes as well')
  t.same((await read()).body.data, { name: 'old code' })
})

t.test('a record whose data do not fit is an absent session, and is reported: never a 500', async (t) => {
  const schema = Type.Object({ userId: Type.String() })
  const odd: Array<[string, ((data: unknown) => unknown) | undefined, RegExp]> = [
    ['no migrate', undefined, /\/userId: Expected/],
    ['migrate does not help', (data) => data, /\/userId: Expected/],
    ['migrate throws', () => { throw new TypeError('secret') }, /^The option migrate threw TypeError\.$/],
    ['migrate throws something else', () => { throw 'secret' }, /^The option migrate threw string\.$/],
    ['migrate returns nothing', () => undefined, /data is of type undefined/],
    ['migrate returns what JSON cannot hold', () => ({ userId: 'x', at: new Date() }), /data\.at is an instance of Date/],
    ['migrate returns a list', () => [], /an object is expected/],
    ['migrate is asynchronous', async (data) => data, /data is an instance of Promise/]
  ]
  for (const [name, migrate, detail] of odd) {
    const { read, events } = await finding(t, stored({ userId: 5, secret: 'hunter2' }), { schema, ...(migrate ? { migrate } : {}) })
    t.same(await read(), { status: 200, body: { exists: false, data: null } }, name)
    t.same(reported(events), ['discarded:unfit'])
    t.match(events[0]?.detail, detail)
    t.notMatch(JSON.stringify(events), /hunter2|secret/)
  }
})

t.test('a record whose defaults cannot be filled in is an absent session', async (t) => {
  const schema = Type.Object({ list: Type.Array(Type.String(), { default: [] }), theme: Type.String({ default: 'light' }) })
  const { read, events } = await finding(t, stored({ list: { length: -1 } }), { schema })
  t.same(await read(), { status: 200, body: { exists: false, data: null } })
  t.same(reported(events), ['discarded:unfit'])
})

t.test('a record that the option principal cannot read is an absent session', async (t) => {
  for (const [principal, detail] of [
    [(data: any) => data.user.id, /^The option principal threw TypeError\.$/], [(data: any) => data.user ?? 5, /^The option principal returned number instead of text/]
  ] as const) {
    const { read, events } = await finding(t, stored({ userId: 'secret' }), { schema: Type.Record(Type.String(), Type.Any()), principal } as never)
    t.same(await read(), { status: 200, body: { exists: false, data: null } })
    t.same(reported(events), ['discarded:unfit'])
    t.match(events[0]?.detail, detail)
  }
})

t.test('a stored key "__proto__" becomes no object\'s prototype when defaults are filled in', async (t) => {
  const schema = Type.Object({ a: Type.Object({ level: Type.Integer({ default: 1 }) }, { default: {} }) })
  const { read, events } = await finding(t, stored(JSON.parse('{"a":{"__proto__":{"level":9,"isAdmin":true}}}')), { schema })
  t.same(await read(), { status: 200, body: { exists: false, data: null } })
  t.match(events, [{ type: 'discarded', reason: 'unfit', detail: /data\.a is an instance of Object/ }])
})

t.test('a clock may count parts of milliseconds', async (t) => {
  for (const options of [{}, { store: sealedCookie({ keys: [makeKey()] }) }]) {
    const { app, client } = await setUp(t, { now: () => performance.timeOrigin + performance.now(), ...options })
    app.get('/', { schema: guarded }, async ({ session }) => session.data)
    client.jar.take((await app.session.issue({ userId: 'ada', roles: [], cart: {} })).setCookie)
    t.match((await client.get('/')).json(), { userId: 'ada' })
  }
})

t.test('a record with a damaged or unknown payload is an absent session: never a 500', async (t) => {
  const good = stored({ userId: 'ada' })
  const payloads = [
    '', ' ', 'null', '[]', '5', '"x"', 'true', '{}', '{"v":1}', good.slice(0, -1), good.slice(1), good.slice(0, 20), `${good}x`, '\u0000',
    stored({}, { v: 2 }), stored({}, { v: null }), stored({}, { v: '1' }), stored({}, { hash: undefined }), stored({}, { at: undefined }), stored({}, { ms: undefined }), stored({}, { hash: 5 }), stored({}, { hash: 'a"b' }), stored(null), stored([]), stored('x'), stored(undefined),
    stored({}, { at: '0' }), stored({}, { at: null }), stored({}, { authenticatedAt: null }), stored({}, { authenticatedAt: '0' }), stored({}, { ms: 'x' }), stored({}, { ms: {} }), stored({}, { ms: null }), stored({}, { ms: '5' }), stored({}, { ms: [5] }),
    stored({}, { persistent: 1 }), stored({}, { persistent: null }), stored({}, { persistent: 'false' }), stored({}, { idleTimeout: '5' }), stored({}, { rank: '5' }), good.replace(/"ms":\d+/, '"ms":1e999'),
    '{"cookie":{"originalMaxAge":null},"passport":{"user":1}}'
  ]
  for (const payload of payloads) {
    const { read, events } = await finding(t, payload)
    t.same(await read(), { status: 200, body: { exists: false, data: null } }, payload)
    t.same(reported(events), ['discarded:damaged'], payload)
  }
})

t.test('a record of another scheme is an absent session', async (t) => {
  for (const scheme of ['admin', '', null, 5]) {
    const { read, events } = await finding(t, stored({ userId: 'ada' }, { scheme }))
    t.same(await read(), { status: 200, body: { exists: false, data: null } })
    t.match(events, [{ type: 'discarded', reason: 'unfit', detail: /another security scheme/ }])
  }
})

t.test('the same JSON in another spelling is the same session, before and after a change', async (t) => {
  const ada = { userId: 'ada', x: '"data":' }
  const { data, ...head } = JSON.parse(stored(ada))
  const spellings = [
    `{ "hash": "${secretHash}", "data": { "userId": "ad\\u0061", "x": "\\"data\\":" },\n "ms": ${life.ms}, "at": ${now}, "authenticatedAt": 0, "persistent": true, "more": 1 }`,
    JSON.stringify({ ...head, data }, null, 1),
    JSON.stringify({ data, ...head }),
    JSON.stringify({ ...head, data, ms: undefined, more: life.ms }).replace('"more"', '"ms"'),
    JSON.stringify({ ...head, data }).replace('"data":', '"data":{"userId":"eve"},"data":')
  ]
  for (const spelling of spellings) {
    const { read, write, store } = await finding(t, spelling)
    t.same((await read()).body, { exists: true, data: ada })
    t.equal((store.read(id))?.version, 1)
    t.equal(await write({ a: 1 }), 200)
    // What is stored is asked for, as another process would read it.
    t.same(JSON.parse(store.read(id)?.payload ?? ''), { ...JSON.parse(spelling), data: { ...ada, a: 1 } })
    t.same((await read()).body.data, { ...ada, a: 1 })
  }
})

t.test('a payload lacks what has its usual value, and what is absent has exactly that value', async (t) => {
  const usual = { scheme: 'session', authenticatedAt: now, persistent: false }
  const others = { authenticatedAt: 0, persistent: true, idleTimeout: 5000, rank: now + 1 }
  const [old, persistent] = [{ authenticatedAt: 0 }, { persistent: true }]
  const cases = [[{}, {}], [{ v: 1, ...usual }, {}], [others, others], [{ ...usual, ...old }, old], [{ ...usual, ...persistent }, persistent]] as const
  for (const [facts, kept] of cases) {
    const { app, read, write, store } = await finding(t, stored({ userId: 'ada' }, facts))
    t.equal((await app.session.find(id))?.authenticatedAt, 'authenticatedAt' in kept ? 0 : now)
    t.equal(await write({ a: 1 }), 200)
    t.same(JSON.parse(store.read(id)?.payload ?? ''), { hash: secretHash, ...life, ...kept, data: { userId: 'ada', a: 1 } })
    t.same((await read()).body.data, { userId: 'ada', a: 1 })
  }
})

t.test('a session of the scheme "session" is not valid in another scheme that shares its store, and vice versa', async (t) => {
  const store = new MemoryStore()
  const apps = await Promise.all(['session', 'admin'].map(async (scheme) => {
    const { app } = makeApp(t)
    await app.register(sessionPlugin, { scheme, schema: Visitor, store } as never)
    app.get('/', { schema: { security: [{ [scheme]: [] }] } }, async () => 'in')
    return { app, cookie: ((await (app as any)[scheme].issue({ roles: [], cart: {} })) as { cookie: string }).cookie }
  }))
  for (const { cookie } of apps) {
    const statuses = await Promise.all(apps.map(async ({ app }) => (await ask(app, '/', cookie)).statusCode))
    t.same(statuses, apps.map((issuer) => issuer.cookie === cookie ? 200 : 401))
  }
})

t.test('a deadline in the payload holds, whatever the store says', async (t) => {
  const { read, events } = await finding(t, stored({}, { ms: -1 }))
  t.same((await read()).body, { exists: false, data: null })
  t.same(reported(events), ['expired:absolute'])
})

t.test('an expired record that a store returns is an absent session', async (t) => {
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
  await store.inner.create('d'.repeat(22), { payload: 'junk', version: 1, expiresAt: clock.now() + 1000, principal: 'ada' })
  t.same((await app.session.list('ada')).sessions.map((info) => info.id), [good])
  t.same(reported(events), ['created:issue', 'discarded:damaged'])
})

t.test('formats that the app has registered with TypeBox are checked', async (t) => {
  FormatRegistry.Set('shout', (value) => value === value.toUpperCase())
  t.teardown(() => { FormatRegistry.Delete('shout') })
  const { app, client } = await setUp(t, { schema: Type.Object({ word: Type.Optional(Type.String({ format: 'shout' })) }) as never })
  app.post('/', { schema: optional }, async ({ session, body }) => { session.set('word' as never, (body as { word: string }).word as never) })
  t.equal((await client.post('/', { word: 'HEY' })).statusCode, 200)
  t.match((await client.post('/', { word: 'hey' })).json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA' })
})

t.test('any TypeBox schema that describes objects is accepted', async (t) => {
  const Cat = Type.Object({ kind: Type.Literal('cat'), lives: Type.Integer() })
  const Dog = Type.Object({ kind: Type.Literal('dog') })
  for (const schema of [Type.Union([Cat, Dog]), Type.Intersect([Dog, Type.Object({ a: Type.Optional(Type.Integer()) })]), Type.Recursive((This) => Type.Object({ kind: Type.String(), next: Type.Optional(This) }))]) {
    const { app, client } = await setUp(t, { schema: schema as never })
    app.post('/', { schema: optional }, async ({ session }) => { session.start({ kind: 'dog' } as never) })
    app.get('/', { schema: guarded }, async ({ session }) => session.data)
    t.equal(setCookies(await client.post('/')).length, 1)
    t.same((await client.get('/')).json(), { kind: 'dog' })
  }
})

t.test('two versions of an app share their sessions, and no user is signed out', async (t) => {
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

t.test('times that this version does not know survive a rewrite', async (t) => {
  const { write, read, store } = await finding(t, stored({ userId: 'ada' }, { boundTo: 'device', nested: { key: [1] } }))
  t.equal(await write({ a: 1 }), 200)
  t.match(JSON.parse(store.read(id)?.payload ?? ''), { ...life, boundTo: 'device', nested: { key: [1] }, data: { userId: 'ada', a: 1 } })
  t.same((await read()).body.data, { userId: 'ada', a: 1 })
})

t.test('data are refused from the 33rd level on', async (t) => {
  const nested = (levels: number): unknown => levels === 0 ? 1 : levels % 2 === 0 ? [nested(levels - 1)] : { x: nested(levels - 1) }
  const { app, client } = await setUp(t, { schema: undefined as never })
  app.post('/set/:levels', { schema: optional }, async ({ session, params }) => {
    session.set('x' as never, nested(Number((params as { levels: string }).levels)) as never)
  })
  app.post('/start/:levels', { schema: optional }, async ({ session, params }) => {
    session.start({ x: nested(Number((params as { levels: string }).levels)) } as never)
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  for (const url of ['/set', '/start']) {
    // The data themselves are the first level.
    t.equal((await client.post(`${url}/31`)).statusCode, 200)
    t.same((await client.get('/')).json(), { x: nested(31) })
    for (const levels of [32, 4000]) {
      t.match((await client.post(`${url}/${levels}`)).json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA', message: /nested more than 32 levels deep/ })
    }
    t.same((await client.get('/')).json(), { x: nested(31) })
  }
})

t.test('what Fastify parses from a query, params or form is accepted as plain data', async (t) => {
  const { app, client } = await setUp(t, { schema: undefined as never })
  app.post('/:word', { schema: optional }, async ({ session, query, params, body }) => {
    session.start({ query, params, body } as never)
    session.set('again' as never, { query, params } as never)
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  t.equal((await client.post('/hey?a=1&b=2', { c: { d: 3 } })).statusCode, 200)
  const [query, params] = [{ a: '1', b: '2' }, { word: 'hey' }]
  t.same((await client.get('/')).json(), { query, params, body: { c: { d: 3 } }, again: { query, params } })
})
