import { invalidOptions, refuseUnknown, timerMilliseconds } from '../errors.js'
import { type Call, type ExpressStore, ignoreMissing, promised, withTimeLimit } from './express/callbacks.js'
import { keyOf, unwrap, unwrapAll, wrap } from './express/envelope.js'
import { clock } from './shared/clock.js'
import { Queues } from './shared/queues.js'
import { SerialStore } from './shared/serial.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession } from './store.js'

export { adoptExpressSessions } from '../migration/express.js'
export type { AdoptOptions } from '../migration/express.js'
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
  for (const method of ['get', 'set', 'destroy'] as const) {
    if (typeof store?.[method] === 'function') continue
    throw invalidOptions('fromExpressStore: the first argument must be an instance of an express-session store, such as new MemoryStore()')
  }
  refuseUnknown(options, ['now', 'timeout'], 'option * of fromExpressStore(), in its second argument')
  return new WrappedStore(store, options)
}

/** After this many time limits, a call that was not called back no longer blocks other calls for the same id. */
const LIMITS_UNTIL_ABANDONED = 30

/** How many sessions `deleteAll` and `clear` delete at once. */
const BATCH = 500

class WrappedStore extends SerialStore implements SessionStore {
  readonly lists: boolean
  readonly warning = 'fromExpressStore: express-session stores cannot compare and set. With more than one process on the store, a stale save can ' +
    'undo a logout or another save. Use a single process, or SqlStore or RedisStore. See docs/stores/express.md.'

  readonly #store: ExpressStore
  /** Milliseconds. */
  readonly #timeout: number
  readonly #queue = new Queues()

  constructor (store: ExpressStore, { now, timeout = 2 }: ExpressStoreOptions) {
    super(clock(now))
    this.#store = store
    this.lists = typeof store.all === 'function'
    this.#timeout = timerMilliseconds('fromExpressStore: timeout', timeout) as number
  }

  async read (id: string): Promise<SessionRecord | undefined> {
    return await withTimeLimit(this.live(id), this.#timeout)
  }

  /** Returns one page. Reads the whole store for each page. The cursor is the last id of the page. */
  async list (principal: string, { limit, cursor }: PageRequest): Promise<Page> {
    const found = (await this.#all(principal))
      .filter(({ id, record }) => this.isLive(record) && (cursor === undefined || id > cursor))
      .sort((one, other) => one.id < other.id ? -1 : 1)
    const sessions = found.slice(0, limit)
    return { sessions, cursor: found.length > limit ? sessions.at(-1)?.id : undefined }
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    return await this.#deleteEach((await this.#all(principal)).filter(({ id }) => id !== except), principal)
  }

  /** Deletes the sessions of this package. Sessions of express-session in the same store stay. */
  async clear (): Promise<void> {
    await this.#deleteEach(await this.#all())
  }

  /**
   * Runs the tasks of each id one at a time. The returned promise settles within the time limit. Even then, the next task
   * waits until the store has finished this one, so that a slow save cannot undo a later logout.
   */
  protected async inTurn<T> (id: string, task: () => Promise<T>): Promise<T> {
    let hasTimedOut = false
    const done = this.#queue.run(id, async () => {
      if (hasTimedOut) throw new Error('the call has timed out')
      return await task()
    })
    return await withTimeLimit(done, this.#timeout).finally(() => { hasTimedOut = true })
  }

  /** Returns `true`, because counting would read all sessions. */
  protected count (): true {
    return true
  }

  async #deleteEach (found: StoredSession[], principal?: string): Promise<number> {
    let deleted = 0
    while (found.length > 0) {
      const outcomes = await Promise.all(found.splice(0, BATCH).map(({ id }) => this.inTurn(id, () => this.end(id, principal))))
      deleted += outcomes.filter(Boolean).length
    }
    return deleted
  }

  /** Calls the store. Abandons a call that was not called back for a very long time. */
  async #call<T> (call: Call<T>): Promise<T | undefined> {
    return await withTimeLimit(promised(call), Math.min(this.#timeout * LIMITS_UNTIL_ABANDONED, 2 ** 31 - 1), true)
  }

  /** Returns a live record. Reports and deletes a damaged record, or text that is not JSON. */
  protected async live (id: string): Promise<SessionRecord | undefined> {
    try {
      const session = await this.#call<object | null>((callback) => this.#store.get(keyOf(id), callback)).catch(ignoreMissing)
      if (session == null) return undefined
      const stored = unwrap(session)
      if (stored?.id !== id) throw new SyntaxError('not a session of this package')
      return this.isLive(stored.record) ? stored.record : undefined
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      this.report({ kind: 'damaged', id, error })
      await this.remove(id)
      return undefined
    }
  }

  protected async write (id: string, record: SessionRecord): Promise<void> {
    await this.#call((callback) => this.#store.set(keyOf(id), wrap(id, record, this.now()), callback))
  }

  protected async remove (id: string): Promise<void> {
    await this.#call((callback) => this.#store.destroy(keyOf(id), callback))
  }

  async #all (principal?: string): Promise<StoredSession[]> {
    const store = this.#store
    if (typeof store.all !== 'function') {
      throw invalidOptions('fromExpressStore: this express-session store has no method all(), so it cannot list or revoke the sessions of a user. Use SqlStore or RedisStore.')
    }
    const result = await withTimeLimit(this.#call((callback) => store.all?.(callback)), this.#timeout)
    return unwrapAll(result).filter(({ record }) => principal === undefined || record.principal === principal)
  }
}
