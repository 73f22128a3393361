import { hashOf } from './seeded-hash.js'

/** A single table of a million items stops the event loop for 20 ms when it grows. Each of these parts stops it for less than 2 ms. */
const PARTS = 16

/**
 * A hash table of items that contain their keys. In a store with many sessions, a search for a new key has about one cache miss. In
 * a `Map` it has about five, because it compares keys.
 */
export class HashTable<T> {
  readonly #parts: ReadonlyArray<Part<T>>

  constructor (keyOf: (item: T) => string) { this.#parts = Array.from({ length: PARTS }, () => new Part(keyOf)) }

  get (key: string): T | undefined { return this.#partOf(key).get(key) }
  /** Adds an item, or replaces the item with the same key. */
  set (key: string, item: T): void { this.#partOf(key).set(key, item) }
  delete (key: string): void { this.#partOf(key).delete(key) }

  /** Iterates over all items, in no particular order. May yield an item that was deleted during the iteration. */
  * values (): Generator<T, undefined> { for (const part of this.#parts) yield * part.values() }

  #partOf (key: string): Part<T> { return this.#parts[hashOf(key) >>> 28]! }
}

/** A hash table with linear probing: an item is in the first free slot, starting at the slot of its hash. */
class Part<T> {
  readonly #keyOf: (item: T) => string
  /** Place 0 is empty. New items come last if no place is free: V8 visits each place with a new item when it collects young objects. */
  readonly #items: Array<T | undefined> = [undefined]
  /** The places of deleted items, to be used again. */
  readonly #free: number[] = []
  /** Two numbers for each slot: the place of an item in `#items`, or 0 if the slot is free, and the hash of the item's key. */
  #slots = new Int32Array(16)

  constructor (keyOf: (item: T) => string) { this.#keyOf = keyOf }

  get (key: string): T | undefined { return this.#items[this.#slots[this.#slotOf(key)]!] }
  values (): T[] { return this.#items.filter((item) => item !== undefined) }

  set (key: string, item: T): void {
    // In a table that is fuller than 80 %, a search passes over many slots.
    if (2 * this.#items.length > 0.8 * this.#slots.length) this.#grow()
    const existing = this.#slots[this.#slotOf(key)]!
    const place = existing || (this.#free.pop() ?? this.#items.length)
    this.#items[place] = item
    if (existing === 0) this.#put(place, hashOf(key))
  }

  delete (key: string): void {
    const slot = this.#slotOf(key)
    const place = this.#slots[slot]!
    if (place === 0) return
    this.#items[place] = undefined
    this.#free.push(place)
    this.#slots[slot] = 0
    // A search ends at a free slot, so the items in the next slots are reinserted.
    for (let at = this.#wrap(slot + 2); this.#slots[at] !== 0; at = this.#wrap(at + 2)) {
      const moved = this.#slots[at]!
      this.#slots[at] = 0
      this.#put(moved, this.#slots[at + 1]!)
    }
  }

  /** Returns the slot of a key, or the free slot where the key belongs. */
  #slotOf (key: string): number {
    const hash = hashOf(key)
    const slots = this.#slots
    let slot = this.#wrap(hash << 1)
    while (slots[slot] !== 0 && (slots[slot + 1] !== hash || this.#keyOf(this.#items[slots[slot]!]!) !== key)) slot = this.#wrap(slot + 2)
    return slot
  }

  /** Puts an item in the first free slot from the slot of its hash on. */
  #put (place: number, hash: number): void {
    let slot = this.#wrap(hash << 1)
    while (this.#slots[slot] !== 0) slot = this.#wrap(slot + 2)
    this.#slots[slot] = place
    this.#slots[slot + 1] = hash
  }

  #grow (): void {
    const before = this.#slots
    this.#slots = new Int32Array(2 * before.length)
    for (let at = 0; at < before.length; at += 2) if (before[at] !== 0) this.#put(before[at]!, before[at + 1]!)
  }

  /** Wraps around: after the last slot comes the first. */
  #wrap (slot: number): number { return slot & (this.#slots.length - 1) }
}
