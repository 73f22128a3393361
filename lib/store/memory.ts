import { SessionError } from '../errors.js'
import { type Observer, Observers } from './shared/observers.js'
import { PrincipalIndex } from './shared/principal-index.js'
import type { SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'

export interface MemoryStoreOptions {
  /** The most sessions that are kept, 1 or more; 100,000 by default, which is about 50 MB of sessions of 200 bytes. */
  readonly maxSessions?: number
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
}

/** How many records each `create` looks at for one that has expired: two for one outruns any growth. */
const SWEPT_PER_CREATE = 2
/** A quiet process frees expired records too, a batch at a time: a million within five minutes. */
const SWEEP_INTERVAL = 5000
const SWEEP_BATCH = 20_000

/**
 * Sessions in the memory of one process: for tests, and for apps whose users may be signed out by a restart.
 *
 * It never holds more than `maxSessions`. When it is full, a new session takes the place of the one that has been
 * idle for the longest time; the first time that this ends a live session, it is reported.
 */
export class MemoryStore implements SessionStore {
  /** In the order of last activity: the first one has been idle for the longest time. */
  readonly #records = new Map<string, SessionRecord>()
  readonly #index = new PrincipalIndex()
  readonly #maxSessions: number
  readonly #now: () => number
  readonly #observers = new Observers()
  #cursor: Iterator<[string, SessionRecord], undefined> | undefined
  #timer: NodeJS.Timeout | undefined
  #overflowed = false

  constructor (options: MemoryStoreOptions = {}) {
    this.#maxSessions = options.maxSessions ?? 100_000
    this.#now = options.now ?? Date.now
    if (!Number.isSafeInteger(this.#maxSessions) || this.#maxSessions < 1) {
      throw new SessionError('FST_SESSION_OPTIONS', 'MemoryStore: maxSessions must be a whole number, 1 or more, such as 100000')
    }
  }

  /** How many records are in memory, those included that have expired and are not freed yet. */
  get size (): number {
    return this.#records.size
  }

  async create (id: string, record: SessionRecord): Promise<boolean> {
    const now = this.#now()
    const old = this.#records.get(id)
    if (old !== undefined && old.expiresAt > now) return false
    if (old !== undefined) this.#remove(id, old)
    this.#sweep(SWEPT_PER_CREATE, now)
    if (record.expiresAt <= now) return true
    if (this.#records.size >= this.#maxSessions) this.#evict(now)
    this.#add(id, copy(record, record.expiresAt))
    return true
  }

  async read (id: string, touchTo?: number): Promise<SessionRecord | undefined> {
    const record = this.#live(id)
    if (record === undefined || touchTo === undefined) return record
    // A touch that gains no time, as that of a session which lasts for a month anyway, tells of activity all the same.
    return this.#renew(id, touchTo > record.expiresAt ? copy(record, touchTo) : record)
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    const old = this.#live(id)
    if (old === undefined) return 'missing'
    if (old.version !== record.version - 1) return 'conflict'
    const lives = record.expiresAt > this.#now()
    if (lives && record.principal === old.principal) {
      this.#renew(id, copy(record, record.expiresAt))
    } else {
      this.#remove(id, old)
      if (lives) this.#add(id, copy(record, record.expiresAt))
    }
    return 'updated'
  }

  async delete (id: string): Promise<boolean> {
    const record = this.#live(id)
    if (record !== undefined) this.#remove(id, record)
    return record !== undefined
  }

  async list (principal: string): Promise<readonly StoredSession[]> {
    const found: StoredSession[] = []
    for (const id of this.#index.idsOf(principal)) {
      const record = this.#live(id)
      if (record !== undefined) found.push({ id, record })
    }
    return found
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    let deleted = 0
    for (const id of this.#index.idsOf(principal)) {
      const record = id === except ? undefined : this.#live(id)
      if (record === undefined) continue
      this.#remove(id, record)
      deleted++
    }
    return deleted
  }

  observe (observer: Observer): void {
    this.#observers.add(observer)
  }

  /** Forgets everything. */
  async close (): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = this.#cursor = undefined
    this.#records.clear()
    this.#index.clear()
  }

  #live (id: string): SessionRecord | undefined {
    const record = this.#records.get(id)
    if (record === undefined || record.expiresAt > this.#now()) return record
    this.#remove(id, record)
    return undefined
  }

  #add (id: string, record: SessionRecord): void {
    this.#records.set(id, record)
    this.#index.add(record.principal, id)
    // Not kept alive by its own housekeeping: unref lets the process end, and an empty store has no timer at all.
    this.#timer ??= setInterval(() => this.#sweep(SWEEP_BATCH, this.#now()), SWEEP_INTERVAL).unref()
  }

  /** Puts the record in the place of the one before, at the end of the line. */
  #renew (id: string, record: SessionRecord): SessionRecord {
    this.#records.delete(id)
    this.#records.set(id, record)
    return record
  }

  #remove (id: string, record: SessionRecord): void {
    this.#records.delete(id)
    this.#index.remove(record.principal, id)
  }

  /** Looks at the next `count` records, in turn, and frees those that have expired. */
  #sweep (count: number, now: number): void {
    for (let left = Math.min(count, this.#records.size); left > 0; left--) {
      let next = this.#cursor?.next()
      if (next === undefined || next.done) next = (this.#cursor = this.#records.entries()).next()
      // No more are looked at than there are: there always is a next one.
      const [id, record] = next.value!
      if (record.expiresAt <= now) this.#remove(id, record)
    }
    if (this.#records.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #evict (now: number): void {
    const [id, record] = this.#records.entries().next().value!
    this.#remove(id, record)
    if (record.expiresAt <= now || this.#overflowed) return
    this.#overflowed = true
    const error = new Error(`MemoryStore: more than ${this.#maxSessions} live sessions (maxSessions); the longest idle ones are ended`)
    this.#observers.tell({ kind: 'failed', task: 'keep every live session', error })
  }
}

/** Frozen, so that it can be handed out as it is: nobody can change what the store keeps. */
function copy ({ payload, version, principal }: SessionRecord, expiresAt: number): SessionRecord {
  return Object.freeze(principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal })
}
