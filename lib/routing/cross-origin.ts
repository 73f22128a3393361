import type { FastifyRequest } from 'fastify'
import { must, refuseUnknown } from '../errors.js'

export interface CrossOriginOptions {
  /** Origins whose pages may send unsafe requests, exactly as browsers send them (`https://shop.example`). */
  trusted?: readonly string[]
}

export type OriginFacts = Pick<FastifyRequest, 'protocol' | 'headers'> & { readonly host: string | undefined }

/** The safe methods (RFC 9110, 9.2.1). TRACE and QUERY (RFC 10008) count as unsafe: pages of other origins do not need them. */
export const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Returns false if a page of another origin sent a request. Follows the algorithm of Go's `net/http.CrossOriginProtection`:
 * Sec-Fetch-Site decides if it is present. Otherwise Origin is compared with Host. Clients that send neither header are not
 * browsers, so they do not send a victim's cookies and are allowed.
 */
export function isSameOrigin (request: OriginFacts): boolean {
  const { origin = '', 'sec-fetch-site': site = '' } = request.headers
  return site === '' ? origin === '' || isAt(origin, request) : site === 'same-origin' || site === 'none'
}

/** Reads origins to trust. @param where - the name of the option. @throws `FST_SESSION_OPTIONS` naming the text that is not an origin */
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

/** Returns true for an origin. The URL standard has none for the schemes of apps and extensions: there it is scheme and host. */
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

/** Returns true if an origin has the host of the request. An empty host never matches ("null", "file://", HTTP/1.0). */
function isAt (origin: string, { protocol, host }: OriginFacts): boolean {
  if (host === undefined || host === '' || !URL.canParse(origin)) return false
  const { protocol: scheme, host: of } = new URL(origin)
  // Behind an untrusted proxy that ends TLS, the app sees http and the browser https. The reverse is an attack.
  if (scheme === 'http:' && protocol === 'https') return false
  // The host may name the default port of the scheme, as some proxies do.
  const asked = `${scheme}//${host}`
  return of !== '' && URL.canParse(asked) && new URL(asked).host === of
}
