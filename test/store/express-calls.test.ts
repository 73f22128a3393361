import { readFileSync } from 'node:fs'
import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import pg from 'pg'
import t from 'tap'
import { type ExpressStore, fromExpressStore } from '../../lib/store/express.js'
import type { SessionRecord, StoreReport } from '../../lib/store/store.js'
import { createClock } from '../../lib/testing/index.js'
import { temporaryDirectory } from '../support/servers-process.js'

const MINUTE = 60_000

function record (over: Partial<SessionRecord> = {}): SessionRecord {
  return { payload: '{"n":0}', version: 1, expiresAt: Date.now() + MINUTE, ...over }
}

/** A store with a Map inside that tells its calls, and that holds them back while `hold` is set. */
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

t.test('what it takes of the store, call by call', async (t) => {
  const held = new Held()
  const clock = createClock()
  const store = fromExpressStore(held, { now: clock.now })
  const count = async (name: string, call: Promise<unknown>, expected: string[]): Promise<void> => {
    await call
    t.same(held.calls.splice(0), expected, name)
  }
  await count('create', store.create('a', record()), ['get', 'set'])
  await count('read', store.read('a', clock.now() + MINUTE), ['get'])
  await count('update', store.update('a', record({ version: 2, principal: 'p' })), ['get', 'set'])
  await count('conflict', store.update('a', record({ version: 2 })), ['get'])
  await count('touch', store.read('a', clock.now() + 2 * MINUTE), ['get', 'get', 'set'])
  await count('list', store.list('p'), ['all'])
  await count('delete', store.delete('a'), ['get', 'destroy'])
})

t.test('two processes on one store: what limits say is lost', async (t) => {
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
  t.same(here.limits.filter(({ kept }) => kept === 'within one process').map(({ promise }) => promise).slice(0, 2), [
    'a save never undoes another save', 'a logout is final'
  ])
  t.match(here.warning, /more than one process.*docs\/stores\/express\.md/)
})

t.test('a touch that waited for another touch, or for a logout, writes nothing', async (t) => {
  const held = new Held()
  const store = fromExpressStore(held)
  await store.create('a', record())
  const touchTo = Date.now() + 5 * MINUTE
  const found = await Promise.all([store.read('a', touchTo), store.read('a', touchTo)])
  t.same(found.map((read) => read?.expiresAt), [touchTo, touchTo])
  t.equal(held.calls.filter((call) => call === 'set').length, 2, 'one for create, one for the touches')
  const late = await Promise.all([store.delete('a'), store.read('a', touchTo + 5 * MINUTE)])
  t.same(late, [true, undefined])
})

t.test('sessions of express-session in the same store are left alone', async (t) => {
  const held = new Held()
  const store = fromExpressStore(held)
  const theirs = JSON.stringify({ cookie: {}, principal: 'p', user: 1 })
  held.sessions.set('theirs', theirs)
  await store.create('a', record({ principal: 'p' }))
  t.equal((await store.list('p')).length, 1)
  t.equal(await store.deleteAll('p'), 1)
  t.same([...held.sessions], [['theirs', theirs]])
  held.all = (callback) => callback(null)
  t.same(await store.list('p'), [], 'an all() that answers nothing')
})

t.test('records that somebody spoiled are absent, dropped and reported', async (t) => {
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
    await t.rejects(store.read('a'), fail, name)
    await t.rejects(store.update('a', record({ version: 2 })), fail, name)
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
  await t.rejects(store.read('a'), down)
  await t.rejects(store.update('a', record({ version: 2 })), down, 'a save is not dropped')
  await t.rejects(store.delete('a'), down, 'and a logout not acknowledged')
})

t.test('anything but an express-session store is refused', async (t) => {
  for (const wrong of [undefined, {}, { get () {}, set () {} }, session.MemoryStore]) {
    t.throws(() => fromExpressStore(wrong as never), { code: 'FST_SESSION_OPTIONS', message: /new MemoryStore\(\)/ })
  }
  t.equal(await fromExpressStore(new session.MemoryStore()).read('a'), undefined)
})

t.test('the table of the docs is the one in the code', async (t) => {
  const text = readFileSync(new URL('../../docs/stores/express.md', import.meta.url), 'utf8')
  const rows = text.split('## What it can promise')[1]?.split('## ')[0]?.split('\n').filter((line) => line.startsWith('|')).slice(2)
  const { limits } = fromExpressStore(new Held())
  t.same(rows, limits.map(({ promise, kept, because }) => `| ${promise} | ${kept} | ${because} |`))
})
