import type { SessionRecord } from '../store.js'

/** A session, and its place in an `IdleLine`. */
export class Entry {
  readonly id: string
  payload: string
  version: number
  expiresAt: number
  principal: string | undefined
  /** The place of the session in the index of its principal. */
  batch = 0
  older: Entry | undefined
  newer: Entry | undefined

  constructor (id: string, { payload, version, expiresAt, principal }: SessionRecord) {
    this.id = id
    this.payload = joined(payload)
    this.version = version
    this.expiresAt = expiresAt
    this.principal = principal
    this.older = this.newer = undefined
  }

  /** A copy, which the caller may change. */
  get record (): SessionRecord {
    const { payload, version, expiresAt, principal } = this
    return principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal }
  }

  set record ({ payload, version, expiresAt, principal }: SessionRecord) {
    this.payload = joined(payload)
    this.version = version
    this.expiresAt = expiresAt
    this.principal = principal
  }
}

/**
 * Returns a text in one piece. The engine keeps a concatenated text as a tree of its parts. Reading a character joins the parts.
 * That saves a third of the memory of a small session.
 */
function joined (text: string): string {
  text.charCodeAt(0)
  return text
}

/** Entries in the order of their last activity, in a doubly linked list: each operation takes constant time. */
export class IdleLine {
  size = 0
  oldest: Entry | undefined
  #newest: Entry | undefined

  /** Adds an entry as the newest. The entry must not be in a line. */
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
