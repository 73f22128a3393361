import type { IncomingHttpHeaders } from 'node:http'

export interface CrossOriginOptions {
  /** Origins, exactly as browsers send them (`https://shop.example`), whose pages may send unsafe requests. */
  trusted?: readonly string[]
}

/** The parts of a request that the check compares. `host` is the host and port that the client asked for, if any. */
export interface OriginFacts {
  readonly method: string
  readonly host: string | undefined
  /** `http` or `https`, as the client used it. */
  readonly protocol: string
  readonly headers: IncomingHttpHeaders
}

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
 * Returns whether a text is an origin as browsers send it. The URL standard has no origin for the schemes of apps and extensions,
 * such as `capacitor://localhost`. For these, the scheme and the host are compared.
 */
export function isSerializedOrigin (origin: unknown): boolean {
  if (typeof origin !== 'string' || !URL.canParse(origin) || origin.includes('*')) return false
  const { origin: parsed, protocol, host } = new URL(origin)
  return origin === (parsed === 'null' ? `${protocol}//${host}` : parsed) && host !== ''
}

/** Returns the compared values as text, for the message of a refusal. */
export function originsCompared ({ host, protocol, headers: { origin, 'sec-fetch-site': site } }: OriginFacts): string {
  const cause = origin === 'null' ? ' Browsers send "Origin: null" with a form of a page that has Referrer-Policy: no-referrer, as @fastify/helmet sets it: write helmet\'s option referrerPolicy: { policy: "same-origin" }.' : ''
  return `Origin: ${origin ?? 'absent'}, Sec-Fetch-Site: ${site ?? 'absent'}, Host: ${host ?? 'absent'} (${protocol}).${cause}`
}

/**
 * Returns whether an origin is that of the host. The origins "null" and "file://" have no host, and a request of HTTP/1.0 may
 * have none: an empty host never matches. A host may name the default port of its scheme, as some proxies do.
 */
function isAt (origin: string, { protocol, host }: OriginFacts): boolean {
  if (host === undefined || host === '' || !URL.canParse(origin)) return false
  const { protocol: scheme, host: of } = new URL(origin)
  // Behind a proxy that ends TLS and is not trusted, the app sees http where the browser sees https. The reverse is an attack.
  if (scheme === 'http:' && protocol === 'https') return false
  const asked = `${scheme}//${host}`
  return of !== '' && URL.canParse(asked) && new URL(asked).host === of
}
