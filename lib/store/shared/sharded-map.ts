/** A single map of a million keys stops the event loop for 100 ms when it grows. Each of these maps stops it for about two. */
const SHARDS = 16

/** A map that does not block the event loop with millions of keys. Its shards grow one at a time. */
export class ShardedMap<V> {
  readonly #shards: ReadonlyArray<Map<string, V>> = Array.from({ length: SHARDS }, () => new Map<string, V>())

  get (key: string): V | undefined { return this.#shardOf(key).get(key) }
  set (key: string, value: V): void { this.#shardOf(key).set(key, value) }
  delete (key: string): void { this.#shardOf(key).delete(key) }

  /** Iterates over all values, in no particular order. The map may change during the iteration. */
  * values (): Generator<V, undefined> { for (const shard of this.#shards) yield * shard.values() }

  #shardOf (key: string): Map<string, V> {
    let hash = 0
    // Samples about a dozen characters of a long key.
    for (let at = 0; at < key.length; at += 1 + (key.length >> 4)) hash = (hash * 31 + key.charCodeAt(at)) | 0
    return this.#shards[hash & (SHARDS - 1)]!
  }
}
