import type { CreatedReason, DestroyedReason, RenewedReason, Report } from '../events/events.js'
import type { Content, Decoded } from '../session/codec.js'
import type { MintedCredential } from '../session/credential.js'
import type { Times } from '../session/times.js'
import type { Awaitable } from '../store/store.js'

/** A live session as it was when it was last read or written. Its data are never changed. */
export interface Snapshot extends Decoded {
  readonly id: string
  readonly version: number
  /** Epoch milliseconds: idle or absolute timeout, whichever is sooner. */
  readonly expiresAt: number
  /** True if it has to be written again although nothing changed: the deadline or key in its cookie, or its principal, is old. */
  readonly stale?: boolean
}

/** A session to create. */
export interface NewSession {
  readonly credential: MintedCredential
  readonly times: Times
  readonly content: Content
  readonly reason: CreatedReason
}

/** The result of a write: the session as stored now, and the cookie value to send, if the browser needs another one. */
export interface Saved {
  readonly snapshot: Snapshot
  readonly value?: string | undefined
  /** The result of the store's `create`, if the session is a new record. */
  readonly count?: number | true | undefined
}

/**
 * A renewal to write together with a change: the credential that takes the place of the old one. If it has another id (a
 * change of principal), the session moves there, so that concurrent requests of the principal before cannot reach it.
 */
export interface Renewal {
  readonly credential: MintedCredential
  readonly reason: RenewedReason
  /** The hash of the secret that the browser has: a session that was renewed in between keeps its own. */
  readonly held: string | undefined
}

/**
 * Computes the data to store from the session as it is stored now. Runs again on a conflict. With `expiresAt`, the deadline of
 * the session stays; without it, the write counts as activity.
 */
export type Compute = (now: Snapshot) => Awaitable<Content & { readonly expiresAt?: number }>

/** The sessions of one scheme, seen from a request. Every method may throw `FST_SESSION_STORE`. */
export interface Backend {
  /** The sessions found without their cookies. Undefined for sealed cookies: only the browsers have those sessions. */
  readonly directory: Directory | undefined
  /** Returns the session of a cookie value. With `touch` the load counts as activity and moves the idle deadline. */
  load (value: string, touch: boolean, report: Report, cookieName?: string): Awaitable<Snapshot | undefined>
  /** Returns a session that a request loaded some time ago as it is now, `undefined` if it has ended. */
  reload (session: Snapshot): Awaitable<Snapshot | undefined>
  /** Creates a session, in place of `old`, which ends. @throws `FST_SESSION_TOO_LARGE` */
  create (session: NewSession, report: Report, old?: Snapshot): Awaitable<Saved>
  /**
   * Writes what `compute` makes of the session, with a new credential if `renewal` is given. Returns `undefined`, writing
   * nothing, when the session has ended. @throws `FST_SESSION_CONFLICT`, `FST_SESSION_TOO_LARGE`
   */
  save (base: Snapshot, compute: Compute, report: Report, renewal?: Renewal): Awaitable<Saved | undefined>
  /** Ends a session, whatever was written to it in between. Returns whether it was live. */
  end (session: Snapshot, reason: DestroyedReason, report: Report): Awaitable<boolean>
  /** Ends a session only if it is still as it was read. Returns `false` on a conflict. */
  endUnchanged (session: Snapshot, reason: DestroyedReason, report: Report): Awaitable<boolean>
  /** Releases what it holds when the app closes. */
  close (): Promise<void>
}

/** One page of sessions. */
export interface SnapshotPage {
  readonly sessions: readonly Snapshot[]
  readonly cursor: string | undefined
}

/** The session that a claimed key leads to, and since when (epoch milliseconds). */
export interface Claim {
  readonly id: string
  readonly since: number
}

/** The sessions of a store, found without their cookies. */
export interface Directory {
  /** Returns the live session with an id. With `touch` it counts as activity. */
  find (id: string, touch?: boolean): Awaitable<Snapshot | undefined>
  list (principal: string, limit: number, cursor?: string): Promise<SnapshotPage>
  revoke (id: string): Promise<boolean>
  revokeAll (principal: string, except?: string): Promise<number>
  /** Ends every session. Undefined if the store cannot. */
  revokeEverything: (() => Promise<void>) | undefined
  /**
   * Records, once and for all processes, that `key` leads to the session `id`, until `until` (epoch milliseconds). Returns
   * `false` when `key` was claimed before.
   */
  claim (key: string, id: string, until: number): Awaitable<boolean>
  /** Returns the session id that a key leads to, and since when. */
  claimed (key: string): Awaitable<Claim | undefined>
  /** Takes a claim back. */
  unclaim (key: string): Awaitable<void>
  /** Applies the option `maxPerPrincipal` to a session that was adopted. */
  limit (adopted: Saved, report: Report): Awaitable<Saved>
}
