import createError, { type FastifyError } from '@fastify/error'

/** The status of the response when the error reaches Fastify's error handler, by error code. */
export const statusOf = {
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

/** The site of the documentation, as in package.json. It does not exist while its owner is a placeholder in capital letters. */
const SITE = 'https://OWNER.github.io/fastify-openapi-session/'

function pageOf (code: SessionErrorCode): string {
  return /[A-Z]/.test(SITE) ? `node_modules/fastify-openapi-session/docs/errors.md#${code.toLowerCase()}` : `${SITE}errors/${code}`
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
  /** The place of the page about `code`: an address, or a file in the package. For the log. */
  declare readonly help: string
  /** Response headers, such as `WWW-Authenticate` (RFC 9110, 11.6.1). Fastify's error handler copies them. */
  declare readonly headers?: Record<string, string>

  /** @param cause - for the log: no response shows it */
  constructor (code: SessionErrorCode, message: string, { cause, headers }: { cause?: unknown, headers?: Record<string, string> } = {}) {
    super(message, ...(cause === undefined ? [] : [{ cause }]))
    const status = statusOf[code]
    Object.assign(this, { code, statusCode: status, status, expose: status !== 500, name: 'SessionError', help: pageOf(code) }, headers && { headers })
  }
}

/** Wrong configuration. `sentence` says what is wrong, where, and what to write instead. */
export function invalidOptions (sentence: string, cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_OPTIONS', sentence, { cause })
}

/** Checks a part of the configuration. @throws `FST_SESSION_OPTIONS` with the sentence if the part is wrong */
export function must (holds: boolean, sentence: string): asserts holds {
  if (!holds) throw invalidOptions(sentence)
}

/** One way to authenticate: the scheme, its cookie if it is a session, and the seconds within which a login is required. */
export interface Challenge { readonly scheme: string, readonly cookieName: string | undefined, readonly maxAge?: number | undefined }

/**
 * The 401, with a challenge for each way to authenticate (RFC 9110, 11.6.1 and 15.5.2): `Cookie` of draft-broyer-http-cookie-auth,
 * a step-up in the words of RFC 9470, or the name of another security scheme. A verifier that knows a better challenge throws
 * its own error, with `headers`.
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

/** The 401 of a login. An error handler that redirects to the login tells it by its code from that of a missing session. */
export function wrongCredentials (cookieName: string): SessionError {
  const headers = { 'www-authenticate': `Cookie cookie-name="${cookieName}"` }
  return new SessionError('FST_SESSION_CREDENTIALS', 'Unknown user name or wrong password.', { headers })
}

/** The 403 for a session that lacks a role, or a second scheme that the requirement names. */
export function forbidden (message: string): SessionError {
  return new SessionError('FST_SESSION_FORBIDDEN', message)
}

/** The 403 for a request from a page of another origin. `compared` names the headers that show it. */
export function crossOrigin (compared = ''): SessionError {
  return new SessionError('FST_SESSION_CROSS_ORIGIN', `${MESSAGES.FST_SESSION_CROSS_ORIGIN} ${compared}`.trimEnd())
}

/** The 409 for two changes of one session that cannot both be kept. */
export function conflict (cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_CONFLICT', MESSAGES.FST_SESSION_CONFLICT, { cause })
}

/** The 503. Clients may try again after five seconds. */
export function unavailable (cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_STORE', MESSAGES.FST_SESSION_STORE, { cause, headers: { 'retry-after': '5' } })
}

/** Data that cannot be kept: the schema does not accept them, or JSON cannot hold them. */
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
