import type { FastifyReply } from 'fastify'
import { SessionError } from '../errors.js'

/** Adds the headers of an error to its response, if no error handler made another one. Fastify's own handler does the same. */
export function addErrorHeaders (error: Error, reply: FastifyReply): void {
  if (!(error instanceof SessionError) || reply.statusCode !== error.statusCode) return
  for (const [name, value] of Object.entries(error.headers ?? {})) if (!reply.hasHeader(name)) reply.header(name, value)
}

/**
 * Adds `Set-Cookie` headers to those of the reply, and removes the `old` ones. Sets a new list: old versions of Fastify 5 append to
 * the list that the handler passed. If the app reuses that list, the next response would send one user's session to another.
 */
export function setCookies (reply: FastifyReply, lines: readonly string[], old: readonly string[]): void {
  if (lines.length + old.length === 0) return
  const present = reply.getHeader('set-cookie')
  if (present === undefined && lines.length === 1) return void reply.header('set-cookie', lines[0])
  const before = [present ?? []].flat().map(String).filter((line) => !old.includes(line))
  reply.removeHeader('set-cookie')
  const all = [...before, ...lines]
  if (all.length > 0) reply.header('set-cookie', all.length === 1 ? all[0] : all)
}

/** Adds Cookie to the request headers that the response depends on (RFC 9110, 12.5.5). */
export function varyByCookie (reply: FastifyReply): void {
  const vary = String(reply.getHeader('vary') ?? '')
  if (!/(^|,)\s*(cookie|\*)\s*(,|$)/i.test(vary)) reply.header('vary', vary === '' ? 'Cookie' : `${vary}, Cookie`)
}

/** Keeps a user's response out of shared caches (RFC 9111, 7.3). Overrules the handler only if the response sets a cookie. */
export function cacheFor (reply: FastifyReply, setsCookie: boolean, sawSession: boolean): void {
  const chosen = reply.getHeader('cache-control')
  if (setsCookie) {
    // These headers override Cache-Control in the caches that they address (RFC 9213).
    for (const name in reply.getHeaders()) if (name.endsWith('cdn-cache-control') || name === 'surrogate-control') reply.removeHeader(name)
    if (chosen === undefined || !/(^|,)\s*(no-store|private)\s*(,|$)/i.test(String(chosen))) reply.header('cache-control', 'no-store')
  } else if (sawSession && chosen === undefined) reply.header('cache-control', 'private, no-cache')
}

/** Copies headers to the raw response. Needed if a cookie is set after Fastify copied the headers, before a stream's first byte. */
export function copyToRaw (reply: FastifyReply): void {
  for (const name of ['set-cookie', 'cache-control']) {
    const value = reply.getHeader(name)
    if (value !== undefined) reply.raw.setHeader(name, value)
  }
}

/** Returns a function that restores the status and headers of a response after a second response has changed them. */
export function rememberResponse (reply: FastifyReply): () => void {
  const { statusCode } = reply
  const headers = reply.getHeaders()
  // Fastify appends cookies to this list, so copy it.
  if (Array.isArray(headers['set-cookie'])) headers['set-cookie'] = [...headers['set-cookie']]
  return () => {
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    reply.code(statusCode).headers(headers)
  }
}
