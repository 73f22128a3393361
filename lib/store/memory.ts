import { setImmediate as nextTurn } from 'node:timers/promises'
import { invalidOptions, refuseUnknown } from '../errors.js'
import { flat } from '../text.js'
import { HashTable } from './shared/hash-table.js'
import { type Linked, LinkedList } from './shared/linked-list.js'
import { PrincipalIndex } from './shared/principal-index.js'
import { ReportingStore } from './shared/reporting.js'
import type { Page, PageRequest, SessionRecord, SessionStore, UpdateOutcome } from './store.js'

export interface MemoryStoreOptions {
  /** The largest number of sessions, 1 or more. Default: 100,000, about 50 MB if each has 200 bytes of data. */
  readonly maxSessions?: number
  /** The largest size of all sessions together, in characters of JSON text. Default: 268,435,456 (256 MiB of ASCII). */
  readonly maxBytes?: number
  /** Returns the time in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number
}

/** After this many new records, twice as many records are checked for expiry. So the sweep keeps up with any growth. */
const CREATED_PER_SWEEP = 64
/** Milliseconds between two batches of the background sweep, which frees a million expired records within four minutes. */
const SWEEP_INTERVAL = 500
const SWEEP_BATCH = 2500
/** How many sessions `deleteAll` deletes before it yields to other work. */
const DELETE_BATCH = 500
const DAY = 86_400_000
/** A session as an item of a `LinkedList`. */
class Entry implements Linked<Entry> {
  readonly id: string
  payload!: string
  version!: number
  /** The day of the expiry and a time of that day in ms. V8 keeps an integer below 2³¹ in this object and a larger one in another. */
  day!: number
  time!: number
  principal: string | undefined
  older: Entry | undefined
  newer: Entry | undefined

  constructor (id: string, record: SessionRecord) {
    this.id = id
    this.record = record
  }

  get expiresAt (): number { return this.day * DAY + this.time }
  set expiresAt (at: number) {
    this.day = Math.trunc(at / DAY)
    this.time = at - this.day * DAY
  }

  get record (): SessionRecord {
    const { payload, version, expiresAt, principal } = this
    return principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal }
  }

  set record ({ payload, version, expiresAt, principal }: SessionRecord) {
    this.payload = flat(payload)
    this.version = version
    this.expiresAt = expiresAt
    this.principal = principal
  }
}

/**
 * Keeps sessions in the memory of one process, for tests and for apps whose users may be signed out by a restart. Every call
 * returns a plain value and not a promise, except `deleteAll` of more than 500 sessions.
 *
 * The store never exceeds `maxSessions` and `maxBytes`. To make room, it evicts the session that has been idle for the longest
 * time, and those without a principal first. Each eviction is reported.
 */
export class MemoryStore extends ReportingStore implements SessionStore {
  protected entries = new HashTable<Entry>(({ id }) => id)
  #index = new PrincipalIndex<Entry>()
  /** Sessions without a principal, in the order of their last activity. */
  #guests = new LinkedList<Entry>()
  /** Sessions with a principal, in the order of their last activity. */
  #members = new LinkedList<Entry>()
  readonly #limits: { readonly maxSessions: number, readonly maxBytes: number }
  readonly #now: () => number
  #bytes = 0
  #created = 0
  #timer: NodeJS.Timeout | undefined

