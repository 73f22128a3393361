import { SessionError } from './errors.js'
import type { Life } from './record.js'
import type { StartOptions } from './session.js'

/** The timeouts of a scheme, in milliseconds, and whether its cookies outlive the browser's run. */
export interface Lifetimes {
  readonly idleTimeout: number
  readonly absoluteTimeout: number
  readonly persistent: boolean
}

/**
 * The times of a session that begins `now`.
 * @throws `FST_SESSION_OPTIONS` for timeouts that could not be kept
 */
export function beginLife (scheme: Lifetimes, options: StartOptions, now: number): Life {
  const { persistent = scheme.persistent } = options
  // The checkbox of a form is "on".
  if (typeof persistent !== 'boolean') throw new SessionError('FST_SESSION_OPTIONS', 'persistent must be true or false')
  const absolute = milliseconds('absoluteTimeout', options.absoluteTimeout) ?? scheme.absoluteTimeout
  const asked = milliseconds('idleTimeout', options.idleTimeout) ?? (options.persistent === true ? absolute : undefined)
  if (options.idleTimeout !== undefined && asked !== undefined && asked < scheme.idleTimeout) {
    // A store moves every session by the scheme's idle timeout, before anybody can know that this one has a shorter one.
    throw new SessionError('FST_SESSION_OPTIONS', `idleTimeout of one session may not be below the plugin's, ${scheme.idleTimeout / 1000} seconds: lower the plugin's, or give this session a shorter absoluteTimeout`)
  }
  const own = asked !== undefined && asked > scheme.idleTimeout ? { idleTimeout: asked } : {}
  return { createdAt: now, authenticatedAt: now, deadline: now + absolute, persistent, ...own }
}

/** When a session that is used `now` ends: its own idle timeout or else the scheme's, but never after its deadline. */
export function expiryOf ({ deadline, idleTimeout }: Life, scheme: Pick<Lifetimes, 'idleTimeout'>, now: number): number {
  return Math.min(now + (idleTimeout ?? scheme.idleTimeout), deadline)
}

/** Seconds. The sum of any instant and this is one that every store and cookie can hold. */
const CENTURY = 3_155_760_000

/** Seconds to milliseconds. @throws `FST_SESSION_OPTIONS` unless they are a positive number */
export function milliseconds (name: string, seconds: number | undefined): number | undefined {
  if (seconds === undefined) return undefined
  if (typeof seconds === 'number' && seconds >= 0.001 && seconds <= CENTURY) return Math.round(seconds * 1000)
  throw new SessionError('FST_SESSION_OPTIONS', `${name} must be a positive number of seconds, such as 1800`)
}

/** The same for what a timer waits. Those of Node.js count to 2^31 milliseconds, and fire at once for more. */
export function timer (name: string, seconds: number | undefined): number | undefined {
  const waits = milliseconds(name, seconds)
  if (waits === undefined || waits < 2 ** 31) return waits
  throw new SessionError('FST_SESSION_OPTIONS', `${name} may be 24 days at most, in seconds`)
}
