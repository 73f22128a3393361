import createError, { type FastifyError } from '@fastify/error'

/** The status of the response when the error reaches Fastify's error handler, by error code. */
const statusOf = {
  FST_SESSION_REQUIRED: 401,
  FST_SESSION_CREDENTIALS: 401,
  FST_SESSION_FORBIDDEN: 403,
  FST_SESSION_CROSS_ORIGIN: 403,
  FST_SESSION_CONFLICT: 409,
  FST_SESSION_STORE: 503,
  FST_SESSION_NOT_DECLARED: 500,
  FST_SESSION_TOO_LATE: 500,
  FST_SESSION_INVALID_DATA: 500,
  FST_SESSION_TOO_LARGE: 500,
  FST_SESSION_OPTIONS: 500
} as const

/** Stable, machine-readable name of an error; `docs/errors.md` says for each what to do. */
export type SessionErrorCode = keyof typeof statusOf

/** The documentation has a page for each code here. */
const PAGES = 'https://OWNER.github.io/fastify-openapi-session/errors/'

export interface SessionErrorOptions {
  /** The underlying error. It is for the log: no response shows it. */
  cause?: unknown
  /** Response headers that belong to the error, such as `WWW-Authenticate` (RFC 9110, 11.6.1) or `Retry-After` (10.2.3). */
  headers?: Record<string, string>
}

const Base = createError<[string, { cause: unknown }?]>('FST_SESSION', '%s')

/**
 * The one error class of the package. `code` is stable and tells errors apart; `statusCode` is the status of the response.
 * No message contains a secret, a key, session data or the text of a store.
 */
export class SessionError extends (Base as unknown as new (message: string, options?: { cause: unknown }) => FastifyError) {
  declare readonly code: SessionErrorCode
  declare readonly statusCode: number
  /** The status, and whether clients may see the message: frameworks around Fastify (Nest 12) know HTTP errors by these two. */
  declare readonly status: number
  declare readonly expose: boolean
  /** The address of the page about `code`, for the log. */
  declare readonly help: string
  /** For the response. Fastify's own error handler copies them; the plugin sets those of its hooks for any other handler, too. */
  readonly headers?: Record<string, string>

  constructor (code: SessionErrorCode, message: string, options: SessionErrorOptions = {}) {
    super(message, ...(options.cause === undefined ? [] : [{ cause: options.cause }]))
    const status = statusOf[code]
    Object.assign(this, { code, statusCode: status, status, expose: status !== 500, name: 'SessionError', help: PAGES + code })
    if (options.headers) this.headers = options.headers
  }
}

/** Wrong configuration, found at boot. `sentence` says what is wrong, where, and what to write instead. */
export function invalidOptions (sentence: string, cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_OPTIONS', sentence, { cause })
}

/** One way to authenticate, for the `WWW-Authenticate` header. */
export interface Challenge {
  readonly scheme: string
  /** The cookie of a session scheme; `undefined` for another scheme. */
  readonly cookieName: string | undefined
  /** Seconds: a login within that time is required. */
  readonly maxAge?: number | undefined
}

/**
 * The 401, with a challenge for each way to authenticate (RFC 9110, 11.6.1 and 15.5.2). The scheme `Cookie` is that of
 * draft-broyer-http-cookie-auth; a step-up speaks the words of RFC 9470. For another security scheme its name stands in: a
 * verifier that knows a better challenge throws its own error, with `headers`.
 */
export function authenticationRequired (challenges: readonly Challenge[]): SessionError {
  const written = challenges.map(({ scheme, cookieName, maxAge }) => {
    const stepUp = maxAge === undefined ? '' : `, error="insufficient_user_authentication", max_age=${maxAge}`
    return cookieName === undefined ? scheme : `Cookie cookie-name="${cookieName}"${stepUp}`
  })
  return new SessionError('FST_SESSION_REQUIRED', messageFor(challenges), { headers: { 'www-authenticate': written.join(', ') } })
}

