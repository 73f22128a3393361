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

/** Gives the answer the status of an error, with what belongs to it. */
export function takeStatusOf (error: Error, reply: FastifyReply): void {
  const { statusCode = 500 } = error as Partial<SessionError>
  reply.code(statusCode)
  addHeadersOf(error, reply)
}

/** The status and headers of an answer, as a function that puts them back when another one was begun meanwhile. */
export function rememberAnswer (reply: FastifyReply): () => void {
  const { statusCode } = reply
  // Fastify puts more cookies into the very list that it has.
  const copied = Object.entries(reply.getHeaders()).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value] as const)
  const headers = Object.fromEntries(copied)
  return () => {
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    reply.code(statusCode).headers(headers)
  }
}

/** What is about to be sent. */
export interface Answer {
  readonly body: unknown
  readonly statusCode: number
  /** Puts into the reply what the payload brings beside its body. */
  readonly begin: () => void
  /** Takes its headers out again, for another answer. */
  readonly undo: () => void
}

/**
 * Fastify takes status and headers out of a Response of the Fetch standard after the last hook, too late for whoever has to
 * know whether the answer is an error, or to keep it out of caches: so it is done here.
 */
export function answerOf (payload: unknown, reply: FastifyReply): Answer {
  // Fastify has an error for a body that was read already.
  if (!isResponse(payload) || payload.bodyUsed) return { body: payload, statusCode: reply.statusCode, begin () {}, undo () {} }
  const { body, status, headers } = payload
  let hasBegun = false
  return {
    body,
    statusCode: status,
    begin () {
      hasBegun = true
      reply.code(status)
      for (const [name, value] of headers) reply.header(name, value)
    },
    undo () {
      if (!hasBegun) return
      for (const [name, value] of headers) if (reply.getHeader(name) === value) reply.removeHeader(name)
      setCookies(reply, [], headers.getSetCookie())
    }
  }
}

/** For a cookie that comes when Fastify may have handed all headers over already, to send them with the first byte of a stream. */
export function copyToRaw (reply: FastifyReply): void {
  for (const name of ['set-cookie', 'cache-control']) {
    const value = reply.getHeader(name)
    if (value !== undefined) reply.raw.setHeader(name, value)
  }
}

/** For a stream that has to wait: what fails in it meanwhile would end the process. Fastify hears of it when its turn comes. */
export function listenForErrors (body: unknown): void {
  if (isStream(body)) body.on('error', () => {})
}

/** A body that will not be sent may hold a file or a connection open, and Fastify lets go only of what it sends. */
export function letGo (payload: unknown): void {
  const body = bodyOf(payload)
  const { destroy, cancel } = Object(body) as { destroy?: unknown, cancel?: unknown }
  listenForErrors(body)
  if (typeof destroy === 'function') destroy.call(body)
  else if (typeof cancel === 'function') Promise.resolve(cancel.call(body)).catch(() => {})
}

export function bodyOf (payload: unknown): unknown {
  return isResponse(payload) ? payload.body : payload
}

function isResponse (payload: unknown): payload is Response {
  return Object.prototype.toString.call(payload) === '[object Response]'
}

function isStream (body: unknown): body is NodeJS.ReadableStream {
  return typeof (Object(body) as { pipe?: unknown }).pipe === 'function'
}

/**
 * Adds `Set-Cookie` lines to those that are there, in place of `old` ones. Old versions of Fastify 5 put them into the very
 * list that a handler gave: one that an app keeps for all of its responses would hand one person's session to the next.
 */
export function setCookies (reply: FastifyReply, lines: readonly string[], old: readonly string[]): void {
  if (lines.length + old.length === 0) return
  const before = [reply.getHeader('set-cookie') ?? []].flat().map(String).filter((line) => !old.includes(line))
  reply.removeHeader('set-cookie')
  const all = [...before, ...lines]
  if (all.length > 0) reply.header('set-cookie', all.length === 1 ? all[0] : all)
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
    // These overrule Cache-Control in the caches that they are for (RFC 9213).
    for (const name of Object.keys(reply.getHeaders())) if (/(^|-)cdn-cache-control$|^surrogate-control$/.test(name)) reply.removeHeader(name)
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
