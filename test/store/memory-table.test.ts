import t, { type Test } from 'tap'
import { MemoryStore } from 'fastify-openapi-session'
import { HashTable } from '../../lib/store/shared/hash-table.js'
import { hashOf } from '../../lib/store/shared/seeded-hash.js'

const MINUTE = 60_000
const record = (principal: string, version = 1) => ({ payload: '{}', version, expiresAt: Date.now() + MINUTE, principal })

/** Keys that have much in common. */
const KEYS = Array.from({ length: 3000 }, (_, n) => [`${n}`, '\0'.repeat(n % 50), `${'a'.repeat(n % 40)}${String.fromCharCode(0xd800 + n % 7)}`][n % 3]!)

/** Makes random calls, and compares the store with a Map of what it must have. */
function compareWithMap (t: Test, store: MemoryStore, keys: readonly string[], steps: number): void {
  t.teardown(() => store.close())
  const model = new Map<string, { principal: string, version: number }>()
  const names = keys.slice(0, 300)
  let state = 1
  const random = (below: number): number => {
    state = (state * 48271) % 2147483647
    return state % below
  }
  for (let step = 0; step < steps; step++) {
    // The number of sessions rises and falls.
    const isGrowing = Math.floor(6 * step / steps) % 2 === 0
    const id = keys[random(keys.length)]!
    const principal = names[random(names.length)]!
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
    if (step % (steps / 30) !== 0) continue
    t.equal(store.size, model.size)
    for (const key of keys) if (store.read(key)?.version !== model.get(key)?.version) t.fail(`read of ${JSON.stringify(key)}`)
    for (const name of new Set(names)) {
      const listed = store.list(name, { limit: 1000 }).sessions.map(({ id }) => id).sort()
      const owned = [...model].filter(([, { principal }]) => principal === name).map(([id]) => id).sort()
      if (listed.join('|') !== owned.join('|')) t.fail(`list of ${JSON.stringify(name)}`)
    }
  }
}

t.test('after random creates, updates and deletes, a MemoryStore has the same sessions as a Map', async (t) => {
  compareWithMap(t, new MemoryStore(), KEYS, 60_000)
})

t.test('keys with the same hash, or with the same few slots, are told apart', async (t) => {
  // Of 400,000 names, about 18 pairs share a hash. One in 512 belongs to one part and to one of the last two slots, after which a
  // search goes on with the first.
  const names = Array.from({ length: 400_000 }, (_, n) => `${n}`)
  const first = new Map<number, string>()
  const twins: string[] = []
  for (const name of names) {
    const other = first.get(hashOf(name))
    if (other === undefined) first.set(hashOf(name), name)
    else twins.push(name, other)
  }
  const neighbours = names.filter((name) => hashOf(name) >>> 28 === 3 && (hashOf(name) & 63) >= 62).slice(0, 48)
  t.ok(twins.length >= 4 && neighbours.length === 48)
  for (const keys of [twins, neighbours]) compareWithMap(t, new MemoryStore(), keys, 3000)
})

t.test('an iteration has each item that stays once, and no item twice, while others are added and deleted', async (t) => {
  const table = new HashTable<{ key: string }>(({ key }) => key)
  for (const key of new Set(KEYS)) table.set(key, { key })
  const staying = new Set(KEYS.filter((_, n) => n % 4 === 0))
  const seen: string[] = []
  let turn = 0
  for (const { key } of table.values()) {
    seen.push(key)
    const other = KEYS[turn * 7 % KEYS.length]!
    if (!staying.has(other)) table.delete(other)
    table.set(`new ${turn}`, { key: `new ${turn++}` })
  }
  t.equal(new Set(seen).size, seen.length)
  t.strictSame([...staying].filter((key) => !seen.includes(key)), [])
  t.equal([...table.values()].length, [...table.values()].filter(({ key }) => table.get(key)?.key === key).length)
})

t.test('a call for a principal with many sessions goes through none of them', async (t) => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  for (let n = 0; n < 10; n++) store.create(`${n}`, record('service'))
  // A Map that lost its first keys passes over their places whenever it is asked for its first key.
  let iterations = 0
  for (const name of ['keys', 'values', 'entries', 'forEach', Symbol.iterator] as const) {
    const real = Map.prototype[name] as (...args: unknown[]) => unknown
    t.intercept(Map.prototype, name, { value (this: unknown, ...args: unknown[]) { iterations++; return real.apply(this, args) } })
  }
  const results = [store.delete('0'), store.create('10', record('service')), store.update('1', record('other', 2)), store.delete('2')]
  t.strictSame([...results, iterations], [true, 10, 'updated', true, 0])
})

t.test('a creation that fails in an observer leaves nothing of the session', async (t) => {
  const store = new MemoryStore({ maxSessions: 2 })
  t.teardown(() => store.close())
  store.create('guest', { payload: '{}', version: 1, expiresAt: Date.now() + MINUTE })
  store.create('first', record('p'))
  store.observe(() => { throw new Error('an observer that fails') })
  t.throws(() => store.create('second', record('p')), { message: 'an observer that fails' })
  t.strictSame([store.size, store.read('second')], [1, undefined])
  t.strictSame(store.list('p', { limit: 10 }).sessions.map(({ id }) => id), ['first'])
})

t.test('a new session is stored and listed, even if an observer clears the store during its creation', async (t) => {
  const store = new MemoryStore({ maxSessions: 1 })
  t.teardown(() => store.close())
  store.create('first', record('p'))
  store.observe(() => { store.clear() })
  store.create('second', record('p'))
  t.strictSame([store.size, store.read('second')?.version, store.list('p', { limit: 10 }).sessions.length], [1, 1, 1])
  t.equal(store.deleteAll('p'), 1)
})

t.test('a search for a new key compares hashes in few slots, and reads no item', async (t) => {
  let reads = 0
  const real = globalThis.Int32Array
  t.intercept(globalThis, 'Int32Array', {
    value: function (length: number) {
      return new Proxy(new real(length), {
        get (slots, name) {
          if (Number(name) % 2 === 0) reads++
          return slots[name as keyof Int32Array]
        },
        set (slots, name, value: number) {
          slots[Number(name)] = value
          return true
        }
      })
    }
  })
  let compared = 0
  const table = new HashTable<{ key: string }>(({ key }) => {
    compared++
    return key
  })
  let searched = 0
  for (let n = 0; n < 20_000; n++) {
    table.set(`${n}`, { key: `${n}` })
    const before = reads
    table.get(`new ${n}`)
    searched += reads - before
  }
  // Of 200 million pairs of keys, one in 4 billion shares a hash. A table that is 40 to 80 % full needs about five slots.
  t.ok(compared < 5, `${compared} keys compared`)
  t.ok(searched < 8 * 20_000, `${searched / 20_000} slots read for each new key`)
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
    for (let n = 0; n < 40_000; n++) store.create(`${n * 7919}`, record(n % 2 === 0 ? `user-${n}@example.com` : 'service'))
  })
  t.ok(largest > 1000 && largest < 10_000, `the largest table has ${largest} slots for 40,000 sessions`)
})

t.test('sessions that come and go do not make the tables grow', async (t) => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const largest = largestTable(() => {
    for (let n = 0; n < 1000; n++) store.create(`${n}`, record(`user-${n}`))
    for (let n = 0; n < 100_000; n++) {
      store.create(`${n + 1000}`, record(`user-${n + 1000}`))
      store.delete(`${n}`)
    }
  })
  t.ok(largest > 50 && largest < 1000, `the largest table has ${largest} slots, for a sixteenth of 1,000 sessions`)
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
