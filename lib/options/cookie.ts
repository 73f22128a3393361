import { serialize, type SerializeOptions } from 'cookie'
import { invalidOptions } from '../errors.js'
import { unknownKey } from '../nearest.js'

/** Attributes of the session cookie (RFC 6265bis, 4.1.2). It is always HttpOnly. */
export interface CookieOptions {
  /** Default `__Host-session`, or `session` with `secure: false`. */
  name?: string
  /** Default `/`. */
  path?: string
  /** None by default: the cookie then goes back to the very host that set it, and to no other. */
  domain?: string
  /** Default `lax`. `none` needs `secure`. */
  sameSite?: 'lax' | 'strict' | 'none'
  /** Default `true`. `false` is for development over plain http on something other than localhost. */
  secure?: boolean
  /** A cookie jar for each top-level site (CHIPS). Needs `secure`. Default `false`. */
  partitioned?: boolean
  /** `true`: the cookie outlives the browser's run, up to the absolute timeout. Default `false`; `start` can say otherwise. */
  persistent?: boolean
  /**
   * Cookies that this one had before, under another name, path or domain. They are read where the new one is absent, and the
   * response sets the new one and expires the old one: a rename signs no user out. Keep them for an absolute timeout.
   */
  previous?: ReadonlyArray<{ readonly name: string, readonly path?: string, readonly domain?: string }>
}

/** The cookie of one session scheme: how it is found in a request, written into a response, and taken back. */
export interface CookiePolicy {
  readonly name: string
  readonly path: string
  readonly domain: string | undefined
  readonly secure: boolean
  readonly persistent: boolean
  /** Returns the `Set-Cookie` header for `value`. `maxAge` in seconds; without it the cookie ends with the browser's run. */
  write: (value: string, maxAge?: number) => string
  /** Former cookies, with the `Set-Cookie` header that expires each. */
  readonly previous: ReadonlyArray<{ readonly name: string, readonly expire: string }>
  /** Returns the `Set-Cookie` header that deletes the cookie: same name, path and domain (RFC 6265bis, 5.7). */
  expire: () => string
}

const KNOWN = ['name', 'path', 'domain', 'sameSite', 'secure', 'partitioned', 'persistent', 'previous'] satisfies Array<keyof CookieOptions>

// What other packages know under these names.
const ELSEWHERE = new Map([
  ['httpOnly', 'the cookie is always HttpOnly'],
  ['maxAge', 'use absoluteTimeout, and cookie.persistent: true for a cookie that outlives the browser\'s run'],
  ['expires', 'use absoluteTimeout, and cookie.persistent: true for a cookie that outlives the browser\'s run'],
  ['signed', 'the secret is 256 random bits, and a signature would add nothing']
])

/** Checks the attributes, each and against each other, once. @throws `FST_SESSION_OPTIONS` */
export function cookiePolicy (options: CookieOptions): CookiePolicy {
  for (const [name, advice] of ELSEWHERE) if (name in options) refuse(`there is no option cookie.${name}: ${advice}`)
  const problem = unknownKey(options, KNOWN, 'option cookie.')
  if (problem !== undefined) refuse(problem)
  const { path = '/', domain, sameSite = 'lax', secure = true, partitioned = false, persistent = false, previous = [] } = options
  const name = options.name ?? (secure ? '__Host-session' : 'session')
  check({ name, path, domain, sameSite, secure, partitioned, persistent })
  const attributes: SerializeOptions = {
    path, httpOnly: true, secure, sameSite, ...(domain === undefined ? {} : { domain }), ...(partitioned ? { partitioned } : {})
  }
  const [head, ...attributeList] = written(name, attributes).split('; ')
  const tail = attributeList.map((attribute) => `; ${attribute}`).join('')
  const expired = written(name, { ...attributes, maxAge: 0, expires: new Date(0) })
  return Object.freeze({
    name,
    path,
    domain,
    secure,
    persistent,
    previous: Array.from(previous, ({ name, path = '/', domain }) => ({ name, expire: expireCookie(name, path, domain) })),
    write: (value: string, maxAge?: number) => maxAge === undefined ? `${head}${value}${tail}` : `${head}${value}; Max-Age=${maxAge}${tail}`,
    expire: () => expired
  })
}

/** Writes a `Set-Cookie` header with an empty value. @throws `FST_SESSION_OPTIONS` */
function written (name: string, attributes: SerializeOptions): string {
  try {
    return serialize(name, '', attributes)
  } catch (error) {
    return refuse(`cookie: ${(error as Error).message}, so that no browser would accept it`)
  }
}

/** Returns the `Set-Cookie` header that expires a cookie of another plugin. */
export function expireCookie (name: string, path: string, domain: string | undefined): string {
  // Browsers ignore a Set-Cookie without Secure for a name with such a prefix (RFC 6265bis, 4.1.3).
  const secure = /^__(host|secure|http)-/i.test(name)
  return written(name, { path, secure, ...(domain === undefined ? {} : { domain }), httpOnly: true, maxAge: 0, expires: new Date(0) })
}

function check ({ name, path, domain, sameSite, secure, partitioned, persistent }: Pick<CookiePolicy, 'name' | 'path' | 'domain' | 'secure' | 'persistent'> & {
  sameSite: string
  partitioned: boolean
}): void {
  // RFC 6265bis, 4.1.1: a cookie's name is a token of RFC 9110.
  if (typeof name !== 'string' || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) refuse(`cookie.name ${JSON.stringify(name)} is not a cookie name: use letters, digits, "-" and "_"`)
  if (typeof path !== 'string' || !path.startsWith('/') || !/^[\x20-\x3a\x3c-\x7e]+$/.test(path)) refuse(`cookie.path ${JSON.stringify(path)} must start with "/" and be printable ASCII without ";"`)
  if (!['lax', 'strict', 'none'].includes(sameSite)) refuse(`cookie.sameSite ${JSON.stringify(sameSite)} must be "lax", "strict" or "none"`)
  if (typeof secure !== 'boolean') refuse('cookie.secure must be true or false: the connection of a single request does not decide it; use false in development only')
  if (typeof partitioned !== 'boolean') refuse('cookie.partitioned must be true or false')
  if (typeof persistent !== 'boolean') refuse('cookie.persistent must be true or false')
  if (domain !== undefined && !/^\.?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(domain)) refuse(`cookie.domain ${JSON.stringify(domain)} is not a host name: write it like "example.com"`)

  // Browsers drop these without a message, so that no user could sign in (RFC 6265bis, 4.1.3 and 5.7).
  const lower = name.toLowerCase()
  if (lower.startsWith('__host-') && !(secure && path === '/' && domain === undefined)) {
    refuse(`cookie "${name}" needs secure: true, path: "/" and no domain; use another name to change one of them`)
  }
  if (/^__(secure|http)-/.test(lower) && !secure) refuse(`cookie "${name}" needs secure: true; use a name without its prefix`)
  if (sameSite === 'none' && !secure) refuse('cookie.sameSite "none" needs cookie.secure: true')
  if (partitioned && !secure) refuse('cookie.partitioned needs cookie.secure: true')
}

function refuse (sentence: string): never {
  throw invalidOptions(sentence)
}
