import { runInNewContext } from 'node:vm'
import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import pg from 'pg'
import t from 'tap'
import { type ExpressStore, fromExpressStore } from '../../lib/store/express.js'
import type { Awaitable, SessionRecord, StoreReport } from '../../lib/store/store.js'
import { createClock } from '../../lib/testing/index.js'
import { temporaryDirectory } from '../support/servers-process.js'

const MINUTE = 60_000

function record (over: Partial<SessionRecord> = {}): SessionRecord {
  return { payload: '{"n":0}', version: 1, expiresAt: Date.now() + MINUTE, ...over }
}

/** A store with a Map inside that records its calls, and that holds them back while `hold` is set. */
class Held implements ExpressStore {
  readonly sessions = new Map<string, string>()
  readonly calls: string[] = []
  hold: Promise<void> | undefined

  get (id: string, callback: (error: unknown, session?: unknown) => void): void {
    this.#soon('get', () => callback(null, this.sessions.has(id) ? JSON.parse(this.sessions.get(id)!) : undefined))
  }

  set (id: string, session: unknown, callback: (error?: unknown) => void): void {
    this.#soon('set', () => {
      this.sessions.set(id, JSON.stringify(session))
      callback()
    })
  }

  destroy (id: string, callback: (error?: unknown) => void): void {
    this.#soon('destroy', () => {
      this.sessions.delete(id)
      callback()
    })
  }

  all (callback: (error: unknown, sessions?: unknown) => void): void {
    this.#soon('all', () => callback(null, [...this.sessions.values()].map((text) => JSON.parse(text))))
  }

  #soon (call: string, then: () => void): void {
    this.calls.push(call)
    void Promise.resolve(this.hold).then(then)
  }
}

t.test('each call takes as few calls of the store as it can', async (t) => {
  const held = new Held()
  const clock = createClock()
  const store = fromExpressStore(held, { now: clock.now })
  const count = async (name: string, call: Awaitable<unknown>, expected: string[]): Promise<void> => {
    await call
    t.same(held.calls.splice(0), expected, name)
  }
  await count('create', store.create('a', record()), ['get', 'set'])
  await count('read', store.read('a'), ['get'])
  await count('update', store.update('a', record({ version: 2, principal: 'p' })), ['get', 'set'])
  await count('conflict', store.update('a', record({ version: 2 })), ['get'])
  await count('touch', store.touch('a', clock.now() + 2 * MINUTE), ['get', 'set'])
  await count('touch that gains nothing', store.touch('a', clock.now() + 2 * MINUTE), ['get'])
  await count('list', store.list('p', { limit: 1 }), ['all'])
  await count('delete', store.delete('a'), ['get', 'destroy'])
  for (const id of ['a', 'b']) await store.create(id, record({ principal: 'p' }))
  held.calls.length = 0
  await count('deleteAll', store.deleteAll('p'), ['all', 'get', 'get', 'destroy', 'destroy'])
})

t.test('pages of a list go by id, so that an ended session shifts none out of the next page', async (t) => {
  const store = fromExpressStore(new Held())
  for (const id of ['c', 'a', '', 'b']) await store.create(id, record({ principal: 'p' }))
  const page = async (cursor?: string) => await store.list('p', { limit: 2, cursor })
  const first = await page()
  t.match(first, { sessions: [{ id: '' }, { id: 'a' }], cursor: 'a' })
  await store.delete('a')
  t.match(await page(first.cursor), { sessions: [{ id: 'b' }, { id: 'c' }], cursor: undefined })
})

t.test('deleteAll ends thousands of sessions in batches', async (t) => {
  const held = new Held()
  const store = fromExpressStore(held)
  for (let n = 0; n < 1300; n++) await store.create(`s${n}`, record({ principal: 'p' }))
  let open = 0
  let most = 0
  const { get } = held
  held.get = (id, callback) => {
    most = Math.max(most, ++open)
    get.call(held, id, (error, session) => {
      open--
      callback(error, session)
    })
  }
  t.equal(await store.deleteAll('p', 's7'), 1299)
  t.equal(most, 500)
  t.same([...held.sessions.keys()], ['s7'])
})

t.test('ids take 32 characters of the store at most, and ids of the plugin are their own keys', async (t) => {
  const held = new Held()
  const store = fromExpressStore(held)
  const id = 'Zm9vYmFyYmF6cXV4_-Zm9v'
  const ids = [id, `${id}${id}`, `${id}${id}_`, '../x', '\ud800', '\udfff', '', 'x'.repeat(10_000)]
  for (const id of ids) t.ok(await store.create(id, record({ principal: id })))
  const keys = [...held.sessions.keys()]
  t.equal(keys[0], id)
  t.match(keys, keys.map(() => /^~?[\w-]{1,32}$/))
  t.ok(keys.every((key) => key.length <= 32))
  for (const id of ids) t.ok(await store.read(id))
})

