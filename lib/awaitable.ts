import type { Awaitable } from './store/store.js'

/** Returns whether a value has to be awaited. */
export function isPromise<T> (value: Awaitable<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Returns the result of `work`, or that of `recover` where `work` throws or rejects. */
export function rescue<T> (work: () => Awaitable<T>, recover: (error: unknown) => T): Awaitable<T> {
  try {
    const result = work()
    return isPromise(result) ? result.then(undefined, recover) : result
  } catch (error) {
    return recover(error)
  }
}

/** Continues with a value: at once if it is there, else when the promise resolves. Costs no promise where none is needed. */
export function chain<T, U> (value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value)
}
