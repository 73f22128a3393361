import type { SessionRecord } from '../store.js'

/** A session, and its place in the line of its kind. */
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

  /** A copy for the caller, who may do with it what he likes. */
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
 * Returns a text in one piece. The engine holds a composed text as a tree of its parts. Reading a character joins them, which
 * saves a third of the memory of a small session.
 */
function joined (text: string): string {
  text.charCodeAt(0)
  return text
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
