import { invalidOptions } from '../errors.js'
import type { Awaitable } from '../store/store.js'
import type { Adoption } from './adoption.js'

/** How the sessions were kept until now, if a cookie holds them: sealed, encrypted or signed. */
export interface AdoptCookieOptions<Old extends object> {
  readonly cookieName: string
  /**
   * Opens a cookie value. Returns what the cookie holds, `undefined` or `null` if it is forged or expired. An error that it throws is
   * reported, and the cookie counts as forged.
   */
  readonly open: (value: string) => Awaitable<Old | null | undefined>
  /**
   * Returns until when the cookie can live at most, in epoch milliseconds. Until then it leads nowhere once it was adopted: a
   * copy of it signs no client in after the logout.
   */
  readonly expiresAt: (old: Old) => number
  /**
   * Returns what tells the session from all others: the id of a token, or a user and the instant of the login. Default: the
   * letters and digits of the cookie. A decoder that accepts other letters as well opens copies that count as another session.
   */
  readonly id?: (old: Old) => string
  /** Returns the data of the new session; `undefined` leaves the old cookie alone. Default: what the cookie holds. */
  readonly data?: (old: Old) => unknown
  /** Returns when the user signed in, in epoch milliseconds. Default: unknown, so that a step-up asks for a login. */
  readonly authenticatedAt?: (old: Old) => number | undefined
  /** Path and domain of the cookie, where they were set. */
  readonly path?: string
  readonly domain?: string
}

/**
 * Adopts sessions that a cookie holds, such as those of @fastify/secure-session, iron-session or a JSON Web Token: the first
 * request with an old cookie gets a session here, with a cookie of its own. For the option `adopt`, until the old cookies have expired.
 * @throws `FST_SESSION_OPTIONS`
 */
export function adoptCookies<Old extends object> (options: AdoptCookieOptions<Old>): Adoption {
  const { cookieName, open, expiresAt, id, data = (old) => old, authenticatedAt, path, domain } = options
  if (typeof cookieName !== 'string' || cookieName === '') throw invalidOptions('adoptCookies: cookieName must be the name of the old cookie')
  if (typeof open !== 'function' || typeof expiresAt !== 'function') {
    throw invalidOptions('adoptCookies needs open: (value) => what the old cookie holds, and expiresAt: (old) => the instant of its end, in epoch milliseconds')
  }
  return Object.freeze({
    cookieName,
    path,
    domain,
    identify: (value: string) => value === '' ? undefined : decoded(value),
    async find (value: string) {
      try {
        const old = await open(value)
        if (old == null || expiresAt(old) <= Date.now()) return undefined
        // Nothing is stored of it: the browser's cookie is expired, and the claim keeps copies out.
        return {
          // Base64 has many spellings: two alphabets, with padding or without, and decoders skip what is neither.
          id: id?.(old) ?? value.replace(/[^A-Za-z0-9]/g, ''),
          data: () => data(old),
          authenticatedAt: authenticatedAt?.(old),
          expiresAt: expiresAt(old),
          forget () {}
        }
      } catch (error) {
        return { data () { throw error }, forget () {} }
      }
    }
  })
}

/** Returns the one value that all percent-encoded spellings of it have. Text that is not percent-encoded stays as it is. */
function decoded (value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
