import createError, { type FastifyError } from '@fastify/error'

/** The status a response gets when the error reaches Fastify's error handler, by error code. */
const statusOf = {
  FST_SESSION_REQUIRED: 401,
  FST_SESSION_FORBIDDEN: 403,
  FST_SESSION_CROSS_ORIGIN: 403,
  FST_SESSION_CONFLICT: 409,
  FST_SESSION_STORE: 503,
  FST_SESSION_NOT_DECLARED: 500,
  FST_SESSION_INVALID_DATA: 500,
  FST_SESSION_TOO_LARGE: 500,
  FST_SESSION_OPTIONS: 500
} as const

/** Stable, machine-readable name of what went wrong; `docs/errors.md` says for each what to do. */
export type SessionErrorCode = keyof typeof statusOf

export interface SessionErrorOptions {
  /** What went wrong underneath. It is for the log: no response ever shows it. */
  cause?: unknown
  /** Response headers that belong to the answer, such as `WWW-Authenticate` (RFC 9110, 11.6.1) or `Retry-After` (10.2.3). */
  headers?: Record<string, string>
}

const Base = createError<[string, { cause: unknown }?]>('FST_SESSION', '%s')

/**
 * The one error class of the package. `code` is stable and tells errors apart; `statusCode` is what Fastify answers.
 * No message carries a token, a key or the text of a store.
 */
export class SessionError extends (Base as unknown as new (message: string, options?: { cause: unknown }) => FastifyError) {
  declare readonly code: SessionErrorCode
  declare readonly statusCode: number
  /** For the response. Fastify's own error handler copies them; the plugin sets those of its hooks for any other handler, too. */
  readonly headers?: Record<string, string>

  constructor (code: SessionErrorCode, message: string, options: SessionErrorOptions = {}) {
    super(message, ...('cause' in options ? [{ cause: options.cause }] : []))
    Object.assign(this, { code, statusCode: statusOf[code], name: 'SessionError' })
    if (options.headers) this.headers = options.headers
  }
}

/** Seconds after which a client may ask again while something that sessions need is out of order. */
const RETRY_AFTER = '5'

/** The 503 with its `Retry-After`. `cause` is for the log alone. */
export function unavailable (message: string, cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_STORE', message, { cause, headers: { 'retry-after': RETRY_AFTER } })
}
