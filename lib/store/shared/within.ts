/**
 * Resolves the result of a call, be it a promise or not. Rejects with the error that `late` makes after `limit` milliseconds.
 * A limit in the `background` does not keep the process alive.
 */
export function within<T> (call: () => T | PromiseLike<T>, limit: number, late: () => Error, background = false): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { reject(late()) }, limit)
    if (background) timer.unref()
    const settle = <A>(as: (outcome: A) => void) => (outcome: A): void => {
      clearTimeout(timer)
      as(outcome)
    }
    try {
      Promise.resolve(call()).then(settle(resolve), settle(reject))
    } catch (error) {
      settle(reject)(error)
    }
  })
}
