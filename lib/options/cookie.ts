import { serialize, type SerializeOptions } from 'cookie'
import { invalidOptions, must, refuseUnknown } from '../errors.js'
import { isObject } from '../session/json.js'
import type { Times } from '../session/times.js'

/** Attributes of the session cookie (RFC 6265bis, 4.1.2). It is always HttpOnly. */
export interface CookieOptions {
  /** Default `__Host-session`, or `session` with `secure: false`. */
  name?: string
  /** Default `/`. */
  path?: string
  /** Default: none. Then browsers send the cookie only to the host that set it. */
  domain?: string
  /** Default `lax`. `none` needs `secure`. */
  sameSite?: 'lax' | 'strict' | 'none'
  /** Default `true`. Use `false` only for development over plain http on a host other than localhost. */
  secure?: boolean
  /** Keeps a separate cookie for each top-level site (CHIPS). Needs `secure`. Default `false`. */
  partitioned?: boolean
  /** True if the cookie survives the browser's close, until the absolute timeout. Default `false`. `start` can override it. */
  persistent?: boolean
  /**
   * Former names, paths or domains of the cookie, so that a change does not sign users out. A former cookie is read if the current
   * one is absent. The response then sets the current cookie and expires the former one. Keep an entry for an absolute timeout.
   */
  previous?: ReadonlyArray<{ readonly name: string, readonly path?: string, readonly domain?: string }>
}

export const KNOWN = ['name', 'path', 'domain', 'sameSite', 'secure', 'partitioned', 'persistent', 'previous'] satisfies Array<keyof CookieOptions>

const LIFETIME = 'use absoluteTimeout, and cookie.persistent: true for a cookie that outlives the browser\'s run'

/** Attributes in other packages, and what is written here instead. */
const ELSEWHERE = {
  httpOnly: 'the cookie is always HttpOnly', maxAge: LIFETIME, expires: LIFETIME,
  signed: 'the secret is 256 random bits, and a signature would add nothing'
}

const EXPIRED = { maxAge: 0, expires: new Date(0) }

/** Checks the attributes. Returns the cookie and functions that write its headers. @throws `FST_SESSION_OPTIONS` */
export function cookiePolicy (options: CookieOptions, now: () => number) {
  refuseUnknown(options, KNOWN, 'option cookie.*', ELSEWHERE)
  const { path = '/', domain, sameSite = 'lax', secure = true, partitioned = false, persistent = false, previous = [] } = options
  const name = options.name ?? (secure ? '__Host-session' : 'session')
  // RFC 6265bis, 4.1.1: a cookie's name is a token of RFC 9110.
  must(typeof name === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name), `cookie.name ${JSON.stringify(name)} is not a cookie name: use letters, digits, "-" and "_"`)
  must(typeof path === 'string' && path.startsWith('/') && /^[\x20-\x3a\x3c-\x7e]+$/.test(path), `cookie.path ${JSON.stringify(path)} must start with "/" and be printable ASCII without ";"`)
  must(['lax', 'strict', 'none'].includes(sameSite), `cookie.sameSite ${JSON.stringify(sameSite)} must be "lax", "strict" or "none"`)
  must(typeof secure === 'boolean', 'cookie.secure must be true or false: the connection of a single request does not decide it; use false in development only')
  for (const [name, flag] of Object.entries({ partitioned, persistent })) must(typeof flag === 'boolean', `cookie.${name} must be true or false`)
  must(domain === undefined || /^\.?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(domain), `cookie.domain ${JSON.stringify(domain)} is not a host name: write it like "example.com"`)
  // Browsers drop these without a message, so that no user could sign in (RFC 6265bis, 4.1.3 and 5.7).
  must(!/^__host-/i.test(name) || (secure && path === '/' && domain === undefined), `cookie "${name}" needs secure: true, path: "/" and no domain; use another name to change one of them`)
  must(!PREFIX.test(name) || secure, `cookie "${name}" needs secure: true; use a name without its prefix`)
  must(sameSite !== 'none' || secure, 'cookie.sameSite "none" needs cookie.secure: true')
  must(!partitioned || secure, 'cookie.partitioned needs cookie.secure: true')
  const isList: boolean = Array.isArray(previous) && previous.every((former: unknown) => isObject(former) && typeof former['name'] === 'string')
  must(isList, 'cookie.previous must be a list of the former cookies with their names, such as [{ name: "sid" }]')
  for (const former of previous) refuseUnknown(former, ['name', 'path', 'domain'], 'option cookie.previous[].*')
  const attributes = { path, httpOnly: true, secure, sameSite, partitioned, ...(domain !== undefined && { domain }) }
  const tail = written(name, attributes).slice(`${name}=`.length)
  return Object.freeze({
    name, path, secure,
    /** The current cookie, and the former ones with the header that expires each. */
    candidates: [{ name, former: undefined }, ...previous.map(({ name, path = '/', domain }) => ({ name, former: expireCookie(name, path, domain) }))],
    /** Returns the header for a value. A persistent cookie lives until the absolute deadline, another until the browser closes. */
    write: (value: string, { persistent, deadline }: Times) =>
      `${name}=${value}${persistent ? `; Max-Age=${Math.max(0, Math.ceil((deadline - now()) / 1000))}` : ''}${tail}`,
    /** The header that deletes the cookie. It has the same name, path and domain (RFC 6265bis, 5.7). */
    expire: written(name, { ...attributes, ...EXPIRED })
  })
}

/** Returns true if the path of a cookie covers another path (RFC 6265bis, 5.1.4). */
export function covers (path: string, of: string): boolean { return of === path || of.startsWith(path.endsWith('/') ? path : `${path}/`) }

/** Browsers ignore a Set-Cookie without Secure for a name with such a prefix (RFC 6265bis, 4.1.3). */
const PREFIX = /^__(host|secure|http)-/i

/** Returns the `Set-Cookie` header that expires a former cookie or a cookie of another plugin. */
export function expireCookie (name: string, path: string, domain: string | undefined): string {
  return written(name, { path, secure: PREFIX.test(name), httpOnly: true, ...(domain !== undefined && { domain }), ...EXPIRED })
}

/** Writes a `Set-Cookie` header with an empty value. @throws `FST_SESSION_OPTIONS` */
function written (name: string, attributes: SerializeOptions): string {
  try {
    return serialize(name, '', attributes)
  } catch (error) {
    throw invalidOptions(`cookie: ${(error as Error).message}, so no browser would accept it`)
  }
}
