import { setImmediate as nextTurn } from 'node:timers/promises'
import { invalidOptions } from '../errors.js'
import { refuseUnknown } from '../nearest.js'
import { Entry } from './memory/entry.js'
import { Line } from './shared/line.js'
import { PrincipalIndex } from './shared/principal-index.js'
import { ReportingStore } from './shared/reporting.js'
import { WideMap } from './shared/wide-map.js'
import type { Page, PageRequest, SessionRecord, SessionStore, UpdateOutcome } from './store.js'

export interface MemoryStoreOptions {
  /** The most sessions that are kept, 1 or more; 100,000 by default, which is about 50 MB of sessions of 200 bytes. */
  readonly maxSessions?: number
  /** The most data that all sessions together may hold, in characters of JSON text; 268,435,456 by default (256 MiB of ASCII). */
  readonly maxBytes?: number
  /** Returns the time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
}

/** How many records each `create` checks for expiry. With two checks for each new record, the sweep keeps up with any growth. */
const SWEPT_PER_CREATE = 2
/** Milliseconds between two batches. So an idle process also frees expired records: a million within four minutes. */
const SWEEP_INTERVAL = 1000
const SWEEP_BATCH = 5000
/** How many sessions `deleteAll` ends before it yields to other work. */
const DELETE_BATCH = 500

/**
 * Sessions in the memory of one process: for tests, and for apps whose users may be signed out by a restart. Every call
 * returns a value and not a promise, except `deleteAll` of more than 500 sessions.
 *
 * The store never holds more than `maxSessions` and `maxBytes`. To make room, it evicts sessions: those without a principal
 * first, and of these the one that is idle for the longest time. Each eviction is reported.
 */
export class MemoryStore extends ReportingStore implements SessionStore {
  readonly #entries = new WideMap<Entry>()
  readonly #index = new PrincipalIndex<Entry>()
  /** Sessions without a principal, and with one, in the order of their last activity. */
  readonly #guests = new Line<Entry>()
  readonly #members = new Line<Entry>()
  readonly #limits: { readonly maxSessions: number, readonly maxBytes: number }
  readonly #now: () => number
  #bytes = 0
  /** The line whose entries are being checked for expiry, and the next entry to check. */
  #checked = this.#guests
  #cursor: Entry | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (options: MemoryStoreOptions = {}) {
    super()
    refuseUnknown(options, ['maxSessions', 'maxBytes', 'now'], 'option * of MemoryStore')
    const { maxSessions = 100_000, maxBytes = 2 ** 28, now = Date.now } = options
    this.#limits = { maxSessions, maxBytes }
    this.#now = now
    for (const [name, limit] of Object.entries(this.#limits)) {
      if (!Number.isSafeInteger(limit) || limit < 1) throw invalidOptions(`MemoryStore: ${name} must be a whole number, 1 or more, such as 100000`)
    }
  }

  /** How many records are in memory, including expired ones that are not freed yet. */
  get size (): number {
    return this.#guests.size + this.#members.size
  }

  create (id: string, record: SessionRecord): number | boolean {
    const now = this.#now()
    const old = this.#entries.get(id)
    if (old !== undefined && old.expiresAt > now) return false
    if (old !== undefined) this.#remove(old)
    this.#sweep(SWEPT_PER_CREATE, now)
    if (record.expiresAt <= now) return true
    this.#refuseTooLarge(record)
    const entry = new Entry(id, record)
    this.#entries.set(id, entry)
    this.#putIn(entry)
    // `unref`: the timer keeps no process alive. A store without records has no timer.
    this.#timer ??= setInterval(() => this.#sweep(SWEEP_BATCH, this.#now()), SWEEP_INTERVAL).unref()
    this.#makeRoomFor(entry, now)
    return this.#index.add(record.principal, entry)
  }

  read (id: string): SessionRecord | undefined {
    return this.#live(id)?.record
  }

  touch (id: string, expiresAt: number): void {
    const entry = this.#live(id)
    if (entry === undefined) return
    if (expiresAt > entry.expiresAt) entry.expiresAt = expiresAt
    // Even a touch that gains no time is a sign of activity.
    this.#takeOut(entry)
    this.#putIn(entry)
  }

  update (id: string, record: SessionRecord): UpdateOutcome {
    const entry = this.#live(id)
    if (entry === undefined) return 'missing'
    if (entry.version !== record.version - 1) return 'conflict'
    const now = this.#now()
    if (record.expiresAt <= now) {
      this.#remove(entry)
      return 'updated'
    }
    this.#refuseTooLarge(record)
    const { principal, expiresAt } = entry
    this.#takeOut(entry)
    entry.record = record
    if (expiresAt > record.expiresAt) entry.expiresAt = expiresAt
    this.#putIn(entry)
    if (principal !== record.principal) {
      this.#index.remove(principal, entry)
      this.#index.add(record.principal, entry)
    }
    this.#makeRoomFor(entry, now)
    return 'updated'
  }

