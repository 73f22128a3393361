import type { FastifyRequest } from 'fastify'
import { must } from '../errors.js'
import { refuseUnknown } from '../nearest.js'

export interface CrossOriginOptions {
  /** Origins, exactly as browsers send them (`https://shop.example`), whose pages may send unsafe requests. */
  trusted?: readonly string[]
}

/** The parts of a request that are compared. */
export type OriginFacts = Pick<FastifyRequest, 'method' | 'protocol' | 'headers'> & { readonly host: string | undefined }

/** The methods that change nothing (RFC 9110, 9.2.1). TRACE and QUERY (RFC 10008) count as unsafe: no other origin needs them. */
export const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Returns whether a request may act with the session: `false` if a page of another origin sent it. Follows the algorithm of
 * Go's `net/http.CrossOriginProtection`: Fetch Metadata decides if the browser sends it. Otherwise Origin is compared with
 * Host. Clients that send neither header are not browsers, so they do not carry a victim's cookies and are allowed.
 *
 * A WebSocket is opened with a GET. Browsers send that across origins without a preflight, so it counts as unsafe.
 */
export function isSameOrigin (request: OriginFacts, trusted: ReadonlySet<string>): boolean {
  const { headers } = request
  if (SAFE_METHODS.has(request.method) && headers.upgrade === undefined) return true
  const { origin } = headers
  if (origin !== undefined && trusted.has(origin)) return true
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== '') return site === 'same-origin' || site === 'none'
  return origin === undefined || origin === '' || isAt(origin, request)
}

/**
 * Reads origins to trust. @param where - the name of the option
 * @throws `FST_SESSION_OPTIONS` naming the text that is not an origin
 */
export function readOrigins (crossOrigin: CrossOriginOptions = {}, where: string): ReadonlySet<string> {
  must(typeof crossOrigin === 'object' && crossOrigin !== null, `${where} must be { trusted: [...] }`)
  refuseUnknown(crossOrigin, ['trusted'], `option ${where}.*`)
  const { trusted = [] } = crossOrigin
  must(Array.isArray(trusted), `${where}.trusted must be a list of origins, such as ["https://shop.example"]`)
  for (const origin of trusted as readonly unknown[]) {
    must(isOrigin(origin), `${where}.trusted: ${JSON.stringify(origin)} is not an origin: write scheme, host and port as browsers send them, such as "https://shop.example" or "capacitor://localhost", without a path or a "*"`)
  }
  return new Set(trusted)
}

/** The URL standard has no origin for the schemes of apps and extensions. For these, the scheme and the host are compared. */
function isOrigin (origin: unknown): boolean {
  if (typeof origin !== 'string' || !URL.canParse(origin) || origin.includes('*')) return false
  const { origin: parsed, protocol, host } = new URL(origin)
  return origin === (parsed === 'null' ? `${protocol}//${host}` : parsed) && host !== ''
}

/** Returns the compared values as text, for the message of a refusal. */
export function originsCompared ({ host, protocol, headers: { origin, 'sec-fetch-site': site } }: OriginFacts): string {
  const cause = origin === 'null' ? ' Browsers send "Origin: null" with a form of a page that has Referrer-Policy: no-referrer, as @fastify/helmet sets it: write helmet\'s option referrerPolicy: { policy: "same-origin" }.' : ''
  return `Origin: ${origin ?? 'absent'}, Sec-Fetch-Site: ${site ?? 'absent'}, Host: ${host ?? 'absent'} (${protocol}).${cause}`
}

/** Returns whether an origin is that of the host. An empty host never matches ("null", "file://", HTTP/1.0). */
function isAt (origin: string, { protocol, host }: OriginFacts): boolean {
  if (host === undefined || host === '' || !URL.canParse(origin)) return false
  const { protocol: scheme, host: of } = new URL(origin)
  // Behind a proxy that ends TLS and is not trusted, the app sees http where the browser sees https. The reverse is an attack.
  if (scheme === 'http:' && protocol === 'https') return false
  // The host may name the default port of the scheme, as some proxies do.
  const asked = `${scheme}//${host}`
  return of !== '' && URL.canParse(asked) && new URL(asked).host === of
}
