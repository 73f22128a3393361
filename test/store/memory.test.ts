import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { MemoryStore, type MemoryStoreOptions, type SessionRecord, type StoreReport } from 'fastify-openapi-session'
import { createClock, type ManualClock, storeContract } from 'fastify-openapi-session/testing'

const MINUTE = 60_000

t.test('MemoryStore keeps the store contract', async (t) => {
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => {
      const outcome = await run((clock) => new MemoryStore({ now: clock.now }))
      t.equal(outcome, name.startsWith('a damaged record') ? 'not applicable' : 'passed')
    })
  }
})

interface Place {
  readonly store: MemoryStore
  readonly clock: ManualClock
  readonly reports: StoreReport[]
  /** Creates a session of one minute. */
  readonly add: (id: string, over?: Partial<SessionRecord>) => number | boolean
  /** Which of the ids are alive. */
  readonly alive: (...ids: string[]) => string[]
}

function setUp (t: Test, options: Omit<MemoryStoreOptions, 'now'> = {}): Place {
  const clock = createClock()
  const store = new MemoryStore({ ...options, now: clock.now })
  t.teardown(() => store.close())
  const reports: StoreReport[] = []
  store.observe((report) => reports.push(report))
  return {
    store,
    clock,
    reports,
    add: (id, over) => store.create(id, { payload: '{}', version: 1, expiresAt: clock.now() + MINUTE, ...over }),
    alive: (...ids) => ids.filter((id) => store.read(id) !== undefined)
  }
}

t.test('every call returns its result at once, and no call starts a timer of its own', async (t) => {
  let timers = 0
  for (const name of ['setTimeout', 'setInterval', 'setImmediate'] as const) {
    const real = globalThis[name] as (...args: unknown[]) => unknown
    t.intercept(globalThis, name, { value: (...args: unknown[]) => { timers++; return real(...args) } })
  }
  const { store, clock, add } = setUp(t)
  for (let n = 0; n < 100; n++) {
    t.equal(add(`${n}`, { principal: 'p' }), n + 1)
    t.equal(store.read(`${n}`)?.version, 1)
    t.equal(store.touch(`${n}`, clock.now() + 2 * MINUTE), undefined)
    t.equal(store.update(`${n}`, { payload: '{}', version: 2, expiresAt: clock.now() + MINUTE, principal: 'p' }), 'updated')
  }
  t.equal(store.list('p', { limit: 1000 }).sessions.length, 100)
  t.equal(store.delete('0'), true)
  t.equal(store.deleteAll('p', '5'), 98)
  t.equal(store.close(), undefined)
  t.equal(timers, 1, 'one timer frees the expired records of all sessions')
})

t.test('a record that was handed out never changes, and who changes it changes nothing in the store', async (t) => {
  const { store, clock, add } = setUp(t)
  add('id')
  const first = store.read('id')!
  const text = JSON.stringify(first)
  store.touch('id', first.expiresAt)
  t.same(store.read('id'), first)
  store.touch('id', first.expiresAt + 1)
  const second = store.read('id')!
  t.same(second, { ...first, expiresAt: first.expiresAt + 1 })
  store.update('id', { payload: '{"n":1}', version: 2, expiresAt: clock.now() + MINUTE, principal: 'p' })
  t.equal(JSON.stringify(first), text)
  t.equal(second.version, 1)
  Object.assign(store.read('id')!, { version: 7 })
  Object.assign(store.list('p', { limit: 1 }).sessions[0]!.record, { payload: '{}' })
  t.match(store.read('id'), { payload: '{"n":1}', version: 2 })
})

t.test('a full store evicts the session that has been idle for the longest time, and reports each eviction', async (t) => {
  const { store, clock, reports, add, alive } = setUp(t, { maxSessions: 3 })
  const others: StoreReport[] = []
  store.observe((report) => others.push(report))
  for (const id of ['a', 'b', 'c']) add(id, { principal: 'p' })
  store.touch('a', clock.now() + MINUTE)
  store.update('b', { payload: '{}', version: 2, expiresAt: clock.now() + MINUTE, principal: 'p' })
  t.same(reports, [])
  for (const id of ['d', 'e']) t.equal(add(id, { principal: 'p' }), 3, 'those that are left')
  t.same(alive('a', 'b', 'c', 'd', 'e'), ['b', 'd', 'e'])
  t.equal(store.size, 3)
  t.same(store.list('p', { limit: 10 }).sessions.map(({ id }) => id).sort(), ['b', 'd', 'e'])
  t.same(reports, [{ kind: 'evicted', id: 'c', principal: 'p' }, { kind: 'evicted', id: 'a', principal: 'p' }])
  t.same(others, reports)
})

