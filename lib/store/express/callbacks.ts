/** A session as an express-session store takes it: JSON with a `cookie` that has its expiry. */
export interface ExpressSession {
  cookie: {
    originalMaxAge: number | null
    maxAge?: number
    expires?: Date | string | null
    httpOnly?: boolean
    path?: string
  }
}

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

/** Settles as the callback does, or as the call itself where a store throws or rejects instead of calling back. */
export function called<T> (call: (callback: Callback<T>) => unknown): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const returned = call((error, result) => {
      if (error) reject(error)
      else resolve(result)
    })
    if (returned instanceof Promise) returned.catch(reject)
  })
}

/** Returns the error of a call that was not called back within `limit` milliseconds. */
export function noCallback (limit: number): Error {
  return new Error(`the express-session store did not call back within ${limit} ms`)
}

/**
 * Returns `undefined` for the error of a `get` that found no session: session-file-store reports a file that it cannot open.
 * Throws any other error. The missing socket of a database is `connect ENOENT`, a store that does not work.
 */
export function absent (error: unknown): undefined {
  const { code, syscall } = Object(error) as NodeJS.ErrnoException
  if (code !== 'ENOENT' || syscall !== 'open') throw error
}
