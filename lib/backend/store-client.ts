import { isPromise } from '../awaitable.js'
import { SessionError, unavailable } from '../errors.js'
import type { Awaitable, Page, PageRequest, SessionRecord, SessionStore, UpdateOutcome } from '../store/store.js'

/** A call over all sessions of a principal works in batches, and may take this many times the limit of a single call. */
const PATIENCE = 30

/**
 * A store as the backend calls it. Every call ends within a time limit, and fails with the one error that a client may see
 * (`FST_SESSION_STORE`, 503). What a store in the process returns at once is passed on at once, without promise and timer.
 */
export class StoreClient {
  readonly #store: SessionStore
  /** Milliseconds. */
  readonly limit: number

  constructor (store: SessionStore, limit: number) {
    this.#store = store
    this.limit = limit
  }

  create (id: string, record: SessionRecord): Awaitable<number | boolean> {
    return callInTime(() => this.#store.create(id, record), this.limit)
  }

  read (id: string): Awaitable<SessionRecord | undefined> {
    return callInTime(() => this.#store.read(id), this.limit)
  }

  touch (id: string, expiresAt: number): Awaitable<void> {
    return callInTime(() => this.#store.touch(id, expiresAt), this.limit)
  }

  update (id: string, record: SessionRecord): Awaitable<UpdateOutcome> {
    return callInTime(() => this.#store.update(id, record), this.limit)
  }

  delete (id: string): Awaitable<boolean> {
    return callInTime(() => this.#store.delete(id), this.limit)
  }

  list (principal: string, page: PageRequest): Awaitable<Page> {
    return callInTime(() => this.#store.list(principal, page), this.limit)
  }

  deleteAll (principal: string, except?: string): Awaitable<number> {
    return callInTime(() => this.#store.deleteAll(principal, except), this.limit * PATIENCE)
  }

  close (): Awaitable<void> {
    return callInTime(() => this.#store.close?.(), this.limit)
  }
}

/** Calls a store, or waits for one, within a time limit in milliseconds. @throws `FST_SESSION_STORE` */
export function callInTime<T> (call: () => Awaitable<T>, limit: number): Awaitable<T> {
  try {
    const result = call()
    return isPromise(result) ? inTime(result, limit) : result
  } catch (error) {
    throw failure(error)
  }
}

function inTime<T> (result: PromiseLike<T>, limit: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { reject(failure(new Error(`the store did not respond within ${limit} ms`))) }, limit)
    result.then((value) => {
      clearTimeout(timer)
      resolve(value)
    }, (error: unknown) => {
      clearTimeout(timer)
      reject(failure(error))
    })
  })
}

function failure (error: unknown): SessionError {
  return error instanceof SessionError ? error : unavailable(withoutData(error))
}

/**
 * Copies what an error says of itself. Drivers attach the statement, its parameters and its arguments to their errors, and
 * those hold the session's data, which do not belong in a log.
 */
function withoutData (error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return new Error('the store failed without an error')
  const { name, message, stack, code, cause } = error as NodeJS.ErrnoException
  const copy = Object.assign(new Error(message), { name, ...(code !== undefined && { code }) })
  // A cause may be the error itself.
  if (cause !== undefined && depth < 5) copy.cause = withoutData(cause, depth + 1)
  return Object.defineProperty(copy, 'stack', { value: stack, configurable: true, writable: true })
}
