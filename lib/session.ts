/** How long a session that `start` or `issue` begins may live, where it is to differ from the scheme's options. */
export interface StartOptions {
  /** `true`: the cookie outlives the browser's run ("remember me"). Default: the option `cookie.persistent`. */
  persistent?: boolean
  /** Seconds from now to the end, whatever happens. Default: the option `absoluteTimeout`. */
  absoluteTimeout?: number
  /**
   * Seconds without a request after which the session ends. Not below the option `idleTimeout`. Default: that option, or
   * the whole `absoluteTimeout` for a session that is `persistent`: who asked to be remembered is not idle.
   */
  idleTimeout?: number
}

/** The session of one request, as `request.session` (or `request.<scheme>`) gives it on routes that declare it. */
export interface Session<T extends object = Record<string, any>> {
  /** Whether a live session was loaded, or started in this request. */
  readonly exists: boolean
  /**
   * What the store calls the session. Safe to show, to log and to pass to `app.session.revoke`: it is no cookie.
   * @throws `FST_SESSION_REQUIRED` (401) where there is none
   */
  readonly id: string
  /**
   * The data, freely mutable at any depth, saved by themselves before the response is sent. Without a session: the
   * defaults of the schema if they satisfy it, and the first change creates the session.
   * @throws `FST_SESSION_REQUIRED` (401) when the schema has no such defaults
   */
  readonly data: T
  /** Epoch milliseconds. @throws `FST_SESSION_REQUIRED` (401) where there is no session */
  readonly createdAt: number
  /** Epoch milliseconds of the login: when the principal was established. @throws `FST_SESSION_REQUIRED` (401) */
  readonly authenticatedAt: number
  /** Epoch milliseconds, idle or absolute timeout, whichever is sooner. @throws `FST_SESSION_REQUIRED` (401) */
  readonly expiresAt: number
  /** The value of one key, `undefined` where there is no session. */
  get<K extends keyof T & string> (key: K): T[K] | undefined
  /** Sets one key; the same as an assignment to `data`. */
  set<K extends keyof T & string> (key: K, value: T[K]): void
  /** Removes one key, or takes it back to the default that the schema has for it. */
  unset (key: keyof T & string): void
  /**
   * Begins a session in place of the one before (a login): new token, old record gone, so that a token planted before
   * the login is worth nothing after it (OWASP ASVS 5.0, 7.2.4).
   * @throws `FST_SESSION_INVALID_DATA` when `data` do not fit the schema
   */
  start (data: T, options?: StartOptions): void
  /** Gives the session a new token, for a change of what it may do. Data and timeouts stay. */
  renew (): void
  /** A new token and nothing but the keys named: what @fastify/session means by it, and @fastify/passport calls. */
  regenerate (keep?: ReadonlyArray<keyof T & string>): Promise<void>
  /** Ends the session: the record is deleted and the browser told to forget the cookie. Again is fine. */
  destroy (): void
  /**
   * Reads, changes and writes the stored data as one step, now. `fn` gets a copy to change, or returns the new data; it
   * runs again when another request was faster, so it should do nothing else. It cannot change the principal: see `start`.
   * Resolves the data as stored.
   * @throws `FST_SESSION_REQUIRED` (401) when the session is over, `FST_SESSION_CONFLICT` (409)
   */
  update (fn: (data: T) => T | void | Promise<T | void>): Promise<T>
  /**
   * Stores now what would be stored when the response is sent, and resolves the `Set-Cookie` value to send, if there is
   * one: for hijacked replies, event streams and WebSockets, where nothing does that by itself.
   */
  commit (): Promise<string | undefined>
}
