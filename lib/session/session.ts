/** The lifetime of a new session. Each setting overrides an option of the plugin. */
export interface StartOptions {
  /** True if the cookie survives when the browser closes ("remember me"). Default: the option `cookie.persistent`. */
  persistent?: boolean
  /** Seconds until the session ends, even if it is in use. Default: the option `absoluteTimeout`. */
  absoluteTimeout?: number
  /**
   * Seconds without a request after which the session ends. Default: the option `idleTimeout`, or with `persistent: true` the
   * whole `absoluteTimeout`, because a remembered user may stay away for long.
   */
  idleTimeout?: number
}

/**
 * The session of one request: `request.session` (or `request.<scheme>`). Its type follows the `security` of the route.
 *
 * On a route that does not declare the session, `exists` is false and `get` and `user` are `undefined`. Everything else throws
 * `FST_SESSION_NOT_DECLARED`. Once the response has begun, methods that change the session throw `FST_SESSION_TOO_LATE`, and
 * `data` is frozen. `update` works at any time.
 */
export interface Session<T extends object = Record<string, unknown>, User = any, Input extends object = T> {
  /** True if a live session was loaded, or started in this request. */
  readonly exists: boolean
  /**
   * The session's id. A renewal does not change it. Safe to show, to log and to pass to `app.session.revoke`, because the id
   * does not contain the cookie's secret.
   * @throws `FST_SESSION_REQUIRED` (401) if there is no session
   */
  readonly id: string
  /**
   * The data, mutable at any depth and saved automatically before the response is sent. Without a session, `data` has the
   * defaults of the schema, if they satisfy the schema. The first change then creates the session.
   * @throws `FST_SESSION_REQUIRED` (401) if there is no session and the schema has no such defaults
   */
  readonly data: T
  /** The result of the option `user`; `undefined` without that option, and for a session that was just started. */
  readonly user: User
  /** Epoch milliseconds. @throws `FST_SESSION_REQUIRED` (401) if there is no session */
  readonly createdAt: number
  /**
   * Epoch milliseconds of the last login: the start of the session, or a change of its principal. 0 if unknown (an adopted session).
   * @throws `FST_SESSION_REQUIRED` (401)
   */
  readonly authenticatedAt: number
  /** Epoch milliseconds: idle or absolute timeout, whichever is sooner. @throws `FST_SESSION_REQUIRED` (401) */
  readonly expiresAt: number
  /** Returns the value of one key, `undefined` if there is no session. */
  get<K extends keyof T & string> (key: K): T[K] | undefined
  /** Sets one key; the same as an assignment to `data`. */
  set<K extends keyof T & string> (key: K, value: T[K]): void
  /** Removes one key. If the schema has a default for the key, sets the default. */
  unset (key: keyof T & string): void
  /**
   * Begins a session in place of the old one: a login. The session gets a new id and secret, and the old record is deleted.
   * So a cookie that was planted before the login opens nothing after it (OWASP ASVS 5.0, 7.2.4).
   * Keys that have a default in the schema may be absent.
   * @throws `FST_SESSION_INVALID_DATA` if `data` do not fit the schema
   */
  start (data: Input, options?: StartOptions): void
  /** Gives the session a new secret, for example when its rights change. The old cookie ends. Id, data and timeouts stay. */
  renew (): void
  /** Gives the session a new secret and keeps only the keys named, as in @fastify/session. @fastify/passport calls this. */
  regenerate (keep?: ReadonlyArray<keyof T & string>): Promise<void>
  /** Ends the session: deletes the record and the browser's cookie. Idempotent. */
  destroy (): void
  /**
   * Reads, changes and writes the stored data as one step, now. `fn` changes the copy that it gets, or returns new data. `fn`
   * runs again on a conflict with another request, so it should do nothing else. It cannot change the principal: see `start`.
   * Returns the data as stored. Works after the response, too.
   * @throws `FST_SESSION_REQUIRED` (401) if the session has ended, `FST_SESSION_CONFLICT` (409)
   */
  update (fn: (data: T) => T | void | Promise<T | void>): Promise<T>
  /** Saves now, for hijacked replies and event streams. Returns the `Set-Cookie` header to send, if there is one. */
  commit (): Promise<string | undefined>
}

/** A session that exists. */
export interface LiveSession<T extends object = Record<string, unknown>, User = any, Input extends object = T>
  extends Session<T, User, Input> {
  readonly exists: true
}

type WithoutSession = 'get' | 'set' | 'unset' | 'start' | 'regenerate' | 'destroy' | 'commit'

/** The members if there is no session. `set` throws `FST_SESSION_REQUIRED` (401) if the schema has no defaults for a new one. */
export interface AbsentSession<T extends object = Record<string, unknown>, Input extends object = T>
  extends Pick<Session<T, any, Input>, WithoutSession> {
  readonly exists: false
  readonly user: undefined
}

/** The members if there is no session and the schema has a default for every key. The first change creates the session. */
export interface BlankSession<T extends object = Record<string, unknown>, Input extends object = T> extends AbsentSession<T, Input>, Pick<Session<T>, 'data' | 'update'> {}

/**
 * The session of a route that does not declare it. Only `exists`, `get` and `user` can be used. The type has the other methods
 * so that the request can be passed to functions that take any `FastifyRequest`. Calling one of them does not compile.
 * `Advice` says what to write. Errors of the compiler and editors show it.
 */
export interface UndeclaredSession<Advice extends string = string> extends
  Record<Exclude<WithoutSession, 'get'>, (this: Advice, ...args: any[]) => never> {
  readonly exists: false
  readonly user: undefined
  get (key: string): undefined
}
