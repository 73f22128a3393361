/** An item with its place in a `Line`. Belongs to the line. */
export interface Linked<T> {
  older: T | undefined
  newer: T | undefined
}

/**
 * Items in the order in which they were added, in a doubly linked list: each operation takes constant time. An item that was
 * removed is referred to by nothing, so it is freed at once. (A `Set` in steady use leaves dead tables behind, each of which keeps
 * its items alive until a collection of the whole heap.)
 */
export class Line<T extends Linked<T>> {
  size = 0
  oldest: T | undefined
  #newest: T | undefined

  /** Adds an item as the newest. The item must not be in a line. */
  add (item: T): void {
    item.older = this.#newest
    if (this.#newest === undefined) this.oldest = item
    else this.#newest.newer = item
    this.#newest = item
    this.size++
  }

  /** Removes an item, which must be in this line. */
  remove (item: T): void {
    const { older, newer } = item
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    item.older = item.newer = undefined
    this.size--
  }

  clear (): void {
    this.oldest = this.#newest = undefined
    this.size = 0
  }
}