function messageFor (challenges: readonly Challenge[]): string {
  const [first, ...others] = challenges
  if (first === undefined || others.length > 0) {
    return `Authentication required, by one of: ${challenges.map(({ scheme, cookieName }) => cookieName === undefined ? scheme : `the session "${scheme}"`).join(', ')}.`
  }
  if (first.maxAge !== undefined) return `A login within the last ${first.maxAge} seconds is required. Sign in again.`
  return first.cookieName === undefined ? `The security scheme "${first.scheme}" is not satisfied.` : MESSAGES.FST_SESSION_REQUIRED
}

/** The 401 of a login. Its code differs from that of a missing session: an error handler that redirects to the login leaves it alone. */
export function wrongCredentials (cookieName: string): SessionError {
  const headers = { 'www-authenticate': `Cookie cookie-name="${cookieName}"` }
  return new SessionError('FST_SESSION_CREDENTIALS', 'Unknown user name or wrong password.', { headers })
}

/** The 403 for a session that lacks a role, or a second scheme that the requirement names. */
export function forbidden (message: string = MESSAGES.FST_SESSION_FORBIDDEN): SessionError {
  return new SessionError('FST_SESSION_FORBIDDEN', message)
}

/** The 403 for a request that a page of another origin sent. `compared` names the headers that tell so. */
export function crossOrigin (compared?: string): SessionError {
  const sentence = MESSAGES.FST_SESSION_CROSS_ORIGIN
  return new SessionError('FST_SESSION_CROSS_ORIGIN', compared === undefined ? sentence : `${sentence} ${compared}`)
}

/** The 409 for two changes of one session that cannot both be kept. */
export function conflict (cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_CONFLICT', MESSAGES.FST_SESSION_CONFLICT, { cause })
}

/** Seconds after which a client may try again while the store does not work. */
const RETRY_AFTER = '5'

/** The 503 with its `Retry-After`. `cause` is for the log alone. */
export function unavailable (cause?: unknown, message: string = MESSAGES.FST_SESSION_STORE): SessionError {
  return new SessionError('FST_SESSION_STORE', message, { cause, headers: { 'retry-after': RETRY_AFTER } })
}

/** Data that cannot be kept in a session: the schema does not accept them, or JSON cannot hold them. */
export function invalidData (message: string, cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_INVALID_DATA', message, { cause })
}

/** Data that are too large for the option `maxSize` or for a cookie. */
export function tooLarge (message: string): SessionError {
  return new SessionError('FST_SESSION_TOO_LARGE', message)
}

/** A change of a session after its response has begun. `advice` names what works at that time. */
export function tooLate (call: string, advice: string): SessionError {
  return new SessionError('FST_SESSION_TOO_LATE', `${call} came after the response had begun, too late to be saved with it. ${advice}`)
}

/** A session that the route does not declare. */
export function notDeclared (method: string, url: string | undefined, scheme: string): SessionError {
  const security = `security: [{ ${/^\w+$/.test(scheme) ? scheme : JSON.stringify(scheme)}: [] }]`
  const advice = url === undefined
    ? `write app.setNotFoundHandler({ schema: { ${security} } }, handler)`
    : `add ${security} to the route's schema, by an onRoute hook if another plugin adds the route`
  return new SessionError('FST_SESSION_NOT_DECLARED', `${method} ${url ?? '(not found)'} does not declare the session "${scheme}": ${advice} ` +
    '(with a second alternative {} if the session is optional), and read the session after this plugin\'s onRequest hook.')
}

/** Messages that responses carry and that the OpenAPI document shows as examples. */
export const MESSAGES = {
  FST_SESSION_REQUIRED: 'Authentication required. Sign in first.',
  FST_SESSION_FORBIDDEN: 'This session does not permit the request.',
  FST_SESSION_CROSS_ORIGIN: 'A page of another origin sent this request. If the page is yours, add its origin to the option crossOrigin.trusted.',
  FST_SESSION_CONFLICT: 'Another request changed the same session at the same time. Send the request again.',
  FST_SESSION_STORE: 'Sessions are not available at the moment. Try again in a few seconds.'
} as const