  constructor (options: MemoryStoreOptions = {}) {
    super()
    refuseUnknown(options, ['maxSessions', 'maxBytes', 'now'], `option * of ${this.owner}`)
    const { maxSessions = 100_000, maxBytes = 2 ** 28, now = Date.now } = options
    this.#limits = { maxSessions, maxBytes }
    this.#now = now
    for (const [name, limit] of Object.entries(this.#limits)) {
      if (!Number.isSafeInteger(limit) || limit < 1) throw invalidOptions(`${this.owner}: ${name} must be a whole number, 1 or more, such as 100000`)
    }
  }

  /** The number of records in memory, including expired ones that are not freed yet. */
  get size (): number { return this.#guests.size + this.#members.size }
  /** The name of the store in its errors. */
  protected get owner (): string { return 'MemoryStore' }

  /** Called after a session was created, updated, extended or removed, so that a subclass can save the change. */
  protected changed (_id: string): void {}

  create (id: string, record: SessionRecord): number | boolean {
    const now = this.#now()
    if (this.#live(id, now) !== undefined) return false
    if (++this.#created % CREATED_PER_SWEEP === 0) this.#sweep(2 * CREATED_PER_SWEEP, now)
    if (record.expiresAt <= now) return true
    this.#refuseTooLarge(record)
    this.#makeRoom(now, 1, record.payload.length)
    const entry = new Entry(id, record)
    this.entries.set(id, entry)
    this.#putIn(entry)
    this.changed(id)
    // The timer does not keep the process alive. A store without records has no timer.
    this.#timer ??= setInterval(() => this.#sweep(SWEEP_BATCH, this.#now()), SWEEP_INTERVAL).unref()
    return this.#index.add(entry)
  }

  read (id: string): SessionRecord | undefined { return this.#live(id)?.record }

  touch (id: string, expiresAt: number): void {
    const entry = this.#live(id)
    if (entry === undefined) return
    // A touch that does not extend the session is still activity.
    this.#takeOut(entry)
    this.#putIn(entry)
    if (expiresAt <= entry.expiresAt) return
    entry.expiresAt = expiresAt
    this.changed(id)
  }

  update (id: string, record: SessionRecord): UpdateOutcome {
    const now = this.#now()
    const entry = this.#live(id, now)
    if (entry === undefined) return 'missing'
    if (entry.version !== record.version - 1) return 'conflict'
    if (record.expiresAt <= now) {
      this.#remove(entry)
      return 'updated'
    }
    this.#refuseTooLarge(record)
    const { principal, expiresAt } = entry
    const isMoved = principal !== record.principal
    if (isMoved) this.#index.remove(entry)
    this.#takeOut(entry)
    entry.record = record
    if (expiresAt > record.expiresAt) entry.expiresAt = expiresAt
    this.#putIn(entry)
    if (isMoved) this.#index.add(entry)
    this.changed(id)
    this.#makeRoom(now, 0, 0, entry)
    return 'updated'
  }

  delete (id: string): boolean {
    const entry = this.#live(id)
    if (entry !== undefined) this.#remove(entry)
    return entry !== undefined
  }

  list (principal: string, { limit, cursor: from }: PageRequest): Page {
    const now = this.#now()
    const { sessions, cursor } = this.#index.page(principal, limit, from)
    return { sessions: sessions.filter(({ expiresAt }) => expiresAt > now).map(({ id, record }) => ({ id, record })), cursor }
  }

  deleteAll (principal: string, except?: string): number | Promise<number> { return this.#deleteFrom(principal, except) }
  close (): void { this.clear() }

  clear (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.entries = new HashTable(({ id }) => id)
    this.#index = new PrincipalIndex()
    this.#guests = new LinkedList()
    this.#members = new LinkedList()
    this.#bytes = 0
  }

  #live (id: string, now = this.#now()): Entry | undefined {
    const entry = this.entries.get(id)
    if (entry === undefined || entry.expiresAt > now) return entry
    this.#remove(entry)
    return undefined
  }

  /** Deletes the sessions of a principal from a cursor on, one batch in each turn. Returns how many of them were live. */
  #deleteFrom (principal: string, except?: string, from?: string): number | Promise<number> {
    const now = this.#now()
    const { sessions, cursor } = this.#index.page(principal, DELETE_BATCH, from)
    let deleted = 0
    for (const entry of sessions.filter(({ id }) => id !== except)) {
      this.#remove(entry)
      if (entry.expiresAt > now) deleted++
    }
    if (cursor === undefined) return deleted
    return nextTurn().then(async () => deleted + await this.#deleteFrom(principal, except, cursor))
  }

  #remove (entry: Entry): void {
    this.#takeOut(entry)
    this.entries.delete(entry.id)
    this.#index.remove(entry)
    this.changed(entry.id)
  }

  /** Adds the entry as the newest of its list, to be evicted last. */
  #putIn (entry: Entry): void {
    this.#listOf(entry).add(entry)
    this.#bytes += entry.payload.length
  }

  #takeOut (entry: Entry): void {
    this.#listOf(entry).remove(entry)
    this.#bytes -= entry.payload.length
  }

  #listOf ({ principal }: Entry): LinkedList<Entry> { return principal === undefined ? this.#guests : this.#members }

  /** Checks the next `count` records of each list and frees the expired ones. */
  #sweep (count: number, now: number): void {
    for (const list of [this.#guests, this.#members]) {
      for (let left = Math.min(count, list.size); left > 0; left--) {
        const entry = list.walk()!
        if (entry.expiresAt <= now) this.#remove(entry)
      }
    }
    if (this.size === 0) this.clear()
  }

  /** Evicts sessions until there is room for `sessions` more with `characters` more. Never evicts `entry`. */
  #makeRoom (now: number, sessions: number, characters: number, entry?: Entry): void {
    const { maxSessions, maxBytes } = this.#limits
    while (this.size + sessions > maxSessions || this.#bytes + characters > maxBytes) {
      const { oldest: guest } = this.#guests
      // The new or updated session fits alone, so another exists. `entry` is the newest of its list, so it comes last.
      const evicted = (guest === undefined || guest === entry ? this.#members.oldest : guest)!
      const { id, principal, expiresAt } = evicted
      this.#remove(evicted)
      if (expiresAt > now) this.report({ kind: 'evicted', id, ...(principal !== undefined && { principal }) })
    }
  }

  /** @throws if the record alone exceeds `maxBytes`, because evicting all others would not make room for it */
  #refuseTooLarge ({ payload: { length } }: SessionRecord): void {
    const { maxBytes } = this.#limits
    if (length > maxBytes) throw new Error(`${this.owner}: a session of ${length} characters is larger than the option maxBytes (${maxBytes})`)
  }
}
