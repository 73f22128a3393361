import { rescue } from '../awaitable.js'
import { invalidData, must, refuseUnknown } from '../errors.js'
import type { Awaitable } from '../store/store.js'
import type { Adoption } from './adoption.js'

/** Describes old sessions that live in their cookie: sealed, encrypted or signed. `data` gets the content of the cookie. */
export interface AdoptCookieOptions<Old extends object> extends Pick<Adoption<Old>, 'cookieName' | 'path' | 'domain' | 'data' | 'authenticatedAt'> {
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
}

/**
 * Adopts sessions that live in a cookie, such as those of @fastify/secure-session, iron-session or a JSON Web Token. The first
 * request with an old cookie gets a new session with a new cookie. For the option `adopt`, until the old cookies have expired.
 * @throws `FST_SESSION_OPTIONS`
 */
export function adoptCookies<Old extends object> ({ open, id, expiresAt, ...options }: AdoptCookieOptions<Old>): Adoption {
  refuseUnknown(options, ['cookieName', 'open', 'expiresAt', 'id', 'data', 'authenticatedAt', 'path', 'domain'], 'option * of adoptCookies()')
  must(typeof options.cookieName === 'string' && options.cookieName !== '', 'adoptCookies: cookieName must be the name of the old cookie')
  must(typeof open === 'function' && typeof expiresAt === 'function', 'adoptCookies needs open: (value) => the content of the old cookie, and expiresAt: (old) => its latest end in epoch milliseconds')
  return {
    ...options,
    identify: (value) => value,
    find: (value) => rescue(() => open(value), (error) => {
      throw invalidData(`adoptCookies: open threw ${error instanceof Error ? error.name : typeof error}`)
    }),
    expiresAt (old: Old) {
      const end = expiresAt(old)
      // A claim refuses copies of the cookie, and lasts until this instant.
      must(Number.isFinite(end), `adoptCookies: expiresAt must return the end of the cookie in epoch milliseconds, and returned ${String(end)}. For cookies without an end, return the day on which you will take the option adopt out`)
      return end
    },
    // Base64 has many spellings: two alphabets, with or without padding, and decoders skip other characters.
    id: (old: Old, value) => id?.(old) ?? value.replace(/[^A-Za-z0-9]/g, '')
  }
}