t.test('any number of anonymous sessions evicts no session of a principal while an anonymous one is there', async (t) => {
  const { store, reports, add } = setUp(t, { maxSessions: 1000 })
  for (let n = 0; n < 500; n++) add(`member ${n}`, { principal: `p${n}` })
  for (let n = 0; n < 1500; n++) add(`guest ${n}`)
  t.equal(store.size, 1000)
  for (let n = 0; n < 500; n++) if (!store.read(`member ${n}`)) t.fail(`member ${n} is gone`)
  t.same(reports, Array.from({ length: 1000 }, (_, n) => ({ kind: 'evicted', id: `guest ${n}` })))
})

t.test('a session that becomes a principal\'s is safe from anonymous ones, and one that loses its principal is not', async (t) => {
  const { store, clock, add, alive } = setUp(t, { maxSessions: 3 })
  const next = (over: object): SessionRecord => ({ payload: '{}', version: 2, expiresAt: clock.now() + MINUTE, ...over })
  add('signs in')
  add('signs out', { principal: 'p' })
  add('stays', { principal: 'q' })
  store.update('signs in', next({ principal: 'r' }))
  store.update('signs out', next({}))
  add('guest')
  t.same(alive('signs in', 'signs out', 'stays', 'guest'), ['signs in', 'stays', 'guest'])
})

t.test('where all sessions have a principal, an anonymous one takes a single place', async (t) => {
  const { reports, add, alive } = setUp(t, { maxSessions: 3 })
  for (const id of ['a', 'b', 'c']) add(id, { principal: id })
  for (let n = 0; n < 10; n++) add(`guest ${n}`)
  t.same(alive('a', 'b', 'c', 'guest 8', 'guest 9'), ['b', 'c', 'guest 9'])
  t.equal(reports.length, 10)
})

t.test('the data of all sessions together stay below maxBytes, whether created or updated', async (t) => {
  const { store, clock, reports, add, alive } = setUp(t, { maxBytes: 100 })
  const payload = 'x'.repeat(30)
  add('member', { payload, principal: 'p' })
  add('guest', { payload })
  add('other', { payload })
  t.same(reports, [])
  add('new', { payload: 'x'.repeat(20) })
  t.same(reports, [{ kind: 'evicted', id: 'guest' }])
  const grown = (version: number, length: number): SessionRecord => ({ payload: 'x'.repeat(length), version, expiresAt: clock.now() + MINUTE })
  t.equal(store.update('other', grown(2, 50)), 'updated')
  t.same(alive('member', 'other', 'new'), ['member', 'other', 'new'], 'all 100 are in use')
  t.equal(store.update('other', grown(3, 51)), 'updated')
  t.same(alive('member', 'other', 'new'), ['member', 'other'], 'the one that grew is never the one that goes')
  t.equal(store.update('other', grown(4, 71)), 'updated')
  t.same(alive('member', 'other'), ['other'])
  store.delete('other')
  for (const id of ['a', 'b', 'c', 'd', 'e']) add(id, { payload: 'x'.repeat(20) })
  t.same(alive('a', 'b', 'c', 'd', 'e'), ['a', 'b', 'c', 'd', 'e'], 'deleted data count no longer')
})

t.test('a session larger than maxBytes is refused and evicts no other session', async (t) => {
  const { store, clock, reports, add, alive } = setUp(t, { maxBytes: 100 })
  const huge: SessionRecord = { payload: 'x'.repeat(101), version: 2, expiresAt: clock.now() + MINUTE }
  add('a')
  add('b', { principal: 'p' })
  t.throws(() => add('huge', huge), /101 characters.*maxBytes \(100\)/)
  t.throws(() => store.update('a', huge), /maxBytes/)
  t.same(alive('a', 'b', 'huge'), ['a', 'b'])
  t.equal(store.read('a')?.version, 1)
  t.same(reports, [])
})

t.test('a session in use is not the longest idle one, although its touch gains no time', async (t) => {
  const { store, clock, add, alive } = setUp(t, { maxSessions: 3 })
  add('remembered', { expiresAt: clock.now() + 1000 * MINUTE })
  for (const id of ['idle', 'idle too']) add(id)
  store.touch('remembered', clock.now() + 30 * MINUTE)
  t.equal(store.read('remembered')?.expiresAt, clock.now() + 1000 * MINUTE, 'a touch never shortens a life')
  add('new')
  t.same(alive('remembered', 'idle', 'idle too', 'new'), ['remembered', 'idle too', 'new'])
})

t.test('expired records make room before live ones do, without a report', async (t) => {
  const { store, clock, reports, add, alive } = setUp(t, { maxSessions: 5 })
  const later = clock.now() + 10 * MINUTE
  add('a')
  for (const id of ['b', 'c', 'd', 'e']) add(id, { expiresAt: later })
  clock.advance(MINUTE)
  // Too few records were created for a sweep. The expired `a` goes because it is the longest idle one.
  add('f', { expiresAt: later })
  t.same(alive('b', 'c', 'd', 'e', 'f'), ['b', 'c', 'd', 'e', 'f'])
  t.equal(store.size, 5)
  t.same(reports, [])
})

