import { channel, tracingChannel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { rescue } from '../awaitable.js'
import type { Awaitable } from '../store/store.js'

export type CreatedReason = 'start' | 'first-write' | 'issue' | 'adopted'
export type RenewedReason = 'renew' | 'principal' | 'regenerate'
export type DestroyedReason = 'destroy' | 'replaced' | 'verify' | 'revoke' | 'limit' | 'evicted'
export type DiscardedReason = 'damaged' | 'unfit' | 'ended' | 'idle-during-request' | 'server-error' | 'after-commit'

/** An event without its scheme, as the plugin's own code reports it. */
export type ReportedEvent = { readonly id?: string, readonly principal?: string, readonly detail?: string } & (
  | { readonly type: 'created', readonly reason: CreatedReason }
  | { readonly type: 'renewed', readonly reason: RenewedReason }
  | { readonly type: 'destroyed', readonly reason: DestroyedReason }
  | { readonly type: 'expired', readonly reason: 'absolute' | 'absent' | 'idle-during-request' }
  | { readonly type: 'discarded', readonly reason: DiscardedReason }
  | { readonly type: 'rejected', readonly reason: 'malformed-cookie' | 'duplicate-cookie' | 'stale-secret' | 'cross-origin' | 'unauthenticated' | 'forbidden' }
  /** The store failed, so the principal may have more sessions than the limit. */
  | { readonly type: 'failed', readonly reason: 'limit' }
)

/** An event in the life of a session, for logs and alarms (OWASP ASVS 5.0, V16.3). Never contains a secret or data. */
export type SessionEvent = { readonly scheme: string } & ReportedEvent

/** Reports an event of the session `of`. Returns `undefined`, so that a caller that has no session can return the result. */
export type Report = (event: ReportedEvent, of?: { readonly id: string, readonly principal: string | undefined }) => undefined

type Listener = (event: SessionEvent, request: FastifyRequest | undefined) => unknown

/** The channel of `node:diagnostics_channel` on which each event is published as `{ event, request }`. */
const events = channel('fastify-openapi-session:event')

/** Reasons that point to a defect, an attack or a wrong option. They are logged as warnings. */
const WARNED = new Set<SessionEvent['reason']>(['damaged', 'unfit', 'after-commit', 'idle-during-request'])

/** Returns the function that reports events of a scheme: in the log, to the option `onEvent`, and on the diagnostics channel. */
export function reporter (scheme: string, onEvent: Listener | undefined, log: FastifyBaseLogger, request?: FastifyRequest): Report {
  return (reported, of) => {
    const isWarning = reported.type === 'failed' || WARNED.has(reported.reason)
    if (!isWarning && onEvent === undefined && !events.hasSubscribers && !isDebugEnabled(log)) return
    const event: SessionEvent = Object.freeze({
      scheme, ...reported, ...(of !== undefined && { id: of.id }), ...(of?.principal !== undefined && { principal: of.principal })
    })
    const detail = event.detail === undefined ? '' : `: ${event.detail}`
    log[isWarning ? 'warn' : 'debug']({ session: event }, `session ${event.type}: ${event.reason}${detail}`)
    events.publish({ event, request })
    // A listener may be asynchronous, and its errors must not fail the request.
    void rescue(() => onEvent?.(event, request), (error) => { log.error({ err: error, session: event }, 'onEvent failed; the request continues') })
  }
}

/** Returns true if debug lines are logged, and false if the logger cannot tell. */
export function isDebugEnabled (log: FastifyBaseLogger): boolean {
  return (log as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled?.('debug') === true
}

/** The message on the tracing channel (`tracingChannel` of `node:diagnostics_channel`) when a session is loaded or saved. */
export interface SessionTrace {
  readonly operation: 'load' | 'save' | 'update'
  readonly scheme: string
  readonly request: FastifyRequest
}

/** The five channels are `tracing:fastify-openapi-session:start`, `:end`, `:asyncStart`, `:asyncEnd` and `:error`. */
export const tracing = tracingChannel<unknown, SessionTrace>('fastify-openapi-session')

/** Traces a call of the store, which OpenTelemetry and similar tools record as a span. */
export function traced<T> (operation: SessionTrace['operation'], scheme: string, request: FastifyRequest, work: () => Awaitable<T>): Awaitable<T> {
  if (!tracing.hasSubscribers) return work()
  return tracing.tracePromise(async () => await work(), { operation, scheme, request })
}
