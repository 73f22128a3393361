import { must, refuseUnknown, timerMilliseconds } from '../errors.js'
import { type Call, type ExpressStore, ignoreMissing, promised, withTimeLimit } from './express/callbacks.js'
import { keyOf, unwrap, unwrapAll, wrap } from './express/envelope.js'
import { clock } from './shared/clock.js'
import { ReportingStore } from './shared/reporting.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'

export type { ExpressStore } from './express/callbacks.js'

export interface ExpressStoreOptions {
  /** Returns the time in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number
  /** Seconds after which a call fails if the store has not called back. Default: 2. */
  readonly timeout?: number
}

/**
 * Keeps sessions in a store made for express-session, such as connect-mongo or connect-pg-simple.
 *
 * Within one process it keeps all rules of `SessionStore`, because calls for one id wait for each other. With several
 * processes it does not, because express-session stores have no compare-and-set. `docs/stores/express.md` lists the effects.
 *
 * @throws `FST_SESSION_OPTIONS` if `store` lacks a method of an express-session store, or `timeout` is not a duration
 */
export function fromExpressStore (store: ExpressStore, options: ExpressStoreOptions = {}): SessionStore {
  const isStore = (['get', 'set', 'destroy'] as const).every((method) => typeof store?.[method] === 'function')
  must(isStore, 'fromExpressStore: the first argument must be an instance of an express-session store, such as new MemoryStore()')
  refuseUnknown(options, ['now', 'timeout'], 'option * of fromExpressStore(), in its second argument')
  return new WrappedStore(store, options)
}

/** After this many time limits, a call that was not called back no longer blocks other calls for the same id. */
const LIMITS_UNTIL_ABANDONED = 30

/** How many sessions `deleteAll` and `clear` delete at once. */
const BATCH = 500

class WrappedStore extends ReportingStore implements SessionStore {
  readonly lists: boolean
  readonly warning = 'fromExpressStore: express-session stores cannot compare and set. With more than one process on the store, a stale save can ' +
    'undo a logout or another save. Use a single process, or SqlStore or RedisStore. See docs/stores/express.md.'

  readonly #store: ExpressStore
  readonly #now: () => number
  /** Milliseconds. */
  readonly #timeout: number
  /** The last task of each id that has unfinished tasks. */
  readonly #last = new Map<string, Promise<unknown>>()

  constructor (store: ExpressStore, { now, timeout = 2 }: ExpressStoreOptions) {
    super()
    this.#store = store
    this.#now = clock(now)
    this.lists = typeof store.all === 'function'
    this.#timeout = timerMilliseconds('fromExpressStore: timeout', timeout) as number
  }

  /** Returns `true` for a new session, because counting would read all sessions. */
  async create (id: string, record: SessionRecord): Promise<boolean> {
    return await this.#inTurn(id, async (stored) => {
      if (stored !== undefined) return false
      if (this.#isLive(record)) await this.#write(id, record)
      return true
    })
  }

  async read (id: string): Promise<SessionRecord | undefined> { return await withTimeLimit(this.#live(id), this.#timeout) }

  async touch (id: string, expiresAt: number): Promise<void> {
    await this.#inTurn(id, async (stored) => {
      if (stored !== undefined && stored.expiresAt < expiresAt) await this.#write(id, { ...stored, expiresAt })
    })
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    return await this.#inTurn(id, async (stored) => {
      if (stored === undefined) return 'missing'
      if (stored.version !== record.version - 1) return 'conflict'
      if (this.#isLive(record)) await this.#write(id, { ...record, expiresAt: Math.max(record.expiresAt, stored.expiresAt) })
      else await this.#remove(id)
      return 'updated'
    })
  }

  /** Deletes a session, unless it belongs to another principal. */
  async delete (id: string, principal?: string): Promise<boolean> {
    return await this.#inTurn(id, async (stored) => {
      if (stored && principal !== undefined && stored.principal !== principal) return false
      await this.#remove(id)
      return stored !== undefined
    })
  }

  /** Returns one page. Reads the whole store for each page. The cursor is the last id of the page. */
  async list (principal: string, { limit, cursor }: PageRequest): Promise<Page> {
    const found = (await this.#all(principal))
      .filter(({ id, record }) => this.#isLive(record) && (cursor === undefined || id > cursor))
      .sort((one, other) => one.id < other.id ? -1 : 1)
    const sessions = found.slice(0, limit)
    return { sessions, cursor: found.length > limit ? sessions.at(-1)?.id : undefined }
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    return await this.#deleteEach((await this.#all(principal)).filter(({ id }) => id !== except), principal)
  }

  /** Deletes the sessions of this package. Sessions of express-session in the same store stay. */
  async clear (): Promise<void> { await this.#deleteEach(await this.#all()) }

  async #deleteEach (found: StoredSession[], principal?: string): Promise<number> {
    let deleted = 0
    while (found.length > 0) {
      const outcomes = await Promise.all(found.splice(0, BATCH).map(({ id }) => this.delete(id, principal)))
      deleted += outcomes.filter(Boolean).length
    }
    return deleted
  }

  /** Runs the tasks of an id in turn, on its live record. The next one waits even after the time limit: a slow save could undo a logout. */
  async #inTurn<T> (id: string, task: (stored: SessionRecord | undefined) => Promise<T>): Promise<T> {
    let hasTimedOut = false
    const run = async (): Promise<T> => {
      if (hasTimedOut) throw new Error('the call has timed out')
      return await task(await this.#live(id))
    }
    const done = this.#last.get(id)?.then(run, run) ?? run()
    this.#last.set(id, done)
    const forget = (): void => { if (this.#last.get(id) === done) this.#last.delete(id) }
    done.then(forget, forget)
    return await withTimeLimit(done, this.#timeout).finally(() => { hasTimedOut = true })
  }

  /** Returns a live record. Reports and deletes a damaged record, or text that is not JSON. */
  async #live (id: string): Promise<SessionRecord | undefined> {
    try {
      const session = await this.#call<object | null>((callback) => this.#store.get(keyOf(id), callback)).catch(ignoreMissing)
      if (session == null) return undefined
      const stored = unwrap(session)
      if (stored?.id !== id) throw new SyntaxError('not a session of this package')
      return this.#isLive(stored.record) ? stored.record : undefined
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      this.report({ kind: 'damaged', id, error })
      await this.#remove(id)
      return undefined
    }
  }

  #isLive ({ expiresAt }: SessionRecord): boolean { return expiresAt > this.#now() }

  async #write (id: string, record: SessionRecord): Promise<void> {
    await this.#call((callback) => this.#store.set(keyOf(id), wrap(id, record, this.#now()), callback))
  }

  async #remove (id: string): Promise<void> { await this.#call((callback) => this.#store.destroy(keyOf(id), callback)) }

  async #all (principal?: string): Promise<StoredSession[]> {
    must(this.lists, 'fromExpressStore: this express-session store has no method all(), so it cannot list or revoke the sessions of a user. Use SqlStore or RedisStore.')
    const result = await withTimeLimit(this.#call((callback) => this.#store.all?.(callback)), this.#timeout)
    return unwrapAll(result).filter(({ record }) => principal === undefined || record.principal === principal)
  }

  /** Calls the store. Abandons a call that was not called back for a very long time. */
  async #call<T> (call: Call<T>): Promise<T | undefined> {
    return await withTimeLimit(promised(call), Math.min(this.#timeout * LIMITS_UNTIL_ABANDONED, 2 ** 31 - 1), true)
  }
}