t.test('a busy store frees expired records as it goes', async (t) => {
  const { store, clock, add } = setUp(t)
  let most = 0
  for (let n = 0; n < 20_000; n++) {
    clock.advance(60)
    add(`${n}`, { principal: `p${n}` })
    most = Math.max(most, store.size)
  }
  t.ok(most < 4000, `1,000 are alive at a time, and at most ${most} were kept`)
})

t.test('a quiet store frees expired records in the background, a batch at a time', async (t) => {
  let tick: (() => void) | undefined
  let stopped = 0
  const timer = { unref: () => timer }
  t.intercept(globalThis, 'setInterval', { value: (callback: () => void) => { tick = callback; return timer } })
  t.intercept(globalThis, 'clearInterval', { value: (which: unknown) => { if (which === timer) stopped++ } })
  const { store, clock, add } = setUp(t)
  for (let n = 0; n < 12_000; n++) add(`${n}`, { principal: 'p' })
  tick?.()
  t.equal(store.size, 12_000)
  clock.advance(MINUTE)
  tick?.()
  t.ok(store.size >= 7000 && store.size < 12_000)
  t.equal(stopped, 0)
  for (let n = 0; n < 4; n++) tick?.()
  t.equal(store.size, 0)
  t.equal(stopped, 1, 'an empty store has no timer')
  t.equal(add('next', { principal: 'p' }), 1, 'nothing of them is left in the index')
})

t.test('sessions in use do not keep the background sweep from the expired ones', async (t) => {
  let tick: (() => void) | undefined
  const timer = { unref: () => timer }
  t.intercept(globalThis, 'setInterval', { value: (callback: () => void) => { tick = callback; return timer } })
  t.intercept(globalThis, 'clearInterval', { value: () => {} })
  const { store, clock, add } = setUp(t)
  for (const principal of [undefined, 'p']) {
    const later = clock.now() + 10 * MINUTE
    for (let n = 0; n < 6000; n++) add(`expires ${n}`, principal === undefined ? {} : { principal })
    for (let n = 0; n < 6000; n++) add(`in use ${n}`, { expiresAt: later, ...(principal !== undefined && { principal }) })
    clock.advance(MINUTE)
    for (let batch = 0; batch < 6; batch++) {
      tick?.()
      for (let n = 5999; n >= 0; n--) store.touch(`in use ${n}`, later)
    }
    t.equal(store.size, 6000)
    store.clear()
  }
})

t.test('a session that is live from the first page to the last is on one of them', async (t) => {
  const { store, clock, add } = setUp(t)
  for (let n = 0; n < 3000; n++) add(`${n}`, { principal: 'p' })
  const seen = new Set<string>()
  let pages = 0
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const page = store.list('p', { limit: 100, cursor })
    t.ok(page.sessions.length < 132, 'a page is about as long as asked for')
    for (const { id } of page.sessions) seen.add(id)
    cursor = page.cursor
    // Every third one that was listed ends. Sessions that were not are touched, change hands and end, and others are created.
    for (const [n, { id }] of page.sessions.entries()) if (n % 3 === 0) store.delete(id)
    for (let n = 0; n < 10; n++) {
      const at = 2999 - pages * 50 - n
      store.touch(`${at}`, clock.now() + 2 * MINUTE)
      if (at % 5 === 0) store.delete(`${at}`)
      if (at % 5 === 1) store.update(`${at}`, { payload: '{}', version: 2, expiresAt: clock.now() + MINUTE, principal: 'q' })
      if (at % 5 === 2) store.update(`${at}`, { payload: '{}', version: 2, expiresAt: clock.now() + MINUTE, principal: 'p' })
      add(`new ${pages} ${n}`, { principal: 'p' })
    }
    pages++
  }
  t.ok(pages > 20)
  for (let n = 0; n < 3000; n++) if (store.read(`${n}`)?.principal === 'p' && !seen.has(`${n}`)) t.fail(`${n} is on no page`)
})

t.test('a page is bounded, whatever limit is asked for', async (t) => {
  const { store, add } = setUp(t)
  for (let n = 1; n < 50_000; n++) add(`${n}`, { principal: 'p' })
  t.equal(add('0', { principal: 'p' }), 50_000)
  const seen = new Set<string>()
  let cursor: string | undefined
  do {
    const page = store.list('p', { limit: Infinity, cursor })
    if (page.sessions.length > 1100) t.fail(`${page.sessions.length} sessions on one page`)
    for (const { id } of page.sessions) seen.add(id)
    cursor = page.cursor
  } while (cursor !== undefined)
  t.equal(seen.size, 50_000)
})

