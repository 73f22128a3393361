import { invalidOptions } from '../errors.js'
import type { Awaitable } from '../store/store.js'
import type { Adoption } from './adoption.js'

/** Describes sessions that a cookie holds until now: sealed, encrypted or signed. */
export interface AdoptCookieOptions<Old extends object> {
  readonly cookieName: string
  /**
   * Opens a cookie value. Returns its content, `undefined` or `null` if the cookie is forged or expired. If this throws, the error
   * is reported, and the cookie counts as forged.
   */
  readonly open: (value: string) => Awaitable<Old | null | undefined>
  /**
   * Returns the latest possible end of the cookie, in epoch milliseconds. Until then, an adopted cookie is not accepted again.
   * So a copy of it signs no client in after the logout.
   */
  readonly expiresAt: (old: Old) => number
  /**
   * Returns a text that is unique to the session: the id of a token, or a user and the instant of the login. Default: the letters
   * and digits of the cookie. Set this if your decoder accepts other letters too: such a copy would count as another session.
   */
  readonly id?: (old: Old) => string
  /** Returns the data of the new session. `undefined` leaves the old cookie alone. Default: the content of the cookie. */
  readonly data?: (old: Old) => unknown
  /** Returns when the user signed in, in epoch milliseconds. Default: unknown, so that a step-up asks for a login. */
  readonly authenticatedAt?: (old: Old) => number | undefined
  /** Path and domain of the cookie, if they were set. */
  readonly path?: string
  readonly domain?: string
}

/**
 * Adopts sessions that a cookie holds, such as those of @fastify/secure-session, iron-session or a JSON Web Token. The first
 * request with an old cookie gets a new session with a new cookie. For the option `adopt`, until the old cookies have expired.
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
        // The old session is in no store. The response expires the browser's cookie, and the claim refuses copies of it.
        return {
          // Base64 has many spellings: two alphabets, with or without padding, and decoders skip other characters.
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

/** Decodes a percent-encoded value, so that all its spellings count as one. Returns other text as it is. */
function decoded (value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
