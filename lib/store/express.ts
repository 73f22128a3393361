import { clock } from './shared/clock.js'
import { SessionError } from '../errors.js'
import { timerMilliseconds } from '../durations.js'
import { within } from './shared/within.js'
import { absent, called, type ExpressStore, noCallback } from './express/callbacks.js'
import { keyOf, unwrap, unwrapAll, wrap } from './express/envelope.js'
import { type ExpressLimit, limits, warning } from './express/limits.js'
import { type Observer, Observers } from './shared/observers.js'
import { Queues } from './shared/queues.js'
import type { SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'


export { adoptExpressSessions } from '../migration/express.js'
export type { AdoptOptions } from '../migration/express.js'
export type { ExpressStore } from './express/callbacks.js'
export type { ExpressLimit } from './express/limits.js'

export interface ExpressStoreOptions {
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
  /** Seconds after which the store is taken not to answer. Default 2. */
  readonly timeout?: number
}

/** A `SessionStore` that keeps less than others promise, and says so. */
export interface WrappedExpressStore extends SessionStore {
  /** One line for the log at boot. */
  readonly warning: string
  /** Each promise, and how far it goes. */
  readonly limits: readonly ExpressLimit[]
}

/**
 * Keeps sessions in a store made for express-session, such as connect-mongo or connect-pg-simple.
 *
 * Within one process every promise of `SessionStore` holds, since calls for one id wait for each other. Between
 * processes the store's interface has no compare and set: `limits` says what that means.
 *
 * @throws `FST_SESSION_OPTIONS` when `store` has not the methods of an express-session store, or `timeout` is none
 */
export function fromExpressStore (store: ExpressStore, options: ExpressStoreOptions = {}): WrappedExpressStore {
  for (const method of ['get', 'set', 'destroy'] as const) {
    if (typeof store?.[method] === 'function') continue
    throw new SessionError('FST_SESSION_OPTIONS', 'fromExpressStore: give it an instance of an express-session store, such as new MemoryStore()')
  }
  return new Wrapped(store, options)
}

/** How many times the time limit a call may keep others of the same id waiting. */
const PATIENCE = 30

class Wrapped implements WrappedExpressStore {
  readonly warning = warning
  readonly limits = limits
  readonly #store: ExpressStore
  readonly lists: boolean
  readonly #now: () => number
  /** Milliseconds. */
  readonly #timeout: number
  readonly #queue = new Queues()
  readonly #observers = new Observers()

  constructor (store: ExpressStore, { now, timeout = 2 }: ExpressStoreOptions) {
    this.#store = store
    this.lists = typeof store.all === 'function'
    this.#now = clock(now)
    this.#timeout = timerMilliseconds('fromExpressStore: timeout', timeout) as number
  }

  async create (id: string, record: SessionRecord): Promise<boolean> {
    return await this.#inTurn(id, async () => {
      if (await this.#live(id) !== undefined) return false
      await this.#set(id, record)
      return true
    })
  }

  /** Only a touch that gains a tenth of the time from now to `touchTo` waits for other calls, and writes. */
  async read (id: string, touchTo?: number): Promise<SessionRecord | undefined> {
    const record = await this.#inTime(() => this.#live(id))
    if (record === undefined || touchTo === undefined || !isDue(touchTo, record.expiresAt, this.#now())) return record
    return await this.#inTurn(id, async () => {
      const latest = await this.#live(id)
      if (latest === undefined || !isDue(touchTo, latest.expiresAt, this.#now())) return latest
      const touched = { ...latest, expiresAt: touchTo }
      await this.#set(id, touched)
      return touched
    })
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    return await this.#inTurn(id, async () => {
      const stored = await this.#live(id)
      if (stored === undefined) return 'missing'
      if (stored.version !== record.version - 1) return 'conflict'
      await (record.expiresAt > this.#now() ? this.#set(id, record) : this.#destroy(id))
      return 'updated'
    })
  }

  async delete (id: string): Promise<boolean> {
    return await this.#inTurn(id, async () => {
      const record = await this.#live(id)
      await this.#destroy(id)
      return record !== undefined
    })
  }

  async list (principal: string): Promise<readonly StoredSession[]> {
    return (await this.#all(principal)).filter(({ record }) => this.#isLive(record))
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    const seen = new Set([except])
    let deleted = 0
    while (true) {
      const found = (await this.#all(principal)).filter(({ id }) => !seen.has(id))
      if (found.length === 0) return deleted
      const outcomes = await Promise.all(found.map(({ id }) => this.delete(id)))
      deleted += outcomes.filter(Boolean).length
      for (const { id } of found) seen.add(id)
    }
  }

  observe (observer: Observer): void {
    this.#observers.add(observer)
  }

  /**
   * Work on one id, in turn. The caller has an answer within the time limit; the next one's turn comes when the store is
   * through with this, since what it still writes must not come after a logout.
   */
  async #inTurn<T> (id: string, work: () => Promise<T>): Promise<T> {
    let isLate = false
    const inTurn = async (): Promise<T> => {
      if (isLate) throw new Error('nobody waits for this any more')
      return await work()
    }
    return await this.#inTime(() => this.#queue.run(id, inTurn), () => { isLate = true })
  }

  async #inTime<T> (work: () => Promise<T>, giveUp?: () => void): Promise<T> {
    return await within(work, this.#timeout, () => {
      giveUp?.()
      return noCallback(this.#timeout)
    })
  }

  /** One that is not called back for so long never will be. */
  async #called<T> (call: Parameters<typeof called<T>>[0]): Promise<T | undefined> {
    const limit = Math.min(this.#timeout * PATIENCE, 2 ** 31 - 1)
    return await within(() => called<T>(call), limit, () => noCallback(limit), true)
  }

  async #live (id: string): Promise<SessionRecord | undefined> {
    const session = await this.#get(id)
    if (session === undefined) return undefined
    const stored = unwrap(session)
    if (stored?.id === id) return this.#isLive(stored.record) ? stored.record : undefined
    await this.#drop(id)
    return undefined
  }

  async #get (id: string): Promise<object | undefined> {
    try {
      return await this.#called<object | null>((callback) => this.#store.get(keyOf(id), callback)).catch(absent) ?? undefined
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      await this.#drop(id, error)
      return undefined
    }
  }

  async #set (id: string, record: SessionRecord): Promise<void> {
    await this.#called((callback) => this.#store.set(keyOf(id), wrap(id, record, this.#now()), callback))
  }

  async #destroy (id: string): Promise<void> {
    await this.#called((callback) => this.#store.destroy(keyOf(id), callback))
  }

  async #drop (id: string, error: unknown = new TypeError('not a session of this package')): Promise<void> {
    this.#observers.tell({ kind: 'damaged', id, error })
    await this.#destroy(id)
  }

  async #all (principal: string): Promise<StoredSession[]> {
    const store = this.#store
    if (typeof store.all !== 'function') {
      throw new SessionError('FST_SESSION_OPTIONS', 'fromExpressStore: this express-session store has no all(), so the sessions of a principal cannot be found. Use SqlStore or RedisStore to list and revoke them.')
    }
    const sessions = await this.#inTime(() => this.#called((callback) => store.all?.(callback)))
    return unwrapAll(sessions).filter(({ record }) => record.principal === principal)
  }

  #isLive ({ expiresAt }: SessionRecord): boolean {
    return expiresAt > this.#now()
  }
}
