/** A session as a store keeps it: opaque text with the few facts that a store needs to do its work. */
export interface SessionRecord {
  /** JSON text, up to about a megabyte. A store keeps it letter by letter and never parses it. */
  readonly payload: string
  /** 1 when created, and one more with every update. */
  readonly version: number
  /** Epoch milliseconds. From this instant on the record is as good as absent. */
  readonly expiresAt: number
  /** Whom the session belongs to, any non-empty text; what `list` and `deleteAll` ask for. */
  readonly principal?: string
}

/** A record together with the id it is kept under. */
export interface StoredSession {
  readonly id: string
  readonly record: SessionRecord
}

/** What a store has to tell outside of any call: a record that it had to drop, or background work that failed. */
export type StoreReport =
  | { readonly kind: 'damaged', readonly id: string, readonly error?: unknown }
  | { readonly kind: 'failed', readonly task: string, readonly error: unknown }

export type UpdateOutcome = 'updated' | 'conflict' | 'missing'

/**
 * Where sessions live. A store keeps opaque text under an opaque id: the id is the SHA-256 of the cookie's token
 * (43 characters of base64url), so that a leaked store signs nobody in.
 *
 * What holds for every method:
 * - an absent, an expired and a damaged record are one answer; an error (a rejected promise) means that the store
 *   itself is out of order;
 * - a call is atomic: concurrent calls, from other processes too, see all of it or nothing;
 * - a record is frozen or a fresh copy: changing what was passed in or handed out changes nothing in the store;
 * - expiry is the store's to keep: no later than some minutes after `expiresAt` a record takes up no room any more.
 *
 * `storeContract` of `fastify-openapi-session/testing` checks all of it.
 */
export interface SessionStore {
  /** Resolves `false`, writing nothing, when a live record has the id. */
  create(id: string, record: SessionRecord): Promise<boolean>

  /**
   * The live record. With `touchTo` (epoch milliseconds) its expiry is moved there in the same round trip, but only
   * forward: a touch never shortens a life, never raises the version and never brings back what is gone. A store for
   * which that is a costly write may put it off until a tenth of the time from now to `touchTo` is to be gained.
   */
  read(id: string, touchTo?: number): Promise<SessionRecord | undefined>

  /**
   * Writes only over the version before, `record.version - 1`: a late save never undoes a logout or another save.
   * A record that is already expired when it is written (`expiresAt` in the past) ends the session: it is a delete
   * that happens only if nobody wrote in between.
   * The stored expiry becomes `record.expiresAt`, be it earlier or later than before; a changed `principal` moves the
   * session to the other principal's list.
   */
  update(id: string, record: SessionRecord): Promise<UpdateOutcome>

  /** Resolves whether a live record was there. */
  delete(id: string): Promise<boolean>

  /** The live sessions of a principal, in no particular order. */
  list(principal: string): Promise<readonly StoredSession[]>

  /**
   * Deletes the sessions of a principal, all but `except`, and resolves how many live ones there were. When it
   * resolves, no session that the principal had when it was called is left, even if one was renewed meanwhile
   * (the new record is created before the old one ends): look again until nothing is found.
   */
  deleteAll(principal: string, except?: string): Promise<number>

  /** `false` where sessions cannot be found by their principal, so that `list` and `deleteAll` reject. */
  readonly lists?: boolean

  /** What a store cannot promise, for the log when the app starts. */
  readonly warning?: string

  /** Told once per plugin registration: where to report what has no call to answer. */
  observe?(report: (report: StoreReport) => void): void

  /** Awaited when the app closes; the last call that a store gets. A client that the app lent stays open. */
  close?(): Promise<void>
}