  delete (id: string): boolean {
    const entry = this.#live(id)
    if (entry !== undefined) this.#remove(entry)
    return entry !== undefined
  }

  list (principal: string, { limit, cursor }: PageRequest): Page {
    const now = this.#now()
    const page = this.#index.page(principal, limit, cursor)
    const live = page.sessions.filter(({ expiresAt }) => expiresAt > now)
    return { sessions: live.map(({ id, record }) => ({ id, record })), cursor: page.cursor }
  }

  deleteAll (principal: string, except?: string): number | Promise<number> {
    const { deleted, cursor } = this.#deleteBatch(principal, except)
    return cursor === undefined ? deleted : this.#deleteRest(principal, except, deleted, cursor)
  }

  close (): void {
    this.clear()
  }

  clear (): void {
    this.#stopTimer()
    this.#entries.clear()
    this.#index.clear()
    this.#guests.clear()
    this.#members.clear()
    this.#bytes = 0
  }

  #live (id: string): Entry | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined || entry.expiresAt > this.#now()) return entry
    this.#remove(entry)
    return undefined
  }

  /** Deletes one batch. Returns how many live sessions it ended, and the cursor of the next batch. */
  #deleteBatch (principal: string, except: string | undefined, from?: string): { deleted: number, cursor: string | undefined } {
    const now = this.#now()
    const { sessions, cursor } = this.#index.page(principal, DELETE_BATCH, from)
    let deleted = 0
    for (const entry of sessions) {
      if (entry.id === except) continue
      this.#remove(entry)
      if (entry.expiresAt > now) deleted++
    }
    return { deleted, cursor }
  }

  async #deleteRest (principal: string, except: string | undefined, deleted: number, cursor: string | undefined): Promise<number> {
    while (cursor !== undefined) {
      await nextTurn()
      const batch = this.#deleteBatch(principal, except, cursor)
      deleted += batch.deleted
      cursor = batch.cursor
    }
    return deleted
  }

  #remove (entry: Entry): void {
    this.#takeOut(entry)
    this.#entries.delete(entry.id)
    this.#index.remove(entry.principal, entry)
  }

  /** Adds the entry at the end of its line, to be evicted last. */
  #putIn (entry: Entry): void {
    this.#lineOf(entry).add(entry)
    this.#bytes += entry.payload.length
  }

  #takeOut (entry: Entry): void {
    if (entry === this.#cursor) this.#cursor = entry.newer
    this.#lineOf(entry).remove(entry)
    this.#bytes -= entry.payload.length
  }

  #lineOf ({ principal }: Entry): Line<Entry> {
    return principal === undefined ? this.#guests : this.#members
  }

  /** Checks the next `count` records, in turn, and frees the expired ones. */
  #sweep (count: number, now: number): void {
    for (let left = Math.min(count, this.size); left > 0; left--) {
      const entry = this.#cursor ?? this.#nextLine()
      this.#cursor = entry.newer
      if (entry.expiresAt <= now) this.#remove(entry)
    }
    if (this.size === 0) this.#stopTimer()
  }

  /** Moves to the other line, unless that is empty. Returns the oldest entry of the line. */
  #nextLine (): Entry {
    const other = this.#checked === this.#guests ? this.#members : this.#guests
    if (other.size > 0) this.#checked = other
    return this.#checked.oldest!
  }

  #stopTimer (): void {
    clearInterval(this.#timer)
    this.#timer = this.#cursor = undefined
  }

  /** Evicts sessions until the limits hold: without a principal first, idle for the longest time first. Never evicts `entry`. */
  #makeRoomFor (entry: Entry, now: number): void {
    const { maxSessions, maxBytes } = this.#limits
    while (this.size > maxSessions || this.#bytes > maxBytes) {
      const { oldest: guest } = this.#guests
      // `entry` alone is within the limits, so there is another entry. `entry` is the newest of its line, so it comes last.
      const evicted = (guest === undefined || guest === entry ? this.#members.oldest : guest)!
      const { id, principal, expiresAt } = evicted
      this.#remove(evicted)
      if (expiresAt > now) this.report({ kind: 'evicted', id, ...(principal !== undefined && { principal }) })
    }
  }

  /** @throws an error if the record alone exceeds `maxBytes`: even evicting all others would not make room for it */
  #refuseTooLarge ({ payload: { length } }: SessionRecord): void {
    const { maxBytes } = this.#limits
    if (length > maxBytes) throw new Error(`MemoryStore: a session of ${length} characters is larger than the option maxBytes (${maxBytes})`)
  }
}
