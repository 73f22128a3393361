/** A value, or a promise of it. A store in the memory of the process can return plain values, which saves time. */
export type Awaitable<T> = T | PromiseLike<T>

/** A session as a store keeps it: an opaque payload, and the fields that the store works with. */
export interface SessionRecord {
  /** JSON text, returned unchanged and never parsed. The option `maxSize` of the plugin limits it, to 1 MiB by default. */
  readonly payload: string
  /** 1 when the session is created. Each update adds 1. */
  readonly version: number
  /** Epoch milliseconds. At this instant the record expires, and from then on it counts as absent. */
  readonly expiresAt: number
  /** The owner of the session, such as a user id: any non-empty text. `list` and `deleteAll` select by it. */
  readonly principal?: string
}

/** A record and its id. */
export interface StoredSession {
  readonly id: string
  readonly record: SessionRecord
}

/** Selects one page of `list`. */
export interface PageRequest {
  /** About how many sessions to return, 1 or more. A page may be longer or shorter, and may be empty. */
  readonly limit: number
  /** The `cursor` of the previous page. Default: the first page. */
  readonly cursor?: string | undefined
}

/** One page of a principal's sessions. */
export interface Page {
  readonly sessions: readonly StoredSession[]
  /** Opaque text that requests the next page; `undefined` on the last page. */
  readonly cursor?: string | undefined
}

/** An event in a store: a damaged record was deleted, a session was evicted, or background work failed. */
export type StoreReport =
  | { readonly kind: 'damaged', readonly id: string, readonly error?: unknown }
  | { readonly kind: 'evicted', readonly id: string, readonly principal?: string }
  | { readonly kind: 'failed', readonly task: string, readonly error: unknown }

export type UpdateOutcome = 'updated' | 'conflict' | 'missing'

/**
 * Keeps sessions: opaque text under an opaque id. The id alone is not a credential. The cookie also holds a secret, of which
 * the payload has only a hash.
 *
 * For every method:
 * - Absent, expired and damaged records have the same result. An error (thrown, or a rejected promise) means that the store
 *   does not work.
 * - A call is atomic. Concurrent calls, including those of other processes, see its whole effect or none.
 * - A record is frozen or a fresh copy. Changing an argument or a result does not change the store.
 * - The store frees an expired record at most a few minutes after `expiresAt`.
 * - An unexpected reply of the server is an error, never an empty result.
 *
 * `storeContract` of `fastify-openapi-session/testing` checks these rules.
 */
export interface SessionStore {
  /**
   * Creates a record. Returns `false` and writes nothing if a live record has the id. Otherwise returns the number of live
   * sessions of the principal, including the new one. Sessions that have just expired may be counted too. Returns `true`
   * if the record has no principal, or if counting would be slow.
   */
  create(id: string, record: SessionRecord): Awaitable<number | boolean>

  /** Returns the live record. Writes nothing. */
  read(id: string): Awaitable<SessionRecord | undefined>

  /**
   * Extends a live record to `expiresAt` (epoch milliseconds). Never shortens its life, never changes its payload or
   * version, and never restores a deleted or expired record.
   */
  touch(id: string, expiresAt: number): Awaitable<void>

  /**
   * Replaces a live record if its version is `record.version - 1` (compare-and-set), so that a stale save never undoes a
   * logout or another save. If `record.expiresAt` is in the past, deletes the record under the same condition. Otherwise
   * keeps the later of the stored and the new `expiresAt`, so that a save never undoes a concurrent touch. A changed
   * `principal` moves the session to the list of the new principal.
   */
  update(id: string, record: SessionRecord): Awaitable<UpdateOutcome>

  /** Deletes a record. Returns true if it was live. */
  delete(id: string): Awaitable<boolean>

  /**
   * Returns one page of the live sessions of a principal, in no particular order. A session that is live from the first
   * page to the last is on at least one page, even if other sessions are created, touched or deleted between the pages.
   */
  list(principal: string, page: PageRequest): Awaitable<Page>

  /**
   * Deletes all sessions of a principal except the one with the id `except`. Returns how many live sessions it deleted.
   * Sessions that are created during the call may stay. Works in batches, to block neither the event loop nor the database
   * for long. Fails if a session cannot be read or deleted.
   */
  deleteAll(principal: string, except?: string): Awaitable<number>

  /**
   * Deletes all records, in batches like `deleteAll`. Records that are created during the call may stay. Without this
   * method, `app.session.revokeEverything()` throws an error.
   */
  clear?(): Awaitable<void>

  /** False if the store cannot find sessions by principal. Then `list` and `deleteAll` fail. */
  readonly lists?: boolean

  /** A limit of the store, as a sentence. The plugin logs it as a warning when the app starts. */
  readonly warning?: string

  /** Adds a function that receives the store's reports. Each registration of the plugin calls it once. */
  observe?(report: (report: StoreReport) => void): void

  /** Closes the store. The plugin awaits it when the app closes, as the last call. A client of the app stays open. */
  close?(): Awaitable<void>
}
