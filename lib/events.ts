import { channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Report, SessionEvent } from './backend/backend.js'

/** The name of the `node:diagnostics_channel` on which each event is published as `{ event, request }`. */
export const EVENT_CHANNEL = 'fastify-openapi-session:event'

export type Listener = (event: SessionEvent, request: FastifyRequest | undefined) => void

// What points to a defect or an attack should be seen without a debug log.
const WARNED = new Set<SessionEvent['reason']>(['damaged', 'unfit', 'after-commit', 'refused'])

const events = channel(EVENT_CHANNEL)

/**
 * Tells of everything that happens to the sessions of a scheme: one structured log line, the listener of the options, and
 * the diagnostics channel. None of them ever gets a token.
 */
export function reporter (scheme: string, onEvent: Listener | undefined, log: FastifyBaseLogger, request?: FastifyRequest): Report {
  return (told) => {
    const event: SessionEvent = Object.freeze({ scheme, ...told })
    log[event.type === 'failed' || WARNED.has(event.reason) ? 'warn' : 'debug']({ session: event }, `session ${event.type}: ${event.reason}`)
    events.publish({ event, request })
    const failed = (error: unknown): void => log.error({ err: error, session: event }, 'onEvent threw; the request goes on')
    try {
      // One that is async in spite of its type must not end the process by a rejection that nobody handles.
      const told: unknown = onEvent?.(event, request)
      if (told instanceof Promise) told.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}
