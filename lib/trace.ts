import { tracingChannel } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import type { Change } from './backend/backend.js'

/** What is published while a session is read or stored for a request; see `tracingChannel` of `node:diagnostics_channel`. */
export interface SessionTrace {
  readonly operation: 'load' | Change['kind']
  readonly scheme: string
  readonly request: FastifyRequest
}

/** The five channels are `tracing:fastify-openapi-session:start`, `:end`, `:asyncStart`, `:asyncEnd` and `:error`. */
const channel = tracingChannel<unknown, SessionTrace>('fastify-openapi-session')

/** Runs what asks the store, so that OpenTelemetry and its like can make a span of it; free where nobody listens. */
export function traced<T> (
  operation: SessionTrace['operation'], { name }: { name: string }, request: FastifyRequest, work: () => Promise<T>
): Promise<T> {
  return channel.hasSubscribers ? channel.tracePromise(work, { operation, scheme: name, request }) : work()
}