t.test('deleteAll of many sessions lets other work have its turn between batches', async (t) => {
  const { store, clock, add } = setUp(t)
  for (let n = 0; n < 20_000; n++) add(`${n}`, { principal: 'p', expiresAt: clock.now() + (n % 2 + 1) * MINUTE })
  clock.advance(MINUTE)
  add('other', { principal: 'q' })
  let most = 0
  let turns = 0
  let before = store.size
  let done = false
  const watch = (): void => {
    turns++
    most = Math.max(most, before - store.size)
    before = store.size
    if (!done) setImmediate(watch)
  }
  setImmediate(watch)
  const deleting = store.deleteAll('p', '7')
  t.type(deleting, Promise)
  t.equal(await deleting, 9999, 'live ones are counted')
  done = true
  t.ok(turns >= 20_000 / 1100 && most <= 1100, `${most} sessions ended in one turn of the event loop, ${turns} turns in all`)
  t.ok(store.read('7') && store.read('other'))
  t.equal(store.size, 2)
  t.equal(add('next', { principal: 'p' }), 2)
})

t.test('no collection in the store grows so large that its growth stops the event loop', async (t) => {
  const { add } = setUp(t)
  let largest = 0
  const { set } = Map.prototype
  const grow = function (this: Map<unknown, unknown>, key: unknown, value: unknown): Map<unknown, unknown> {
    largest = Math.max(largest, this.size)
    return set.call(this, key, value)
  }
  Object.assign(Map.prototype, { set: grow })
  try {
    for (let n = 0; n < 50_000; n++) add(`${n * 7919}`, { principal: n % 2 === 0 ? `user-${n}@example.com` : `service-${n % 97}` })
  } finally {
    Object.assign(Map.prototype, { set })
  }
  t.ok(largest > 100 && largest < 5000, `the largest map has ${largest} of 50,000 entries`)
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** The bytes of all objects in use. */
function used (): number {
  for (let n = 0; n < 3; n++) collect()
  return process.memoryUsage().heapUsed
}

t.test('of a principal whose sessions have ended, nothing is left in memory', async (t) => {
  const { store, add } = setUp(t)
  const principals = 50_000
  const before = used()
  for (let n = 0; n < principals; n++) for (const one of ['a', 'b']) add(`${one}${n}`, { principal: `user-${n}@example.com` })
  for (let n = 0; n < principals; n++) for (const one of ['a', 'b']) store.delete(`${one}${n}`)
  const bytes = Math.round((used() - before) / principals)
  t.ok(bytes < 100, `${bytes} bytes for each`)
  t.equal(store.size, 0)
})

t.test('a list shows no session that has expired, even if no call has read it since', async (t) => {
  const { store, clock, add } = setUp(t)
  add('expiring', { principal: 'p' })
  add('lasting', { principal: 'p', expiresAt: clock.now() + 2 * MINUTE })
  clock.advance(MINUTE)
  t.same(store.list('p', { limit: 10 }).sessions.map(({ id }) => id), ['lasting'])
})

t.test('a session of 200 bytes takes at most 552 bytes with all indexes, half of them with a principal', async (t) => {
  const { store, clock } = setUp(t)
  const sessions = 100_000
  const before = used()
  for (let n = 0; n < sessions; n++) {
    const payload = JSON.stringify({ user: n, text: 'x'.repeat(200 - JSON.stringify({ user: n, text: '' }).length) })
    store.create(randomBytes(16).toString('base64url'), { payload, version: 1, expiresAt: clock.now() + MINUTE, ...(n % 2 === 0 && { principal: `user-${n}` }) })
  }
  const bytes = Math.round((used() - before) / sessions)
  t.ok(bytes <= 552, `${bytes} bytes`)
  t.equal(store.size, sessions)
})

t.test('a closed store is empty', async (t) => {
  const { store, reports, add, alive } = setUp(t, { maxBytes: 4 })
  add('a', { principal: 'p' })
  add('b')
  store.close()
  t.equal(store.size, 0)
  t.same(alive('a', 'b'), [])
  t.equal(add('c', { principal: 'p' }), 1)
  t.equal(add('d', { principal: 'p' }), 2)
  t.same(reports, [], 'and has room again')
})

t.test('wrong options are refused with a sentence', async (t) => {
  for (const wrong of [0, -1, 1.5, NaN, Infinity, '5' as unknown as number]) {
    for (const name of ['maxSessions', 'maxBytes'] as const) {
      t.throws(() => new MemoryStore({ [name]: wrong }), { code: 'FST_SESSION_OPTIONS', message: new RegExp(name) })
    }
  }
})
