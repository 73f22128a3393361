import t from 'tap'
import { MemoryStore, type StoreReport } from 'fastify-openapi-session'
import { createClock, storeContract } from 'fastify-openapi-session/testing'

const MINUTE = 60_000

t.test('the contract', async (t) => {
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => {
      const outcome = await run((clock) => new MemoryStore({ now: clock.now }))
      t.equal(outcome, name.startsWith('a damaged record') ? 'not applicable' : 'passed')
    })
  }
})

t.test('never holds more than maxSessions: the longest idle session goes, and that is reported once', async (t) => {
  const clock = createClock()
  const store = new MemoryStore({ maxSessions: 3, now: clock.now })
  const reports: StoreReport[] = []
  for (let schemes = 0; schemes < 2; schemes++) store.observe((report) => reports.push(report))
  const add = (id: string) => store.create(id, { payload: id, version: 1, expiresAt: clock.now() + MINUTE, principal: 'p' })
  for (const id of ['a', 'b', 'c']) await add(id)
  clock.advance(1)
  await store.read('a', clock.now() + MINUTE)
  t.same(reports, [])
  await add('d')
  t.equal(await store.read('b'), undefined, 'b was idle for the longest time')
  t.ok(await store.read('a'))
  await add('e')
  t.equal(store.size, 3)
  t.same((await store.list('p')).map(({ id }) => id).sort(), ['a', 'd', 'e'])
  const full = { kind: 'failed', error: /maxSessions/ }
  t.match(reports, [full, full], 'to everyone who listens')
  t.equal(reports.length, 2)
})

t.test('a session in use is not the longest idle one, though its touch gains no time', async (t) => {
  const clock = createClock()
  const store = new MemoryStore({ maxSessions: 3, now: clock.now })
  t.teardown(() => store.close())
  const add = (id: string, life: number) => store.create(id, { payload: id, version: 1, expiresAt: clock.now() + life })
  await add('remembered', 1000 * MINUTE)
  for (const id of ['idle', 'idle too']) await add(id, 30 * MINUTE)
  clock.advance(MINUTE)
  const { expiresAt } = await store.read('remembered', clock.now() + 30 * MINUTE) ?? {}
  t.equal(expiresAt, clock.now() + 999 * MINUTE, 'and never shortens its life')
  await add('new', 30 * MINUTE)
  t.ok(await store.read('remembered'))
  t.equal(await store.read('idle'), undefined)
})

t.test('expired records make room before live ones do', async (t) => {
  const clock = createClock()
  const store = new MemoryStore({ maxSessions: 2, now: clock.now })
  t.teardown(() => store.close())
  store.observe(() => t.fail('no live session was ended'))
  await store.create('long', { payload: '', version: 1, expiresAt: clock.now() + 10 * MINUTE })
  await store.create('short', { payload: '', version: 1, expiresAt: clock.now() + MINUTE, principal: 'p' })
  clock.advance(MINUTE)
  await store.create('new', { payload: '', version: 1, expiresAt: clock.now() + MINUTE })
  t.ok(await store.read('long'))
  t.equal(store.size, 2)
})

t.test('an expired first in line is taken without a report', async (t) => {
  const clock = createClock()
  const store = new MemoryStore({ maxSessions: 5, now: clock.now })
  t.teardown(() => store.close())
  store.observe(() => t.fail('no live session was ended'))
  const add = (id: string, minutes: number) => store.create(id, { payload: '', version: 1, expiresAt: clock.now() + minutes * MINUTE })
  await add('a', 1)
  for (const id of ['b', 'c', 'd', 'e']) await add(id, 10)
  clock.advance(MINUTE)
  // By now it is the turn of b and c to be looked at.
  await add('f', 10)
  t.equal(store.size, 5)
  for (const id of ['b', 'c', 'd', 'e', 'f']) t.ok(await store.read(id))
})

t.test('a busy store frees expired records as it goes', async (t) => {
  const clock = createClock()
  const store = new MemoryStore({ now: clock.now })
  t.teardown(() => store.close())
  let most = 0
  for (let n = 0; n < 20_000; n++) {
    clock.advance(60)
    await store.create(`${n}`, { payload: '', version: 1, expiresAt: clock.now() + MINUTE, principal: `p${n}` })
    most = Math.max(most, store.size)
  }
  t.ok(most < 4000, `1,000 are alive at a time, and at most ${most} were kept`)
})

t.test('a quiet store frees expired records by itself', async (t) => {
  const clock = createClock()
  let tick: (() => void) | undefined
  let stopped = 0
  const timer = { unref: () => timer }
  t.intercept(globalThis, 'setInterval', { value: (callback: () => void) => { tick = callback; return timer } })
  t.intercept(globalThis, 'clearInterval', { value: (which: unknown) => { if (which === timer) stopped++ } })
  const store = new MemoryStore({ now: clock.now })
  for (let n = 0; n < 30_000; n++) await store.create(`${n}`, { payload: '', version: 1, expiresAt: clock.now() + MINUTE })
  tick?.()
  t.equal(store.size, 30_000)
  clock.advance(MINUTE)
  tick?.()
  t.equal(store.size, 10_000, 'a batch at a time')
  t.equal(stopped, 0)
  tick?.()
  t.equal(store.size, 0)
  t.equal(stopped, 1, 'an empty store has no timer')
})

t.test('wrong options', async (t) => {
  for (const maxSessions of [0, -1, 1.5, NaN, Infinity, '5' as unknown as number]) {
    t.throws(() => new MemoryStore({ maxSessions }), { code: 'FST_SESSION_OPTIONS', message: /maxSessions/ })
  }
})
