import { milliseconds, must, refuseUnknown } from '../errors.js'
import type { StartOptions } from './session.js'

/** The times of a session, fixed when it starts. Instants in epoch milliseconds. */
export interface Times {
  readonly createdAt: number
  /** When the principal was last established; 0 if that is unknown (an adopted session). */
  readonly authenticatedAt: number
  /** The absolute timeout as an instant. Nothing moves it. */
  readonly deadline: number
  /** The session's own idle timeout in milliseconds. Default: that of the scheme. */
  readonly idleTimeout?: number
  /** True if the cookie survives when the browser closes. */
  readonly persistent: boolean
  /** The session's rank among the logins of its principal, if clocks disagree; see `Limit`. Default: `authenticatedAt`. */
  readonly rank?: number
}

/** The rank of a session that is being adopted. Until one of several requests keeps it, it does not count towards the limit. */
export const UNRANKED = -1

/** The timeouts of a scheme, in milliseconds, and whether its cookies survive when the browser closes. */
export interface Lifetimes { readonly idleTimeout: number, readonly absoluteTimeout: number, readonly persistent: boolean }

const LIFETIME = 'write { persistent: true, absoluteTimeout } in seconds'
const ELSEWHERE = { maxAge: LIFETIME, expires: LIFETIME, ttl: LIFETIME }

/** Returns the times of a session that begins `now`. @throws `FST_SESSION_OPTIONS` */
export function beginTimes (scheme: Lifetimes, options: StartOptions | undefined, now: number): Times {
  const deadline = now + scheme.absoluteTimeout
  const usual = { createdAt: now, authenticatedAt: now, deadline, persistent: scheme.persistent }
  return options === undefined ? usual : { ...usual, ...ownTimes(scheme, options, now) }
}

/** Returns the times that the options of one session change. */
function ownTimes (scheme: Lifetimes, options: StartOptions, now: number): Partial<Times> {
  refuseUnknown(options, ['persistent', 'absoluteTimeout', 'idleTimeout'], 'option * of a session that starts', ELSEWHERE)
  const { persistent = scheme.persistent } = options
  // The value of a form's checkbox is the text "on".
  must(typeof persistent === 'boolean', 'persistent must be true or false')
  const absolute = milliseconds('absoluteTimeout', options.absoluteTimeout) ?? scheme.absoluteTimeout
  const idle = milliseconds('idleTimeout', options.idleTimeout) ?? (options.persistent === true ? absolute : scheme.idleTimeout)
  if ((options.absoluteTimeout ?? 0) > 366 * DAY || (options.idleTimeout ?? 0) > 30 * DAY) warnOfMilliseconds(scheme, options)
  return { deadline: now + absolute, persistent, ...(idle !== scheme.idleTimeout && { idleTimeout: idle }) }
}

const DAY = 86_400
const warned = new WeakSet<Lifetimes>()

/** Warns, once per scheme, of a session whose lifetime was written in milliseconds. The boot checks the options of the plugin. */
function warnOfMilliseconds (scheme: Lifetimes, { absoluteTimeout, idleTimeout }: StartOptions): void {
  if (warned.has(scheme)) return
  warned.add(scheme)
  process.emitWarning(`a session was started with ${JSON.stringify({ absoluteTimeout, idleTimeout })}. Durations are in seconds, not milliseconds: 30 days are absoluteTimeout: 2592000`, 'FastifySessionWarning')
}

/** Returns the times of a session whose principal changes at `now`. The deadline stays. */
export function withLogin ({ rank: _rank, ...times }: Times, now: number): Times { return { ...times, authenticatedAt: now } }

/** The reason and detail of an event: the idle timeout of a session passed during a request, such as a large upload. */
export const IDLED = Object.freeze({
  reason: 'idle-during-request',
  detail: 'its idle timeout passed during a request: set idleTimeout to more than the longest request takes'
} as const)

/** Returns whether the idle timeout has ended a session since it was read. */
export function hasIdled ({ expiresAt, times: { deadline } }: { readonly expiresAt: number, readonly times: Times }, now: number): boolean {
  return expiresAt <= now && deadline > now
}

/** Returns when a session expires if `now` is its last use: after the idle timeout, or at the deadline if that is sooner. */
export function expiryOf ({ deadline, idleTimeout }: Times, scheme: Pick<Lifetimes, 'idleTimeout'>, now: number): number {
  return Math.min(now + (idleTimeout ?? scheme.idleTimeout), deadline)
}
