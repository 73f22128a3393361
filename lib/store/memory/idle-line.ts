import type { SessionRecord } from '../store.js'

/** A session, and its place in the line of its kind. */
export class Entry {
  readonly id: string
  record: SessionRecord
  /** The place of the session in the index of its principal. */
  batch = 0
  older: Entry | undefined
  newer: Entry | undefined

  constructor (id: string, record: SessionRecord) {
    this.id = id
    this.record = record
    this.older = this.newer = undefined
  }
}

/** Entries in the order of their last activity, as a doubly linked list: every step takes the same time at any length. */
export class IdleLine {
  size = 0
  oldest: Entry | undefined
  #newest: Entry | undefined

  /** Adds an entry that is in no line, as the newest. */
  add (entry: Entry): void {
    entry.older = this.#newest
    if (this.#newest === undefined) this.oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
    this.size++
  }

  remove (entry: Entry): void {
    const { older, newer } = entry
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.#newest = older
    else newer.older = older
    entry.older = entry.newer = undefined
    this.size--
  }

  clear (): void {
    this.oldest = this.#newest = undefined
    this.size = 0
  }
}
