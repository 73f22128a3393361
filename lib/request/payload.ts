import type { FastifyReply } from 'fastify'
import { setCookies } from './headers.js'

/** A response that is about to be sent. */
export type Outgoing = ReturnType<typeof outgoing>

const doNothing = (): void => {}

/** Returns the body and status of a payload. Fastify reads those of a Fetch `Response` after the last hook, which is too late. */
export function outgoing (payload: unknown, reply: FastifyReply) {
  // If the body was read already, Fastify throws an error of its own.
  if (!isResponse(payload) || payload.bodyUsed) return { body: payload, statusCode: reply.statusCode, begin: doNothing, undo: doNothing }
  const { body, status: statusCode, headers } = payload
  let hasBegun = false
  return {
    body,
    statusCode,
    /** Applies the payload's own status and headers to the reply. */
    begin () {
      hasBegun = true
      reply.code(statusCode)
      for (const [name, value] of headers) reply.header(name, value)
    },
    /** Removes them again, for another response. */
    undo () {
      if (!hasBegun) return
      for (const [name, value] of headers) if (reply.getHeader(name) === value) reply.removeHeader(name)
      setCookies(reply, [], headers.getSetCookie())
    }
  }
}

/** Keeps the error of a stream from ending the process before Fastify sends the stream and handles the error. */
export function listenForErrors (body: unknown): void {
  const { pipe } = Object(body) as { pipe?: unknown }
  if (typeof pipe === 'function') (body as NodeJS.ReadableStream).on('error', doNothing)
}

/** Releases a body that will not be sent: it may hold a file or a connection open. */
export function release (payload: unknown): void {
  const body = bodyOf(payload)
  const { destroy, cancel } = Object(body) as { destroy?: unknown, cancel?: unknown }
  listenForErrors(body)
  if (typeof destroy === 'function') destroy.call(body)
  else if (typeof cancel === 'function') Promise.resolve(cancel.call(body)).catch(() => {})
}

export function bodyOf (payload: unknown): unknown { return isResponse(payload) ? payload.body : payload }
function isResponse (payload: unknown): payload is Response { return Object.prototype.toString.call(payload) === '[object Response]' }
