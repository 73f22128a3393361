import { AssertionError } from 'node:assert'
import t from 'tap'
import type { SessionStore } from 'fastify-openapi-session'
import { type Clock, createClock, type MakeStore, storeContract } from 'fastify-openapi-session/testing'
import { ProbeStore } from '../support/probe-store.js'
import { damageableStore, handlings } from './fixtures/damageable-store.js'
import { documentedStore } from './fixtures/documented-store.js'
import { flaws, methods } from './fixtures/flawed-stores.js'

const { MapStore } = await documentedStore(t)
const make = (clock: Pick<Clock, 'now'>) => new MapStore({ now: clock.now })

/** Runs all cases and returns the names of those that the store fails, and of those that do not apply. */
async function results (makeStore: MakeStore): Promise<{ failed: string[], skipped: string[] }> {
  const [failed, skipped]: string[][] = [[], []]
  for (const { name, run } of storeContract) {
    const result = await run(makeStore).catch(() => failed!.push(name))
    if (result === 'not applicable') skipped!.push(name)
  }
  return { failed: failed!, skipped: skipped! }
}

const damageCase = 'a damaged record counts as absent, and is reported once'
const seenToFail = new Set<string>()

t.test('the suite finds every flaw', async (t) => {
  for (const [name, flaw] of Object.entries(flaws)) {
    const { failed } = await results((clock) => {
      const good = methods(make(clock))
      return { ...good, ...flaw(good, clock, (now) => make({ now })) }
    })
    for (const name of failed) seenToFail.add(name)
    t.not(failed.length, 0, `${name}: ${failed.join('; ')}`)
  }
})

t.test('the suite finds every wrong way to treat a damaged record', async (t) => {
  for (const handling of handlings) {
    const { failed } = await results((clock) => damageableStore(make(clock), handling))
    for (const name of failed) seenToFail.add(name)
    t.same(failed, handling === 'right' ? [] : [damageCase], handling)
  }
})

t.test('a right store passes, whether it returns values, promises or other thenables', async (t) => {
  const wrapped = (wrap: (call: () => unknown) => unknown): MakeStore => (clock) => {
    const good = make(clock)
    return new Proxy({} as SessionStore, {
      has: (_, name) => name in good,
      get: (_, name: 'create') => name in good ? (...given: Parameters<SessionStore['create']>) => wrap(() => good[name](...given)) : undefined
    })
  }
  t.same(await results(make), { failed: [], skipped: [damageCase] })
  t.same(await results(wrapped(async (call) => call())), { failed: [], skipped: [damageCase] })
  // oxlint-disable-next-line unicorn/no-thenable -- a promise of another kind is what is tested
  const thenable = (call: () => unknown) => ({ then: (resolve: (value: unknown) => void) => setImmediate(async () => resolve(await call())) })
  t.same(await results(wrapped(thenable)), { failed: [], skipped: [damageCase] })
})

t.test('the probe of other tests is a right store, and returns what its inner store returns', async (t) => {
  t.same(await results((clock) => new ProbeStore(make(clock))), { failed: [], skipped: [damageCase] })
  const probe = new ProbeStore(make(createClock()))
  t.equal(probe.read('a'), undefined)
  probe.before = ({ method }) => { if (method === 'touch') throw new Error('down') }
  await t.rejects(async () => await probe.touch('a', 1), /down/)
  t.type(probe.read('a'), Promise)
  t.same(probe.take(), ['read', 'touch', 'read'])
})

t.test('what a store does not have is not applicable', async (t) => {
  const reject = async () => await Promise.reject(new Error('no lists'))
  const { failed, skipped } = await results((clock) => {
    const good = methods(make(clock))
    return { ...good, create: (id, record) => good.create(id, record) !== false, lists: false, list: reject, deleteAll: reject }
  })
  t.same(failed, [])
  t.ok(skipped.includes('create returns how many live sessions the principal has'))
  t.ok(skipped.includes('list, create and deleteAll handle more sessions than one batch'))
  t.notOk(skipped.includes('concurrent calls have the results and effects of the same calls in some sequence'))
})

t.test('a store may have fields of any name', async (t) => {
  class OneOfMany extends MapStore {
    readonly store = new Map()
    readonly damage = 'none'
  }
  t.same((await results((clock) => new OneOfMany({ now: clock.now }))).failed, [])
})

t.test('every case closes its store, and fails if close rejects', async (t) => {
  const close = () => Promise.reject(new Error('not open'))
  const { failed } = await results((clock) => ({ ...methods(make(clock)), close }))
  t.equal(failed.length, storeContract.length)
})

t.test('every case can fail', async (t) => {
  for (const { name } of storeContract) t.ok(seenToFail.has(name), name)
})

t.test('a case rejects with an AssertionError, and tells a store that passes from one it does not apply to', async (t) => {
  const [first] = storeContract
  const clock = createClock(0)
  const good = methods(make(clock))
  await t.rejects(first!.run(() => ({ ...good, read: () => undefined }), clock), AssertionError)
  t.equal(await first!.run(async () => good, clock), 'passed')
  const damaged = storeContract.find(({ name }) => name === damageCase)!
  t.equal(await damaged.run(() => good), 'not applicable')
  t.equal(await damaged.run((clock) => damageableStore(make(clock), 'right')), 'passed')
})

t.test('a clock starts at the real time and moves forward only', async (t) => {
  const { now, advance } = createClock(1000)
  t.equal(now(), 1000)
  advance(0)
  advance(1.5)
  t.equal(now(), 1001.5)
  for (const wrong of [-1, NaN]) t.throws(() => advance(wrong), RangeError)
  const started = Date.now()
  t.ok(createClock().now() >= started && createClock().now() <= Date.now())
})
