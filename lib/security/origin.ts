import type { IncomingHttpHeaders } from 'node:http'

export interface CrossOriginOptions {
  /** Origins, exactly as browsers send them (`https://shop.example`), that may send unsafe requests from their pages. */
  trusted?: readonly string[]
}

/** What the check needs to know of a request. `host` is the host and port that the client asked for, if it said so. */
export interface OriginFacts {
  readonly method: string
  readonly host: string | undefined
  readonly headers: IncomingHttpHeaders
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether a method may change something, by RFC 9110, 9.2.1. (TRACE counts as unsafe: nobody needs it with a session.) */
export function isUnsafe (method: string): boolean {
  return !SAFE.has(method)
}

/**
 * Whether a request may act with the session, or was sent by a page of somebody else. It follows the algorithm of Go's
 * `net/http.CrossOriginProtection`: Fetch Metadata decides where the browser sends it, Origin against Host where it does
 * not, and a client that sends neither is no browser and carries no cookies of a victim.
 *
 * The opening of a WebSocket is a GET that browsers send across origins without asking, so it counts as unsafe.
 */
export function isSameOrigin ({ method, host, headers }: OriginFacts, trusted: ReadonlySet<string>): boolean {
  if (!isUnsafe(method) && headers.upgrade === undefined) return true
  const origin = headers.origin
  if (origin !== undefined && trusted.has(origin)) return true
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== '') return site === 'same-origin' || site === 'none'
  return origin === undefined || origin === '' || isAt(origin, host)
}

// Neither "null" nor "file://" has a host, nor has a request of HTTP/1.0: nothing is not the same as nothing. A host may name
// the port that its scheme has anyway, as some proxies do.
function isAt (origin: string, host: string | undefined): boolean {
  if (host === undefined || host === '' || !URL.canParse(origin)) return false
  const { protocol, host: of } = new URL(origin)
  const asked = `${protocol}//${host}`
  return of !== '' && URL.canParse(asked) && new URL(asked).host === of
}
