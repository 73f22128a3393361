import { tracingChannel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import type { Awaitable } from '../store/store.js'

/** The message on the tracing channel (`tracingChannel` of `node:diagnostics_channel`) when a session is loaded or saved. */
export interface SessionTrace {
  readonly operation: 'load' | 'save' | 'update'
  readonly scheme: string
  readonly request: FastifyRequest
}

/** The five channels are `tracing:fastify-openapi-session:start`, `:end`, `:asyncStart`, `:asyncEnd` and `:error`. */
export const tracing = tracingChannel<unknown, SessionTrace>('fastify-openapi-session')

/** Traces a call of the store, which OpenTelemetry and similar tools record as a span. */
export function traced<T> (operation: SessionTrace['operation'], scheme: string, request: FastifyRequest, work: () => Awaitable<T>): Awaitable<T> {
  if (!tracing.hasSubscribers) return work()
  return tracing.tracePromise(async () => await work(), { operation, scheme, request })
}
