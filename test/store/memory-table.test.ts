import t from 'tap'
import { MemoryStore } from 'fastify-openapi-session'
import { hashOf } from '../../lib/store/shared/seeded-hash.js'

const MINUTE = 60_000
const record = (principal: string, version = 1) => ({ payload: '{}', version, expiresAt: Date.now() + MINUTE, principal })

/** Keys that have much in common. */
const KEYS = Array.from({ length: 3000 }, (_, n) => [`${n}`, '\0'.repeat(n % 50), `${'a'.repeat(n % 40)}${String.fromCharCode(0xd800 + n % 7)}`][n % 3]!)

t.test('random creates, updates and deletes leave the sessions that a Map and lists have', async (t) => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const model = new Map<string, { principal: string, version: number }>()
  let state = 1
  const random = (below: number): number => {
    state = (state * 48271) % 2147483647
    return state % below
  }
  for (let step = 0; step < 60_000; step++) {
    // The number of sessions rises and falls.
    const isGrowing = Math.floor(step / 10_000) % 2 === 0
    const id = KEYS[random(KEYS.length)]!
    const principal = KEYS[random(300)]!
    const known = model.get(id)
    if (random(10) < (isGrowing ? 6 : 2)) {
      if ((store.create(id, record(principal)) !== false) !== (known === undefined)) t.fail(`create of ${JSON.stringify(id)}`)
      if (known === undefined) model.set(id, { principal, version: 1 })
    } else if (random(3) > 0) {
      if (store.delete(id) !== model.delete(id)) t.fail(`delete of ${JSON.stringify(id)}`)
    } else if (known !== undefined) {
      if (store.update(id, record(principal, known.version + 1)) !== 'updated') t.fail(`update of ${JSON.stringify(id)}`)
      model.set(id, { principal, version: known.version + 1 })
    }
    if (step % 2000 !== 0) continue
    t.equal(store.size, model.size)
    for (const key of KEYS) if (store.read(key)?.version !== model.get(key)?.version) t.fail(`read of ${JSON.stringify(key)}`)
    for (const key of new Set(KEYS.slice(0, 300))) {
      const listed = store.list(key, { limit: 1000 }).sessions.map(({ id }) => id).sort()
      const owned = [...model].filter(([, { principal }]) => principal === key).map(([id]) => id).sort()
      if (listed.join('|') !== owned.join('|')) t.fail(`list of ${JSON.stringify(key)}`)
    }
  }
})

/** Returns the largest length of an `Int32Array` that `work` makes. */
function largestTable (work: () => void): number {
  const real = globalThis.Int32Array
  let largest = 0
  globalThis.Int32Array = new Proxy(real, {
    construct (target, args: [number]) {
      largest = Math.max(largest, args[0])
      return new target(...args)
    }
  })
  try {
    work()
  } finally {
    globalThis.Int32Array = real
  }
  return largest
}

t.test('no table of a store grows so large that its growth stops the event loop', async (t) => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const largest = largestTable(() => {
    for (let n = 0; n < 50_000; n++) store.create(`${n * 7919}`, record(n % 2 === 0 ? `user-${n}@example.com` : 'service'))
  })
  t.ok(largest > 1000 && largest < 10_000, `the largest table has ${largest} slots for 50,000 sessions`)
})

t.test('sessions that come and go leave the tables as large as those that are there need', async (t) => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  for (let n = 0; n < 1000; n++) store.create(`${n}`, record(`user-${n}`))
  const largest = largestTable(() => {
    for (let n = 0; n < 100_000; n++) {
      store.create(`${n + 1000}`, record(`user-${n + 1000}`))
      store.delete(`${n}`)
    }
  })
  t.ok(largest > 50 && largest < 500, `the largest table has ${largest} slots, for a sixteenth of 1,000 sessions`)
  t.equal(store.size, 1000)
})

/** Names that a weak hash maps to few values. */
const FAMILIES: Record<string, (n: number) => string> = {
  'one character differs': (n) => `${'x'.repeat(n % 20)}${String.fromCharCode(33 + Math.floor(n / 20))}${'x'.repeat(19 - n % 20)}`,
  'the length differs': (n) => 'a'.repeat(n % 2000) + (n < 2000 ? '' : 'b'),
  'NUL characters': (n) => '\0'.repeat(n),
  'the order differs': (n) => n.toString(2).padStart(12, '0').replaceAll('0', 'ab').replaceAll('1', 'ba'),
  'Aa and BB, which 31 as a factor maps to the same': (n) => n.toString(2).padStart(12, '0').replaceAll('0', 'Aa').replaceAll('1', 'BB'),
  'single surrogates': (n) => String.fromCharCode(0xd800 + (n & 63), 0xdc00 + (n >> 6)),
  'the high bits of a character': (n) => String.fromCharCode((n & 15) << 12, ((n >> 4) & 15) << 12, (n >> 8) << 12)
}

t.test('no family of names shares hashes more often than chance', async (t) => {
  for (const [family, nameOf] of Object.entries(FAMILIES)) {
    const names = new Set(Array.from({ length: 4000 }, (_, n) => nameOf(n)))
    const hashes = new Set([...names].map(hashOf))
    t.ok(names.size > 3900 && hashes.size > names.size - 3, `${family}: ${names.size} names have ${hashes.size} hashes`)
  }
})
