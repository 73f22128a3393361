import { tracingChannel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import { isPromise } from '../awaitable.js'
import type { Awaitable } from '../store/store.js'

/** The message that is published while a session is read or stored for a request; see `tracingChannel` of `node:diagnostics_channel`. */
export interface SessionTrace {
  readonly operation: 'load' | 'save' | 'update'
  readonly scheme: string
  readonly request: FastifyRequest
}

/** The five channels are `tracing:fastify-openapi-session:start`, `:end`, `:asyncStart`, `:asyncEnd` and `:error`. */
export const tracing = tracingChannel<unknown, SessionTrace>('fastify-openapi-session')

/** Runs work that calls the store inside a trace, of which OpenTelemetry and similar tools make a span. Free where none listens. */
export function traced<T> (operation: SessionTrace['operation'], scheme: string, request: FastifyRequest, work: () => Awaitable<T>): Awaitable<T> {
  if (!tracing.hasSubscribers) return work()
  const trace = { operation, scheme, request }
  return tracing.tracePromise(async () => {
    const result = work()
    return isPromise(result) ? await result : result
  }, trace)
}
