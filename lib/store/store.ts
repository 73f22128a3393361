/** A value, or a promise of it: a store that lives in the process returns without a promise, which is what makes it fast. */
export type Awaitable<T> = T | PromiseLike<T>

/** A session as a store keeps it: opaque text with the few facts that a store needs to do its work. */
export interface SessionRecord {
  /** JSON text, up to about a megabyte. A store keeps it byte for byte and never parses it. */
  readonly payload: string
  /** 1 when created, and one more with every update. */
  readonly version: number
  /** Epoch milliseconds. From this instant on the record counts as absent. */
  readonly expiresAt: number
  /** Whom the session belongs to, any non-empty text. `list` and `deleteAll` ask for it. */
  readonly principal?: string
}

/** A record together with the id that it is kept under. */
export interface StoredSession {
  readonly id: string
  readonly record: SessionRecord
}

/** Which part of a principal's sessions `list` should return. */
export interface PageRequest {
  /** About how many sessions to return, 1 or more. A page may be longer or shorter, and may be empty. */
  readonly limit: number
  /** The `cursor` of the page before. Default: the first page. */
  readonly cursor?: string | undefined
}

/** One page of a principal's sessions. */
export interface Page {
  readonly sessions: readonly StoredSession[]
  /** Opaque text that requests the next page; `undefined` on the last page. */
  readonly cursor?: string | undefined
}

/** A report of a store outside of any call: a record that it had to drop, an eviction, or background work that failed. */
export type StoreReport =
  | { readonly kind: 'damaged', readonly id: string, readonly error?: unknown }
  | { readonly kind: 'evicted', readonly id: string, readonly principal?: string }
  | { readonly kind: 'failed', readonly task: string, readonly error: unknown }

export type UpdateOutcome = 'updated' | 'conflict' | 'missing'

/**
 * The place where sessions live. A store keeps opaque text under an opaque id. The id alone is not a credential: the cookie
 * has a secret as well, and the store has only the hash of the secret, inside the payload.
 *
 * For every method:
 * - An absent, an expired and a damaged record are one result. An error (thrown, or a rejected promise) means that the store
 *   itself does not work.
 * - A call is atomic. Concurrent calls, from other processes too, see all of it or nothing.
 * - A record is frozen or a fresh copy. Changing what was passed in or returned changes nothing in the store.
 * - The store frees expired records. No later than some minutes after `expiresAt` a record takes up no room.
 * - An answer that the store does not understand is an error, never an empty result.
 *
 * `storeContract` of `fastify-openapi-session/testing` checks all of it.
 */
export interface SessionStore {
  /**
   * Creates a record. Returns `false`, writing nothing, when a live record has the id. Otherwise it returns how many live
   * sessions the record's principal has now, the new one included. (What expired moments ago may be counted.) It returns
   * `true` if the record has no principal, and where counting costs more than a look into an index.
   */
  create(id: string, record: SessionRecord): Awaitable<number | boolean>

  /** Returns the live record. Writes nothing. */
  read(id: string): Awaitable<SessionRecord | undefined>

  /**
   * Moves the expiry of a live record to `expiresAt` (epoch milliseconds), only forward: it never shortens a life, never
   * changes payload or version, and never brings back a record that has ended.
   */
  touch(id: string, expiresAt: number): Awaitable<void>

  /**
   * Compare-and-set: writes only over the version `record.version - 1`, so that a stale save never undoes a logout or
   * another save. A record whose `expiresAt` is in the past deletes instead, under the same condition. Otherwise the stored
   * expiry becomes the later of `record.expiresAt` and the expiry so far, so that a save never undoes a concurrent touch. A
   * changed `principal` moves the session to the list of the new principal.
   */
  update(id: string, record: SessionRecord): Awaitable<UpdateOutcome>

  /** Deletes a record. Returns whether a live one was there. */
  delete(id: string): Awaitable<boolean>

  /**
   * Returns live sessions of a principal, in no particular order, a page at a time. A session that is live from the first
   * page to the last is on one of them, whatever is created, touched or ended in between. (It may be on two.)
   */
  list(principal: string, page: PageRequest): Awaitable<Page>

  /**
   * Deletes the sessions of a principal, all but `except`, and returns how many live ones it deleted. When it returns, no
   * session that the principal had when it was called is left. Works in batches, so that neither the event loop nor the
   * database is held up for long. A session that cannot be read or deleted rejects the call.
   */
  deleteAll(principal: string, except?: string): Awaitable<number>

  /**
   * Deletes every record that is there when it is called, whoever it belongs to, in batches like `deleteAll`. Records that are
   * created in the meantime may stay. Without this method, `app.session.revokeEverything()` throws an error.
   */
  clear?(): Awaitable<void>

  /** `false` where sessions cannot be found by their principal, so that `list` and `deleteAll` reject. */
  readonly lists?: boolean

  /** A sentence on what the store cannot promise, for the log when the app starts. */
  readonly warning?: string

  /** Called once per plugin registration with the function that takes reports. */
  observe?(report: (report: StoreReport) => void): void

  /** Awaited when the app closes; the last call that a store gets. A client that the app lent stays open. */
  close?(): Awaitable<void>
}
