/** An item of a `LinkedList`. Only the list sets these fields. */
export interface Linked<T> {
  older: T | undefined
  newer: T | undefined
}

/**
 * A doubly linked list of items in the order in which they were added. Each operation takes constant time. The list keeps no
 * reference to a removed item. A `Set` would: each time it grows or is compacted, its old table keeps its items alive until
 * a full garbage collection.
 */
export class LinkedList<T extends Linked<T>> {
  size = 0
  oldest: T | undefined
  #newest: T | undefined
  #next: T | undefined

  /** Adds an item as the newest. The item must not be in a list. */
  add (item: T): void {
    item.older = this.#newest
    if (this.#newest === undefined) this.oldest = item
    else this.#newest.newer = item
    this.#newest = item
    this.size++
  }

  /** Removes an item, which must be in this list. */
  remove (item: T): void {
    const { older, newer } = item
    if (item === this.#next) this.#next = older
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    item.older = item.newer = undefined
    this.size--
  }

  /** Returns the next item from the newest to the oldest, and then the newest again. Later items do not delay the next ones. */
  walk (): T | undefined {
    const item = this.#next ?? this.#newest
    this.#next = item?.older
    return item
  }
}
