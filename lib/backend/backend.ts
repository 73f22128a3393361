import type { Content, Data, Life, Prepared } from '../record.js'
import type { Ticket } from '../token.js'

/** A session that was alive when it was last looked at. */
export interface Live extends Content {
  readonly id: string
  readonly version: number
  /** Epoch milliseconds: idle or absolute, whichever is sooner. */
  readonly expiresAt: number
  /** It has to be written anew although nothing changed: the deadline or key inside its cookie, or its entry in a list, is old. */
  readonly stale?: boolean
}

export type Loaded =
  | { readonly kind: 'live', readonly live: Live }
  | { readonly kind: 'dead' }

/** What one request did to a session, as one thing to store. */
export type Change =
  | { readonly kind: 'none' }
  /** Nothing of it is stored yet. */
  | { readonly kind: 'create', readonly ticket: Ticket, readonly life: Life, readonly content: Prepared, readonly reason: CreatedReason }
  | { readonly kind: 'update', readonly live: Live, readonly content: Prepared }
  /** Nothing but its deadline or its key is new. */
  | { readonly kind: 'refresh', readonly live: Live }
  /** The same session under a new token. */
  | { readonly kind: 'renew', readonly live: Live, readonly ticket: Ticket, readonly life: Life, readonly content: Prepared, readonly reason: RenewedReason }
  /** Another session in the place of the old one. */
  | { readonly kind: 'replace', readonly live: Live, readonly ticket: Ticket, readonly life: Life, readonly content: Prepared }
  | { readonly kind: 'destroy', readonly live: Live, readonly reason: DestroyedReason }

/**
 * What came of a change. `live` is the session as it is stored now, `undefined` when it is over. `value` is the cookie
 * to hand out; `undefined` leaves the browser's as it is.
 */
export interface Committed {
  readonly live: Live | undefined
  readonly value?: string | undefined
  /** Nothing was done, since somebody else was faster and it no longer applies. */
  readonly outrun?: true
}

export type CreatedReason = 'start' | 'first-write' | 'issue' | 'adopted'
export type RenewedReason = 'renew' | 'principal' | 'regenerate'
export type DestroyedReason = 'destroy' | 'replaced' | 'verify' | 'revoke' | 'limit'
export type ExpiredReason = 'absolute' | 'absent'
export type DiscardedReason = 'damaged' | 'unfit' | 'ended-meanwhile' | 'server-error' | 'after-commit' | 'refused'
export type FailedReason = 'limit'
export type RejectedReason = 'malformed-cookie' | 'duplicate-cookie' | 'cross-origin' | 'unauthenticated' | 'forbidden'

/** What happened to a session, for logs and alarms (OWASP ASVS 5.0, V16.3). It never holds a token or data. */
export type SessionEvent = { readonly scheme: string, readonly id?: string, readonly principal?: string, readonly detail?: string } & (
  | { readonly type: 'created', readonly reason: CreatedReason }
  | { readonly type: 'renewed', readonly reason: RenewedReason }
  | { readonly type: 'destroyed', readonly reason: DestroyedReason }
  | { readonly type: 'expired', readonly reason: ExpiredReason }
  | { readonly type: 'discarded', readonly reason: DiscardedReason }
  | { readonly type: 'rejected', readonly reason: RejectedReason }
  /** Left undone, since the store failed: a session over the limit of its principal lives on. */
  | { readonly type: 'failed', readonly reason: FailedReason }
)

type WithoutScheme<E> = E extends unknown ? Omit<E, 'scheme'> : never
/** Where a backend and a request tell what happened. */
export type Report = (event: WithoutScheme<SessionEvent>) => void

/** What runs again on a conflict in `Session.update`: the stored data in, the data to store out. */
export type Mutation = (data: Data) => Promise<Prepared>

/** Where the sessions of one scheme live, seen from a request: a cookie value goes in, one change goes out. */
export interface Backend {
  /** Finds the session of a cookie value. With `touch` its idle deadline moves. @throws `FST_SESSION_STORE` */
  load (value: string, touch: boolean, report: Report): Promise<Loaded>
  /** Stores a change, all or nothing. @throws `FST_SESSION_STORE`, `FST_SESSION_CONFLICT`, `FST_SESSION_TOO_LARGE` */
  commit (change: Change, report: Report): Promise<Committed>
  /** Reads, changes and writes as one step, as often as it takes. `live: undefined` when the session is over. */
  mutate (live: Live, mutation: Mutation, report: Report): Promise<Committed>
  /**
   * Begins a session under a ticket that other requests may hold too: one of them creates it, the others find it, and none
   * makes it anew when it is over (`live: undefined`). Where nothing is stored, each creates one.
   * @throws `FST_SESSION_STORE`
   */
  adopt (change: Extract<Change, { kind: 'create' }>, report: Report): Promise<Committed>
  /** What `app.<scheme>` can do beyond one request; `undefined` where sessions cannot be found without their cookie. */
  readonly directory: Directory | undefined
  /** Lets go of what it holds when the app closes. */
  close (): Promise<void>
}

/** The sessions of a store, found without their cookies. */
export interface Directory {
  /** With `touch` it counts as activity. */
  find (id: string, touch?: boolean): Promise<Live | undefined>
  list (principal: string): Promise<readonly Live[]>
  revoke (id: string): Promise<boolean>
  revokeAll (principal: string, except?: string): Promise<number>
}
