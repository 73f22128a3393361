import { SessionError, unavailable } from './errors.js'
import { TimeLimit, type Timed } from './store/shared/time-limit.js'
import type { Awaitable } from './store/store.js'

/** Returns true for anything that `await` waits for, which may be a function. */
export function isPromise<T> (value: Awaitable<T>): value is PromiseLike<T> {
  return ((typeof value === 'object' && value !== null) || typeof value === 'function') && typeof (value as { then?: unknown }).then === 'function'
}

/** Returns a promise itself. Makes one of another thenable, such as a query, because its `then` may throw or return nothing. */
function native<T> (value: PromiseLike<T>): Promise<T> { return Promise.resolve(value) }

/** Calls `next` with a value: at once, or when the promise resolves. Makes no promise if the value is not one. */
export function chain<T, U> (value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? native(value).then(next) : next(value)
}

/** Calls `next` with all values: at once, or when all promises among them resolve. */
export function chainAll<T, U> (values: ReadonlyArray<Awaitable<T>>, next: (values: T[]) => Awaitable<U>): Awaitable<U> {
  if (values.length === 1) return chain(values[0] as Awaitable<T>, (value) => next([value]))
  return values.some(isPromise) ? Promise.all(values).then(next) : next(values as T[])
}

/** Returns the first result of `find` that is not `undefined`, in the order of the items. Each call waits for the one before. */
export function findFirst<T, U> (items: readonly T[], find: (item: T) => Awaitable<U | undefined>, index = 0): Awaitable<U | undefined> {
  return index === items.length ? undefined : chain(find(items[index] as T), (found) => found ?? findFirst(items, find, index + 1))
}

/** Calls `next` with the result of `work`, or `recover` with its error, as `then(next, recover)` of a promise does. */
export function settle<T, U> (work: () => Awaitable<T>, next: (value: T) => Awaitable<U>, recover: (error: unknown) => U): Awaitable<U> {
  let result: Awaitable<T>
  try {
    result = work()
  } catch (error) {
    return recover(error)
  }
  return isPromise(result) ? native(result).then(next, recover) : next(result)
}

/** Returns the result of `work`, or the result of `recover` if `work` throws or rejects. */
export function rescue<T> (work: () => Awaitable<T>, recover: (error: unknown) => T): Awaitable<T> {
  return settle(work, (value) => value, recover)
}

/**
 * Calls a function of a store, or waits for an earlier call, within a time limit in milliseconds. If that returns a value, makes neither
 * a promise nor a timer. @throws `FST_SESSION_STORE` (503), the one error that a client may see, for every failure
 */
export function callInTime<T, A> (call: (argument: A) => Awaitable<T>, limit: number, argument?: A): Awaitable<T> {
  try {
    const result = call(argument as A)
    return isPromise(result) ? waitFor(result, limit) : result
  } catch (error) {
    throw failure(error)
  }
}

/** One `TimeLimit` for each limit in use. All calls with the same limit share its timer. */
const limits = new Map<number, TimeLimit>()

function waitFor<T> (result: PromiseLike<T>, limit: number): Promise<T> {
  let timeLimit = limits.get(limit)
  if (timeLimit === undefined) limits.set(limit, timeLimit = new TimeLimit(limit))
  return new Promise((resolve, reject) => {
    const call: Timed = { due: 0, older: undefined, newer: undefined, onTimeout: () => { reject(failure(new Error(`the store did not respond within ${limit} ms`))) } }
    timeLimit.add(call)
    native(result).then((value) => {
      timeLimit.delete(call)
      resolve(value)
    }, (error: unknown) => {
      timeLimit.delete(call)
      reject(failure(error))
    })
  })
}

function failure (error: unknown): SessionError { return error instanceof SessionError ? error : unavailable(withoutData(error)) }

/** Copies the standard properties of an error. Drivers attach statements and their parameters, whose data must not reach a log. */
function withoutData (error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return new Error('the store failed without an error')
  const { name, message, stack, code, cause } = error as NodeJS.ErrnoException
  const copy = Object.assign(new Error(message), { name, ...(code !== undefined && { code }) })
  // A cause may be the error itself.
  if (cause !== undefined && depth < 5) copy.cause = withoutData(cause, depth + 1)
  return Object.defineProperty(copy, 'stack', { value: stack, configurable: true, writable: true })
}
