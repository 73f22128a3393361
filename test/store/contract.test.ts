import { AssertionError } from 'node:assert'
import t from 'tap'
import { MemoryStore } from 'fastify-openapi-session'
import { createClock, type MakeStore, storeContract } from 'fastify-openapi-session/testing'
import { damageableStore, handlings } from './fixtures/damageable-store.js'
import { flaws, methods } from './fixtures/flawed-stores.js'

/** Names of the cases that the store fails. */
async function failures (makeStore: MakeStore): Promise<string[]> {
  const failed: string[] = []
  for (const { name, run } of storeContract) await run(makeStore).catch(() => failed.push(name))
  return failed
}

const seenToFail = new Set<string>()

t.test('the suite finds every flaw', async (t) => {
  for (const [name, flaw] of Object.entries(flaws)) {
    const failed = await failures((clock) => {
      const good = methods(new MemoryStore({ now: clock.now }))
      return { ...good, ...flaw(good, clock) }
    })
    for (const name of failed) seenToFail.add(name)
    t.not(failed.length, 0, `${name}: ${failed.join('; ')}`)
  }
})

t.test('what a store makes of damaged records', async (t) => {
  for (const handling of handlings) {
    const failed = await failures((clock) => damageableStore(clock, handling))
    for (const name of failed) seenToFail.add(name)
    t.same(failed, handling === 'right' ? [] : ['a damaged record is an absent one, and is reported'], handling)
  }
})

t.test('a store may have fields of any name', async (t) => {
  class OneOfMany extends MemoryStore {
    readonly store = new Map()
    readonly damage = 'none'
  }
  t.same(await failures((clock) => new OneOfMany({ now: clock.now })), [])
})

t.test('a store whose close rejects', async (t) => {
  const close = () => Promise.reject(new Error('not open'))
  const failed = await failures((clock) => ({ ...methods(new MemoryStore({ now: clock.now })), close }))
  t.equal(failed.length, storeContract.length, 'is closed by every case')
  seenToFail.add('close resolves, with sessions in the store and calls before it')
})

t.test('every case can fail', async (t) => {
  for (const { name } of storeContract) t.ok(seenToFail.has(name), name)
})

t.test('a case rejects with an AssertionError, and tells when it could not be tried', async (t) => {
  const [first] = storeContract
  const clock = createClock(0)
  const good = new MemoryStore({ now: clock.now })
  await t.rejects(first!.run(() => ({ ...methods(good), read: async () => undefined }), clock), AssertionError)
  t.equal(await first!.run(async () => methods(good), clock), 'passed')
  const damaged = storeContract.find(({ name }) => name.startsWith('a damaged record'))!
  t.equal(await damaged.run(() => methods(good)), 'not applicable')
  t.equal(await damaged.run((clock) => damageableStore(clock, 'right')), 'passed')
})

t.test('the clock', async (t) => {
  const { now, advance } = createClock(1000)
  t.equal(now(), 1000)
  advance(0)
  advance(1.5)
  t.equal(now(), 1001.5)
  for (const wrong of [-1, NaN]) t.throws(() => advance(wrong), RangeError)
  const started = Date.now()
  t.ok(createClock().now() >= started && createClock().now() <= Date.now(), 'it starts now')
})
