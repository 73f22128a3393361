type Callback<T> = (error?: unknown, result?: T) => void

/**
 * An express-session store by shape: the methods that its documentation calls required, and `all`, which is optional.
 * Sessions are `any` because each store declares another type for them.
 */
export interface ExpressStore {
  get (id: string, callback: Callback<any>): unknown
  set (id: string, session: any, callback: Callback<any>): unknown
  destroy (id: string, callback: Callback<any>): unknown
  all? (callback: Callback<any>): unknown
}

/** A call of a method that calls back. */
export type Call<T> = (callback: Callback<T>) => unknown

/** Settles as the callback does, or as the call itself where a store throws or rejects instead of calling back. */
export function called<T> (call: Call<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const returned = call((error, result) => {
      if (error) reject(error)
      else resolve(result)
    })
    if (returned instanceof Promise) returned.catch(reject)
  })
}

/**
 * Returns `undefined` for the error of a `get` that found no session: session-file-store reports a file that it cannot open.
 * Throws any other error. The missing socket of a database is `connect ENOENT`, a store that does not work.
 */
export function absent (error: unknown): undefined {
  const { code, syscall } = Object(error) as NodeJS.ErrnoException
  if (code !== 'ENOENT' || syscall !== 'open') throw error
}

/**
 * Settles as `result` does. Rejects after `limit` milliseconds, for a store that has not called back. A limit in the
 * `background` does not keep the process alive.
 */
export async function within<T> (result: Promise<T>, limit: number, background = false): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`the express-session store did not call back within ${limit} ms`)) }, limit)
    if (background) timer.unref()
  })
  try {
    return await Promise.race([result, late])
  } finally {
    clearTimeout(timer)
  }
}
