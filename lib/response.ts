import type { FastifyReply, FastifyRequest } from 'fastify'
import { SessionError } from './errors.js'
import type { Scheme } from './scheme.js'

/**
 * Adds the headers that belong to an error, which Fastify does for its own error handler only. One of the app's may have made
 * another answer of it, a login page say, that they do not belong to.
 */
export function addHeadersOf (error: Error, reply: FastifyReply): void {
  if (!(error instanceof SessionError) || reply.statusCode !== error.statusCode) return
  for (const [name, value] of Object.entries(error.headers ?? {})) if (!reply.hasHeader(name)) reply.header(name, value)
}

/**
 * Adds `Set-Cookie` lines to those that are there. Old versions of Fastify 5 put them into the very list that a handler
 * gave: one that an app keeps for all of its responses would hand one person's session to the next.
 */
export function setCookies (reply: FastifyReply, lines: readonly string[]): void {
  if (lines.length === 0) return
  const before = reply.getHeader('set-cookie')
  reply.removeHeader('set-cookie')
  reply.header('set-cookie', before === undefined && lines.length === 1 ? lines[0] : [before ?? [], lines].flat(2))
}

/** Says that the response depends on the Cookie header (RFC 9110, 12.5.5), beside what else it depends on. */
export function varyByCookie (reply: FastifyReply): void {
  const vary = String(reply.getHeader('vary') ?? '')
  const names = vary.toLowerCase().split(',').map((name) => name.trim())
  if (names.includes('cookie') || names.includes('*')) return
  reply.header('vary', vary === '' ? 'Cookie' : `${vary}, Cookie`)
}

/**
 * Keeps what belongs to one person out of caches (RFC 9111, 7.3). What the handler chose stays, unless it would let a
 * shared cache hand one person's cookie to another.
 */
export function cacheFor (reply: FastifyReply, setsCookie: boolean, sawSession: boolean): void {
  const chosen = reply.getHeader('cache-control')
  if (setsCookie) {
    const directives = String(chosen).toLowerCase().split(',').map((directive) => directive.trim())
    if (!directives.includes('no-store') && !directives.includes('private')) reply.header('cache-control', 'no-store')
  } else if (sawSession && chosen === undefined) {
    reply.header('cache-control', 'private, no-cache')
  }
}

const warned = new WeakSet<Scheme>()

const PLAIN_HTTP = 'a Secure session cookie goes out over plain http, where browsers drop it in silence: serve https, or set trustProxy and X-Forwarded-Proto behind a proxy that does, or use cookie: { secure: false } in development'
const UNTRUSTED_PROXY = 'a proxy in front says X-Forwarded-Proto: https, and Fastify does not believe it: set Fastify({ trustProxy: ... }) to the proxy, so that protocol, host and address are those of the visitor'

/** The most asked question of this field is why a browser does not keep the cookie. Its usual cause is told once. */
export function warnOfDroppedCookie (request: FastifyRequest, schemes: readonly Scheme[]): void {
  for (const scheme of schemes) {
    if (!scheme.cookie.secure || request.protocol === 'https' || warned.has(scheme) || isLoopback(request.hostname)) continue
    warned.add(scheme)
    // Behind a proxy that ends TLS the browser does see https, and keeps the cookie; but the app does not know the visitor.
    const unbelieved = request.headers['x-forwarded-proto'] === 'https'
    request.log.warn({ session: { scheme: scheme.name, cookie: scheme.cookie.name } }, unbelieved ? UNTRUSTED_PROXY : PLAIN_HTTP)
  }
}

function isLoopback (hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]' || hostname.startsWith('127.')
}