t.test('two processes on one store: what the docs say is lost', async (t) => {
  const one = new Held()
  const other = new Held()
  Object.assign(other, { sessions: one.sessions })
  const [here, there] = [fromExpressStore(one), fromExpressStore(other)]
  await here.create('a', record())
  const both = await Promise.all([here.update('a', record({ version: 2, payload: '1' })), there.update('a', record({ version: 2, payload: '2' }))])
  t.same(both, ['updated', 'updated'], 'a save undoes another save')

  // The save has read the session, and its write is held back until the other process has signed out.
  const get = one.get.bind(one)
  let release = (): void => {}
  one.get = (id, callback) => get(id, (error, session) => {
    one.hold = new Promise((resolve) => { release = resolve })
    callback(error, session)
  })
  const save = here.update('a', record({ version: 3 }))
  while (!one.calls.slice(-1).includes('set')) await new Promise(setImmediate)
  t.equal(await there.delete('a'), true)
  release()
  t.equal(await save, 'updated')
  t.ok(await there.read('a'), 'a logout is undone')
  t.match(here.warning, /more than one process.*docs\/stores\/express\.md/)
})

t.test('a touch that waited for a later touch, or for a logout, writes nothing', async (t) => {
  const held = new Held()
  const store = fromExpressStore(held)
  await store.create('a', record())
  const later = Date.now() + 5 * MINUTE
  await Promise.all([store.touch('a', later), store.touch('a', later - 1)])
  t.equal((await store.read('a'))?.expiresAt, later)
  t.equal(held.calls.filter((call) => call === 'set').length, 2, 'one for create, one for the touches')
  t.same(await Promise.all([store.delete('a'), store.touch('a', later + MINUTE)]), [true, undefined])
  t.equal(await store.read('a'), undefined)
})

t.test('sessions of another plugin in the same store are left alone', async (t) => {
  const held = new Held()
  const store = fromExpressStore(held)
  const theirs = [{ cookie: {}, principal: 'p', user: 1 }, { cookie: { expires: null }, record: { id: 'a', principal: 'p' } }, { cookie: {}, record: 'p' }]
  theirs.forEach((session, n) => held.sessions.set(`theirs${n}`, JSON.stringify(session)))
  await store.create('a', record({ principal: 'p' }))
  t.equal((await store.list('p', { limit: 9 })).sessions.length, 1)
  t.equal(await store.deleteAll('p'), 1)
  t.same([...held.sessions.values()], theirs.map((session) => JSON.stringify(session)))
})

/** Answers of `all`, made from the texts of the sessions by key. */
type All = (sessions: Array<[string, string]>) => unknown

t.test('answers of all() in many forms are understood', async (t) => {
  const forms: Record<string, All> = {
    'a list': (sessions) => sessions.map(([, text]) => JSON.parse(text)),
    'an object by key': (sessions) => Object.fromEntries(sessions.map(([key, text]) => [key, JSON.parse(text)])),
    'an object without a prototype': (sessions) => Object.assign(Object.create(null), Object.fromEntries(sessions)),
    'a list with gaps': (sessions) => [null, undefined, ...sessions.map(([, text]) => JSON.parse(text))],
    'JSON text': (sessions) => sessions.map(([, text]) => text),
    'rows of JSON text (better-sqlite3-session-store)': (sessions) => sessions.map(([sid, sess]) => ({ sid, sess, expire: '2030-01-01' })),
    'rows of sessions': (sessions) => sessions.map(([_id, text]) => ({ _id, expires: new Date(), session: JSON.parse(text) })),
    'objects of another realm': (sessions) => runInNewContext(`JSON.parse(${JSON.stringify(`[${sessions.map(([, text]) => text).join()}]`)})`)
  }
  for (const [name, form] of Object.entries(forms)) {
    const held = new Held()
    held.all = (callback) => callback(null, form([...held.sessions]))
    const store = fromExpressStore(held)
    t.same(await store.list('p', { limit: 9 }), { sessions: [], cursor: undefined }, name)
    held.sessions.set('theirs', '{"cookie":{},"user":1}')
    for (const id of ['a', 'b']) await store.create(id, record({ principal: 'p' }))
    t.same((await store.list('p', { limit: 9 })).sessions.map(({ id }) => id), ['a', 'b'], name)
    t.equal(await store.deleteAll('p'), 2, name)
    t.same([...held.sessions.keys()], ['theirs'])
  }
})

