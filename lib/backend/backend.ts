import type { CreatedReason, DestroyedReason, RenewedReason, Report } from '../events/events.js'
import type { Content, Decoded } from '../session/codec.js'
import type { Credential } from '../session/credential.js'
import type { Times } from '../session/times.js'
import type { Awaitable } from '../store/store.js'

/** A live session as it was last read or written. Nothing changes its data. */
export interface Snapshot extends Decoded {
  readonly id: string
  readonly version: number
  /** Epoch milliseconds: idle or absolute timeout, whichever is sooner. */
  readonly expiresAt: number
  /** True if it must be written again without a change: its cookie's deadline, key or name, or the record's principal, is stale. */
  readonly stale?: boolean
}

export interface NewSession {
  readonly credential: Credential
  readonly times: Times
  readonly content: Content
  readonly reason: CreatedReason
}

/** The result of a write: the session as stored now, and the cookie value to send, if the browser needs a new one. */
export interface Saved {
  readonly snapshot: Snapshot
  readonly value?: string | undefined
  /** The result of the store's `create`, if the session is a new record. */
  readonly count?: number | true | undefined
}

/**
 * A renewal to write together with a change: the new credential replaces the old one. If the credential has another id (after a
 * change of principal), the session moves to that id. So concurrent requests of the old principal cannot reach the session.
 */
export interface Renewal {
  readonly credential: Credential
  readonly reason: RenewedReason
  /** The hash of the secret that the browser has. If another request has renewed the session since, that request's secret stays. */
  readonly held: string | undefined
}

/**
 * Computes the data to store from the session as it is stored now. Runs again on a conflict. If the result has `expiresAt`, the
 * session keeps that expiry. Otherwise the write counts as activity. If the result has `times`, they replace those of the session.
 */
export type Compute = (now: Snapshot) => Awaitable<Content & { readonly expiresAt?: number, readonly times?: Times }>

/** The sessions of one scheme, seen from a request. Every method may throw `FST_SESSION_STORE`. */
export interface Backend {
  /** Returns the session of a cookie value. With `touch`, the load counts as activity and moves the idle deadline. */
  load (value: string, touch: boolean, report: Report, cookieName?: string): Awaitable<Snapshot | undefined>
  /** Returns the current state of a session that was loaded earlier, `undefined` if it has ended. */
  reload (session: Snapshot): Awaitable<Snapshot | undefined>
  /** Creates a session. Ends `old`, if given. @throws `FST_SESSION_TOO_LARGE` */
  create (session: NewSession, report: Report, old?: Snapshot): Awaitable<Saved>
  /**
   * Writes the result of `compute`, with a new credential if `renewal` is given. If the session has ended, writes nothing and
   * returns `undefined`. @throws `FST_SESSION_CONFLICT`, `FST_SESSION_TOO_LARGE`
   */
  save (base: Snapshot, compute: Compute, report: Report, renewal?: Renewal): Awaitable<Saved | undefined>
  /** Ends a session, even if it has changed since it was read. Returns whether it was live. */
  end (session: Snapshot, reason: DestroyedReason, report: Report): Awaitable<boolean>
  /** Ends a session only if it is still as it was read. Returns `false` on a conflict. */
  endUnchanged (session: Snapshot, reason: DestroyedReason, report: Report): Awaitable<boolean>
}
