import type { FastifyRequest } from 'fastify'
import type { Scheme } from '../options/scheme.js'

/** The part of a session that was saved: an intent, a change of data, or nothing. */
export type SavedAs = 'none' | 'data' | 'renew' | 'start' | 'destroy' | 'failed'

/** By the result of a load: why there is no session. */
const NOT_LOADED = {
  live: undefined,
  adopted: undefined,
  'not-adopted': 'the request has only the old cookie, and there is no session to adopt',
  'no-cookie': 'the request has no such cookie',
  'duplicate-cookie': 'the request has the cookie twice, so that one of the two may be forged',
  ended: 'its cookie belongs to no live session: the session expired or was ended, or the cookie is not from this app',
  refused: 'the option verify or user refused it',
  'cross-origin': 'a page of another origin sent the request',
  failed: 'it could not be read'
}

/** The result of loading a session for a request. */
export type LoadedAs = keyof typeof NOT_LOADED

/** Writes the debug line of a session: whether it was loaded and saved and its cookie set, and if not, why. */
export function logHistory (
  { log }: FastifyRequest, { name: scheme, cookie }: Scheme, loaded: LoadedAs, saved: SavedAs, setCookie: boolean, statusCode: number
): void {
  const problem = NOT_LOADED[loaded] === undefined ? '' : `not loaded: ${NOT_LOADED[loaded]}; `
  const outcome = setCookie ? 'cookie set' : `cookie not set: ${whyNot(loaded, saved, statusCode)}`
  log.debug({ session: { scheme, cookie: cookie.name, loaded, saved, setCookie, statusCode } }, `session "${scheme}" ${problem}${outcome}`)
}

function whyNot (loaded: LoadedAs, saved: SavedAs, statusCode: number): string {
  if (saved === 'failed') return 'the session could not be saved'
  if (saved === 'data') return 'the session was saved, and its cookie stays the same'
  if (saved !== 'none') return 'the session ended while the request was running'
  if (statusCode >= 500) return 'a response with a status of 500 or more saves no data'
  return NOT_LOADED[loaded] === undefined ? 'the session did not change' : 'no data were set'
}

const warnedOfTwo = new WeakSet<Scheme>()
const warnedOfDrop = new WeakSet<Scheme>()

const PLAIN_HTTP = 'a Secure session cookie is sent over plain http, where browsers drop it without a message: serve https, or set trustProxy and X-Forwarded-Proto behind a proxy that ends TLS, or use cookie: { secure: false } in development'
const UNTRUSTED_PROXY = 'a proxy sends X-Forwarded-Proto: https, and Fastify does not trust it: set Fastify({ trustProxy: ... }) to the proxy, so that protocol, host and address are those of the visitor'

/** Warns, once per scheme, of a request with two cookies of the same name. Browsers keep one for each path and domain. */
export function warnOfDuplicate (request: FastifyRequest, scheme: Scheme): void {
  const { name, path } = scheme.cookie
  warnOnce(warnedOfTwo, request, scheme, `a request has two cookies "${name}", so neither is used: one has the path ${path}, the other has another path or domain. If this cookie had that path or domain before, write cookie: { previous: [{ name: "${name}", path: "/old" }] }`)
}

/** Warns, once per scheme, that browsers will drop its cookie. */
export function warnOfDroppedCookie (request: FastifyRequest, scheme: Scheme): void {
  if (!scheme.cookie.secure || request.protocol === 'https' || /(^|\.)localhost(:\d+)?$|^127\.|^\[::1\]/.test(request.host)) return
  // Behind a proxy that ends TLS, the browser keeps the cookie, but the app does not know the client's address.
  warnOnce(warnedOfDrop, request, scheme, request.headers['x-forwarded-proto'] === 'https' ? UNTRUSTED_PROXY : PLAIN_HTTP)
}

function warnOnce (warned: WeakSet<Scheme>, { log }: FastifyRequest, scheme: Scheme, sentence: string): void {
  if (warned.has(scheme)) return
  warned.add(scheme)
  log.warn({ session: { scheme: scheme.name, cookie: scheme.cookie.name } }, sentence)
}
