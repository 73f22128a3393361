/** What a session is to an express-session store: JSON with a `cookie` that tells how long it lives. */
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
 * What is asked of an express-session store, by shape: the methods that its documentation calls required, and `all`,
 * which it calls optional. Sessions are `any` because each store declares another type for them.
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

/** What a call ends with that is not called back within `limit` milliseconds. */
export function noCallback (limit: number): Error {
  return new Error(`the express-session store did not call back within ${limit} ms`)
}

/**
 * For a `get` that failed: nothing when the error says that there is no such session, as session-file-store does of a file
 * that it cannot open, and express-session takes it so. The socket of a database can be missing too: that is `connect ENOENT`,
 * a store that is out of order.
 */
export function absent (error: unknown): undefined {
  const { code, syscall } = Object(error) as NodeJS.ErrnoException
  if (code !== 'ENOENT' || syscall !== 'open') throw error
}
