import { hashOf } from './seeded-hash.js'

/** A single table of a million items stops the event loop for 20 ms when it grows. Each of these parts stops it for less than two. */
const PARTS = 16
/** How full a part may be. In a fuller one, a search passes over more items. */
const MOST_FULL = 0.8

/**
 * A map of items that know their keys. A search for a new key reads one place in memory. In a `Map` it reads about five, which the
 * processor's caches do not hold in a store with many sessions.
 */
export class HashTable<T> {
  readonly #parts: ReadonlyArray<Part<T>>

  constructor (keyOf: (item: T) => string) { this.#parts = Array.from({ length: PARTS }, () => new Part(keyOf)) }

  get (key: string): T | undefined { return this.#partOf(key).get(key) }
  /** Adds an item, in the place of one with the same key. */
  set (key: string, item: T): void { this.#partOf(key).set(key, item) }
  delete (key: string): void { this.#partOf(key).delete(key) }

  /** Iterates over all items, in no particular order. The table may change during the iteration. */
  * values (): Generator<T, undefined> { for (const part of this.#parts) yield * part.values() }

  #partOf (key: string): Part<T> { return this.#parts[hashOf(key) >>> 28]! }
}

/** A hash table with linear probing: the slot of an item is the first that was free, from the slot of its hash on. */
class Part<T> {
  readonly #keyOf: (item: T) => string
  /** In no order, but new items come last: V8 visits each place with a new item when it collects young objects. */
  readonly #items: T[] = []
  /** Two numbers for each slot: the hash of an item and its place in `#items`. A hash of 0 is a free slot. */
  #slots = new Int32Array(16)

  constructor (keyOf: (item: T) => string) { this.#keyOf = keyOf }

  get (key: string): T | undefined {
    const slot = this.#slotOf(key)
    return this.#slots[slot] === 0 ? undefined : this.#itemAt(slot)
  }

  values (): T[] { return [...this.#items] }

  set (key: string, item: T): void {
    const slot = this.#slotOf(key)
    if (this.#slots[slot] !== 0) this.#items[this.#slots[slot + 1]!] = item
    else this.#fill(slot, hashOf(key), this.#items.push(item) - 1)
    if (2 * this.#items.length > MOST_FULL * this.#slots.length) this.#grow()
  }

  delete (key: string): void {
    const slot = this.#slotOf(key)
    if (this.#slots[slot] === 0) return
    const last = this.#items.at(-1)!
    const place = this.#slots[slot + 1]!
    this.#slots[this.#slotOf(this.#keyOf(last)) + 1] = place
    this.#items[place] = last
    this.#items.pop()
    this.#free(slot)
  }

  /** Returns the slot of a key, or the free slot for it. */
  #slotOf (key: string): number {
    const hash = hashOf(key)
    const slots = this.#slots
    let slot = this.#home(hash)
    for (; slots[slot] !== 0; slot = this.#next(slot)) {
      if (slots[slot] === hash && this.#keyOf(this.#items[slots[slot + 1]!]!) === key) break
    }
    return slot
  }

  /** Frees a slot. Moves each item after it into the gap, unless a search for the item starts after the gap. */
  #free (slot: number): void {
    let gap = slot
    for (let at = this.#next(gap); this.#slots[at] !== 0; at = this.#next(at)) {
      const hash = this.#slots[at]!
      if (this.#distance(this.#home(hash), at) < this.#distance(gap, at)) continue
      this.#fill(gap, hash, this.#slots[at + 1]!)
      gap = at
    }
    this.#slots[gap] = 0
  }

  #grow (): void {
    const before = this.#slots
    this.#slots = new Int32Array(2 * before.length)
    for (let at = 0; at < before.length; at += 2) {
      const hash = before[at]!
      if (hash === 0) continue
      let slot = this.#home(hash)
      while (this.#slots[slot] !== 0) slot = this.#next(slot)
      this.#fill(slot, hash, before[at + 1]!)
    }
  }

  #itemAt (slot: number): T { return this.#items[this.#slots[slot + 1]!]! }
  #home (hash: number): number { return (hash << 1) & (this.#slots.length - 1) }
  #next (slot: number): number { return (slot + 2) & (this.#slots.length - 1) }
  #distance (from: number, to: number): number { return (to - from) & (this.#slots.length - 1) }

  #fill (slot: number, hash: number, place: number): void {
    this.#slots[slot] = hash
    this.#slots[slot + 1] = place
  }
}
