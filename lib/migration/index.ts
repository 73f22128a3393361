import { createHmac, timingSafeEqual } from 'node:crypto'
import { rescue } from '../awaitable.js'
import { invalidData, must, refuseUnknown } from '../errors.js'
import { ignoreMissing, promised, type ExpressStore } from '../store/express/callbacks.js'
import type { Awaitable } from '../store/store.js'
import type { Adoption } from '../options/types.js'

const COMMON = ['cookieName', 'path', 'domain', 'data', 'authenticatedAt'] as const
type CommonOptions<Old> = Pick<Adoption<Old>, typeof COMMON[number]>

/**
 * The settings of @fastify/session or express-session until now. `cookieName` is `sessionId` by default in @fastify/session, and
 * `connect.sid` in express-session. `data` gets the old session; by default the new one has all of it but `cookie`.
 */
export interface AdoptOptions extends CommonOptions<any> {
  /** Its secret, or the list of its secrets. */
  readonly secret: string | readonly string[]
  /** Its store. */
  readonly store: ExpressStore
}

/**
 * Adopts the sessions of @fastify/session or express-session. The first request with an old cookie gets a new session with a
 * new cookie, and the old session ends. For the option `adopt`, until the old sessions have expired. @throws `FST_SESSION_OPTIONS`
 */
export function adoptExpressSessions ({ secret, store, ...options }: AdoptOptions): Adoption {
  check('adoptExpressSessions', options, ['secret', 'store'], ': "sessionId" in @fastify/session, "connect.sid" in express-session, unless it was changed')
  const secrets = [secret].flat()
  must(secrets.length > 0 && secrets.every((secret) => typeof secret === 'string' && secret.length > 0), 'adoptExpressSessions: secret must be the secret that the old cookie was signed with, or a list of them')
  must(typeof store?.get === 'function' && typeof store.destroy === 'function', 'adoptExpressSessions: store must be the store of the old sessions')
  return {
    ...options,
    data: options.data ?? (({ cookie: _cookie, ...others }: Record<string, unknown>) => others),
    identify: (value) => unsign(value, secrets),
    async find (id) {
      // An old session that is absent or not JSON must not keep its owner from signing in.
      const old: unknown = await promised((callback) => store.get(id, callback))
        .catch((error: unknown) => error instanceof SyntaxError ? undefined : ignoreMissing(error))
      return typeof old === 'object' ? old : undefined
    },
    forget: async (id) => { await promised((callback) => store.destroy(id, callback)) },
    expiresAt: ({ cookie }: { cookie?: { expires?: string | Date | false | null } }) =>
      cookie?.expires ? new Date(cookie.expires).getTime() : undefined
  }
}

/** Describes old sessions that live in their cookie: sealed, encrypted or signed. `data` gets the content of the cookie. */
export interface AdoptCookieOptions<Old extends object> extends CommonOptions<Old> {
  /** Opens a cookie value; `undefined` or `null` if it is forged or expired. An error is reported and counts as forged. */
  readonly open: (value: string) => Awaitable<Old | null | undefined>
  /** Returns the latest possible end of the cookie, in epoch milliseconds. Until then, copies of an adopted one are refused. */
  readonly expiresAt: (old: Old) => number
  /**
   * Returns a text that is unique to the session: the id of a token, or a user and the instant of the login. Default: the letters
   * and digits of the cookie. Set this if your decoder accepts other letters too: such a copy would count as another session.
   */
  readonly id?: (old: Old) => string
}

/**
 * Adopts sessions that live in a cookie, such as those of @fastify/secure-session, iron-session or a JSON Web Token. The first
 * request with an old cookie gets a new session. For `adopt`, until the old cookies have expired. @throws `FST_SESSION_OPTIONS`
 */
export function adoptCookies<Old extends object> ({ open, id, expiresAt, ...options }: AdoptCookieOptions<Old>): Adoption {
  check('adoptCookies', options, ['open', 'expiresAt', 'id'])
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

/** Checks the names of the options of a function, and `cookieName`. @throws `FST_SESSION_OPTIONS` */
function check (caller: string, options: CommonOptions<any>, others: readonly string[], usually = ''): void {
  refuseUnknown(options, [...COMMON, ...others], `option * of ${caller}()`)
  must(typeof options.cookieName === 'string' && options.cookieName !== '', `${caller}: cookieName must be the name of the old cookie${usually}`)
}

/** Returns the id in a cookie `id.signature` (HMAC-SHA-256, base64) that a secret signed. express-session adds "s:" in front. */
function unsign (value: string, secrets: readonly string[]): string | undefined {
  const [, id, signature = ''] = /^(?:s:)?(.+)\.([^.]*)$/s.exec(value) ?? []
  const found = Buffer.from(signature, 'base64')
  const isSigned = secrets.some((secret) => {
    const expected = createHmac('sha256', secret).update(id ?? '').digest()
    return expected.length === found.length && timingSafeEqual(expected, found)
  })
  return isSigned ? id : undefined
}