t.test('an answer of all() that is not understood rejects the call, and never counts as empty', async (t) => {
  const forms: Record<string, All> = {
    nothing: () => undefined,
    null: () => null,
    'a number': (sessions) => sessions.length,
    'a Map': (sessions) => new Map(sessions),
    'the cursor of a database': () => new (class Cursor { #rows = []; toArray () { return this.#rows } })(),
    'the result of a driver': (sessions) => ({ rows: sessions.map(([sid, sess]) => ({ sid, sess })) }),
    'a list of lists': (sessions) => [sessions.map(([, text]) => JSON.parse(text))],
    'text that is not JSON': (sessions) => sessions.map(([, text]) => Buffer.from(text).toString('base64')),
    'rows of text that is not JSON': (sessions) => sessions.map(([sid, text]) => ({ sid, sess: `v1:${text}` })),
    'ids alone': (sessions) => sessions.map(([key]) => key),
    'one entry of another kind': (sessions) => [...sessions.map(([, text]) => text), {}],
    'a record that has changed': (sessions) => sessions.map(([, text]) => text.replace('"version":1', '"version":"1"')),
    'a record without its id': (sessions) => sessions.map(([, text]) => text.replace('"id":', '"_id":'))
  }
  for (const [name, form] of Object.entries(forms)) {
    const held = new Held()
    held.all = (callback) => callback(null, form([...held.sessions]))
    const store = fromExpressStore(held)
    await store.create('a', record({ principal: 'p', payload: '"secret"' }))
    const calls = [async () => await store.list('p', { limit: 9 }), async () => await store.deleteAll('p')]
    for (const call of calls) {
      const error = await call().then(() => undefined, (error: unknown) => error)
      t.match(error, { message: /^fromExpressStore: all\(\) of .* docs\/stores\/express\.md/ }, name)
      t.notMatch(String(error), /secret/)
    }
    t.ok(await store.read('a'), 'the session is still there')
  }
})

t.test('damaged records are absent, deleted and reported', async (t) => {
  const good = { id: 'a', payload: '', version: 1, expiresAt: Date.now() + MINUTE }
  const spoiled = [
    '{', '1', '{}', '{"record":[]}', ...[null, { id: 'b' }, { id: 1 }, { payload: 1 }, { version: '1' }, { expiresAt: null }, { principal: 5 }]
      .map((spoil) => JSON.stringify({ record: spoil && { ...good, ...spoil } }))
  ]
  for (const text of spoiled) {
    const express = new session.MemoryStore()
    const store = fromExpressStore(express)
    const reports: StoreReport[] = []
    store.observe?.((report) => reports.push(report))
    const sessions = (express as unknown as { sessions: Record<string, string> }).sessions
    sessions.a = text
    t.equal(await store.read('a'), undefined, text)
    t.equal(await store.read('a'), undefined)
    t.match(reports, [{ kind: 'damaged', id: 'a', error: Error }], text)
    t.equal(reports.length, 1)
    t.same(Object.keys(sessions), [])
  }
})

t.test('errors of the store reach the caller, however it makes them, and do not block the session', async (t) => {
  const fail = new Error('no connection')
  const ways: Array<[string, ExpressStore['get']]> = [
    ['by callback', (_id, callback) => callback(fail)],
    ['by throwing', () => { throw fail }],
    ['by a rejected promise', () => Promise.reject(fail)]
  ]
  for (const [name, get] of ways) {
    const held = new Held()
    const store = fromExpressStore(held)
    await store.create('a', record())
    const working = held.get
    held.get = get as Held['get']
    await t.rejects(async () => await store.read('a'), fail, name)
    await t.rejects(async () => await store.update('a', record({ version: 2 })), fail, name)
    held.get = working
    t.equal(await store.update('a', record({ version: 2 })), 'updated')
  }
})

t.test('a database whose socket is missing is down: no session is absent for that', async (t) => {
  // A socket's path has room for some hundred characters.
  const pool = new pg.Pool({ host: temporaryDirectory(t, 'gone'), user: 'nobody', database: 'none' })
  t.teardown(() => pool.end())
  const store = fromExpressStore(new (connectPgSimple(session))({ pool, errorLog: () => {}, pruneSessionInterval: false }))
  const down = { code: 'ENOENT', syscall: 'connect' }
  await t.rejects(async () => await store.read('a'), down)
  await t.rejects(async () => await store.update('a', record({ version: 2 })), down, 'a save is not dropped')
  await t.rejects(async () => await store.delete('a'), down, 'and a logout not acknowledged')
})

t.test('a session without unfinished calls takes up no memory', async (t) => {
  const store = fromExpressStore(new Held())
  let largest = 0
  const { set } = Map.prototype
  const grow = function (this: Map<unknown, unknown>, key: unknown, value: unknown): Map<unknown, unknown> {
    if (String(key).startsWith('gone ')) largest = Math.max(largest, this.size)
    return set.call(this, key, value)
  }
  Object.assign(Map.prototype, { set: grow })
  try {
    for (let n = 0; n < 200; n++) await store.delete(`gone ${n}`)
  } finally {
    Object.assign(Map.prototype, { set })
  }
  t.ok(largest < 2, `${largest} of 200`)
})

t.test('anything but an express-session store is refused', async (t) => {
  for (const wrong of [undefined, {}, { get () {}, set () {} }, session.MemoryStore]) {
    t.throws(() => fromExpressStore(wrong as never), { code: 'FST_SESSION_OPTIONS', message: /new MemoryStore\(\)/ })
  }
  t.equal(await fromExpressStore(new session.MemoryStore()).read('a'), undefined)
})
