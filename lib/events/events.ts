import { channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'

export type CreatedReason = 'start' | 'first-write' | 'issue' | 'adopted'
export type RenewedReason = 'renew' | 'principal' | 'regenerate'
export type DestroyedReason = 'destroy' | 'replaced' | 'verify' | 'revoke' | 'limit' | 'evicted'
export type ExpiredReason = 'absolute' | 'absent' | 'idle-meanwhile'
export type DiscardedReason = 'damaged' | 'unfit' | 'ended-meanwhile' | 'idle-meanwhile' | 'server-error' | 'after-commit'
export type FailedReason = 'limit'
export type RejectedReason = 'malformed-cookie' | 'duplicate-cookie' | 'stale-secret' | 'cross-origin' | 'unauthenticated' | 'forbidden'

/** Something that happened to a session, for logs and alarms (OWASP ASVS 5.0, V16.3). Never holds a token or data. */
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

/** An event as the code that reports it writes it. */
export type ReportedEvent = WithoutScheme<SessionEvent>

/** Reports an event. The second argument names the session and its principal. */
export type Report = (event: ReportedEvent, of?: { readonly id: string, readonly principal: string | undefined }) => void

export type Listener = (event: SessionEvent, request: FastifyRequest | undefined) => void

/** The name of the `node:diagnostics_channel` on which each event is published as `{ event, request }`. */
export const EVENT_CHANNEL = 'fastify-openapi-session:event'

const events = channel(EVENT_CHANNEL)

// Signs of a defect, an attack or a wrong option should be seen without a debug log.
const WARNED = new Set<SessionEvent['reason']>(['damaged', 'unfit', 'after-commit', 'idle-meanwhile'])

/**
 * Returns the function that reports the events of a scheme: as a structured log line, to the listener of the options, and on
 * the diagnostics channel. None of them ever gets a token. Where no one listens, no event is made.
 */
export function reporter (scheme: string, onEvent: Listener | undefined, log: FastifyBaseLogger, request?: FastifyRequest): Report {
  return (reported, of) => {
    const isWarning = reported.type === 'failed' || WARNED.has(reported.reason)
    if (!isWarning && onEvent === undefined && !events.hasSubscribers && !isDebugEnabled(log)) return
    const event: SessionEvent = Object.freeze({
      scheme, ...reported, ...(of !== undefined && { id: of.id }), ...(of?.principal !== undefined && { principal: of.principal })
    })
    const advice = isWarning && event.detail !== undefined ? `: ${event.detail}` : ''
    log[isWarning ? 'warn' : 'debug']({ session: event }, `session ${event.type}: ${event.reason}${advice}`)
    events.publish({ event, request })
    if (onEvent !== undefined) call(onEvent, event, request, log)
  }
}

/** Returns whether the log wants debug lines. A logger that cannot tell gets none: composing them costs time. */
export function isDebugEnabled (log: FastifyBaseLogger): boolean {
  return (log as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled?.('debug') === true
}

/** Calls a listener. Its errors are logged, those of an asynchronous one too. */
function call (onEvent: Listener, event: SessionEvent, request: FastifyRequest | undefined, log: FastifyBaseLogger): void {
  const failed = (error: unknown): void => log.error({ err: error, session: event }, 'onEvent failed; the request continues')
  try {
    const returned: unknown = onEvent(event, request)
    if (returned instanceof Promise) returned.catch(failed)
  } catch (error) {
    failed(error)
  }
}
