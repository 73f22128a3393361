import { timerMilliseconds } from '../durations.js'
import { invalidOptions } from '../errors.js'
import { refuseUnknown } from '../nearest.js'
import { absent, type Call, called, type ExpressStore, within } from './express/callbacks.js'
import { keyOf, unwrap, unwrapAll, wrap } from './express/envelope.js'
import { clock } from './shared/clock.js'
import { Queues } from './shared/queues.js'
import { SerialStore } from './shared/serial.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession } from './store.js'

export { adoptExpressSessions } from '../migration/express.js'
export type { AdoptOptions } from '../migration/express.js'
export type { ExpressStore } from './express/callbacks.js'

export interface ExpressStoreOptions {
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
  /** Seconds after which a call fails that the store has not called back. Default 2. */
  readonly timeout?: number
}

/**
 * Keeps sessions in a store made for express-session, such as connect-mongo or connect-pg-simple.
 *
 * Within one process every promise of `SessionStore` holds, since calls for one id wait for each other. Between
 * processes the store's interface has no compare-and-set: `docs/stores/express.md` says what that means.
 *
 * @throws `FST_SESSION_OPTIONS` if `store` lacks a method of an express-session store, or `timeout` is not a duration
 */
export function fromExpressStore (store: ExpressStore, options: ExpressStoreOptions = {}): SessionStore {
  for (const method of ['get', 'set', 'destroy'] as const) {
    if (typeof store?.[method] === 'function') continue
    throw invalidOptions('fromExpressStore: give it an instance of an express-session store, such as new MemoryStore()')
  }
  refuseUnknown(options, ['now', 'timeout'], 'option * of fromExpressStore(), in its second argument')
  return new Wrapped(store, options)
}

/** How many times the time limit a call may keep others of the same id waiting. */
const PATIENCE = 30

/** How many sessions `deleteAll` and `clear` delete at once. */
const BATCH = 500

class Wrapped extends SerialStore implements SessionStore {
  readonly lists: boolean
  readonly warning = 'fromExpressStore: express-session stores cannot compare and set. With more than one process on the store, a late save can ' +
    'undo a logout or another save; with one process nothing is lost. SqlStore and RedisStore have no such limit. See docs/stores/express.md.'

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
    return await within(this.live(id), this.#timeout)
  }

  /** Reads the whole store for each page. The cursor is the last id of the page. */
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

  /** Sessions of express-session in the same store stay. */
  async clear (): Promise<void> {
    await this.#deleteEach(await this.#all())
  }

  /**
   * Runs work on one id after the work before it. The call settles within the time limit. The next work waits until the
   * store has finished this one, whose write must not come after a logout.
   */
  protected async inTurn<T> (id: string, work: () => Promise<T>): Promise<T> {
    let isLate = false
    const done = this.#queue.run(id, async () => {
      if (isLate) throw new Error('the call has timed out')
      return await work()
    })
    return await within(done, this.#timeout).finally(() => { isLate = true })
  }

  /** Counting would read all sessions. */
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

  /** Gives up a call that was not called back for so long that it never will be. */
  async #called<T> (call: Call<T>): Promise<T | undefined> {
    return await within(called(call), Math.min(this.#timeout * PATIENCE, 2 ** 31 - 1), true)
  }

  /** Returns the live record. A damaged one, and text that is not JSON, is reported and destroyed. */
  protected async live (id: string): Promise<SessionRecord | undefined> {
    try {
      const session = await this.#called<object | null>((callback) => this.#store.get(keyOf(id), callback)).catch(absent)
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
    await this.#called((callback) => this.#store.set(keyOf(id), wrap(id, record, this.now()), callback))
  }

  protected async remove (id: string): Promise<void> {
    await this.#called((callback) => this.#store.destroy(keyOf(id), callback))
  }

  async #all (principal?: string): Promise<StoredSession[]> {
    const store = this.#store
    if (typeof store.all !== 'function') {
      throw invalidOptions('fromExpressStore: this express-session store has no all(), so its sessions cannot be found. Use SqlStore or RedisStore to list and revoke them.')
    }
    const answer = await within(this.#called((callback) => store.all?.(callback)), this.#timeout)
    return unwrapAll(answer).filter(({ record }) => principal === undefined || record.principal === principal)
  }
}
