type Callback<T> = (error?: unknown, result?: T) => void

/** The methods of an express-session store; `all` is optional. Sessions are `any`, because each store has a type of its own. */
export interface ExpressStore {
  get (id: string, callback: Callback<any>): unknown
  set (id: string, session: any, callback: Callback<any>): unknown
  destroy (id: string, callback: Callback<any>): unknown
  all? (callback: Callback<any>): unknown
}

export type Call<T> = (callback: Callback<T>) => unknown

/** Returns the result of a callback as a promise. Also rejects if the store throws or rejects instead of calling back. */
export function promised<T> (call: Call<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const returned = call((error, result) => {
      if (error) reject(error)
      else resolve(result)
    })
    if (returned instanceof Promise) returned.catch(reject)
  })
}

/**
 * Returns `undefined` for an error that means that there is no session: session-file-store reports that it cannot open the file.
 * @throws any other error, such as `connect ENOENT` for the missing socket of a database
 */
export function ignoreMissing (error: unknown): undefined {
  const { code, syscall } = Object(error) as NodeJS.ErrnoException
  if (code !== 'ENOENT' || syscall !== 'open') throw error
}

/** Settles as `result` does, or rejects after `limit` milliseconds. A `background` timer does not keep the process alive. */
export function withTimeLimit<T> (result: Promise<T>, limit: number, background = false): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => { reject(new Error(`the express-session store did not call back within ${limit} ms`)) }, limit)
    if (background) timer.unref()
    void result.then(resolve, reject).finally(() => { clearTimeout(timer) })
  })
}
