/** One map of a million keys stops the event loop for 100 ms each time that it grows; one of these parts for 8 ms. */
const PARTS = 16

/** A map of text keys that stays responsive with millions of them: it consists of parts, which grow and shrink one by one. */
export class WideMap<V> {
  readonly #parts: ReadonlyArray<Map<string, V>> = Array.from({ length: PARTS }, () => new Map<string, V>())

  get (key: string): V | undefined {
    return this.#partOf(key).get(key)
  }

  set (key: string, value: V): void {
    this.#partOf(key).set(key, value)
  }

  delete (key: string): void {
    this.#partOf(key).delete(key)
  }

  clear (): void {
    for (const part of this.#parts) part.clear()
  }

  /** Iterates over all values, in no particular order. The map may change during the iteration. */
  * values (): Generator<V, undefined> {
    for (const part of this.#parts) yield * part.values()
  }

  #partOf (key: string): Map<string, V> {
    let hash = 0
    // Of a long key, about a dozen characters tell enough.
    for (let at = 0; at < key.length; at += 1 + (key.length >> 4)) hash = (hash * 31 + key.charCodeAt(at)) | 0
    return this.#parts[hash & (PARTS - 1)]!
  }
}
