import createError, { type FastifyError } from '@fastify/error'

export const statusOf = {
  FST_SESSION_REQUIRED: 401, FST_SESSION_CREDENTIALS: 401, FST_SESSION_FORBIDDEN: 403, FST_SESSION_CROSS_ORIGIN: 403,
  FST_SESSION_CONFLICT: 409, FST_SESSION_STORE: 503, FST_SESSION_NOT_DECLARED: 500, FST_SESSION_TOO_LATE: 500,
  FST_SESSION_INVALID_DATA: 500, FST_SESSION_TOO_LARGE: 500, FST_SESSION_OPTIONS: 500
} as const

/** The stable, machine-readable code of an error. `docs/errors.md` says what to do about each. */
export type SessionErrorCode = keyof typeof statusOf

/** Messages of responses, which are also the examples in the OpenAPI document. */
export const MESSAGES = {
  FST_SESSION_REQUIRED: 'Authentication required. Sign in first.',
  FST_SESSION_FORBIDDEN: 'This session does not permit the request.',
  FST_SESSION_CROSS_ORIGIN: 'A page of another origin sent this request. If the page is yours, add its origin to the option crossOrigin.trusted.',
  FST_SESSION_CONFLICT: 'Another request changed the same session at the same time. Send the request again.',
  FST_SESSION_STORE: 'Sessions are not available at the moment. Try again in a few seconds.'
} as const

/** The documentation site, as in package.json. It does not exist as long as the owner is a placeholder in capital letters. */
const SITE = 'https://OWNER.github.io/fastify-openapi-session/'

const Base = createError<[string, { cause: unknown }?]>('FST_SESSION', '%s')

/**
 * The only error class of the package. `code` is stable and identifies the error. `statusCode` is the response status. A message
 * never contains a secret, a key, session data or the message of a store.
 */
export class SessionError extends (Base as unknown as new (message: string, options?: { cause: unknown }) => FastifyError) {
  declare readonly code: SessionErrorCode
  declare readonly statusCode: number
  /** The status again. Frameworks such as Nest 12 recognise HTTP errors by `status` and `expose`. */
  declare readonly status: number
  /** True if clients may see the message. */
  declare readonly expose: boolean
  /** The URL or file of the documentation of `code`, for the log. */
  declare readonly help: string
  /** Response headers, such as `WWW-Authenticate` (RFC 9110, 11.6.1). Fastify's error handler copies them. */
  declare readonly headers?: Record<string, string>

  /** @param cause - the original error, for the log. Responses do not contain it. */
  constructor (code: SessionErrorCode, message: string, { cause, headers }: { cause?: unknown, headers?: Record<string, string> } = {}) {
    super(message, ...(cause === undefined ? [] : [{ cause }]))
    const status = statusOf[code]
    const help = /[A-Z]/.test(SITE) ? `node_modules/fastify-openapi-session/docs/errors.md#${code.toLowerCase()}` : `${SITE}errors/${code}`
    Object.assign(this, { code, statusCode: status, status, expose: status !== 500, name: 'SessionError', help }, headers && { headers })
  }
}

/** Returns a function that makes the error of a code. `docs/errors.md` describes the codes. */
const withCode = (code: SessionErrorCode) => (message: string, cause?: unknown): SessionError => new SessionError(code, message, { cause })

export const invalidOptions = withCode('FST_SESSION_OPTIONS')
export const invalidData = withCode('FST_SESSION_INVALID_DATA')
export const tooLarge = withCode('FST_SESSION_TOO_LARGE')
export const forbidden = withCode('FST_SESSION_FORBIDDEN')
export const conflict = (cause?: unknown): SessionError => withCode('FST_SESSION_CONFLICT')(MESSAGES.FST_SESSION_CONFLICT, cause)

/** Returns the 503 for a store that fails. Clients may try again after five seconds. */
export function unavailable (cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_STORE', MESSAGES.FST_SESSION_STORE, { cause, headers: { 'retry-after': '5' } })
}

/** Returns the 403 for a request from a page of another origin. `compared` describes the headers that were compared. */
export function crossOrigin (compared = ''): SessionError {
  return new SessionError('FST_SESSION_CROSS_ORIGIN', `${MESSAGES.FST_SESSION_CROSS_ORIGIN} ${compared}`.trimEnd())
}

/** Returns the error for a change of a session after the response has begun. `advice` says what to do instead. */
export function tooLate (call: string, advice: string): SessionError {
  return new SessionError('FST_SESSION_TOO_LATE', `${call} came after the response had begun, too late to be saved with it. ${advice}`)
}

/** Returns the 401 of a failed login. Its code differs from that of a missing session. */
export function wrongCredentials (cookieName: string): SessionError {
  const headers = { 'www-authenticate': `Cookie cookie-name="${cookieName}"` }
  return new SessionError('FST_SESSION_CREDENTIALS', 'Unknown user name or wrong password.', { headers })
}

/** One way to authenticate: the scheme, its cookie if it is a session, and the largest age of the login in seconds. */
export interface Challenge { readonly scheme: string, readonly cookieName: string | undefined, readonly maxAge?: number | undefined }

/**
 * Returns the 401 with a challenge for each way to authenticate (RFC 9110, 11.6.1 and 15.5.2). For a session that is `Cookie` of
 * draft-broyer-http-cookie-auth, with the step-up parameters of RFC 9470. For another scheme it is the name of the scheme. A
 * verifier can throw its own error, with `headers`, to send a better challenge.
 */
export function authenticationRequired (challenges: readonly Challenge[]): SessionError {
  const written = challenges.map(({ scheme, cookieName, maxAge }) => cookieName === undefined ? scheme
    : `Cookie cookie-name="${cookieName}"${maxAge === undefined ? '' : `, error="insufficient_user_authentication", max_age=${maxAge}`}`)
  const [{ scheme, cookieName, maxAge }] = challenges as [Challenge]
  const ways = challenges.map(({ scheme, cookieName }) => cookieName === undefined ? scheme : `the session "${scheme}"`)
  const message = ways.length > 1 ? `Authentication required, by one of: ${ways.join(', ')}.`
    : maxAge !== undefined ? `A login within the last ${maxAge} seconds is required. Sign in again.`
    : cookieName === undefined ? `The security scheme "${scheme}" is not satisfied.` : MESSAGES.FST_SESSION_REQUIRED
  return new SessionError('FST_SESSION_REQUIRED', message, { headers: { 'www-authenticate': written.join(', ') } })
}

/** Returns the error for the use of a session that the route does not declare. */
export function notDeclared (method: string, url: string | undefined, scheme: string): SessionError {
  const security = `security: [{ ${/^\w+$/.test(scheme) ? scheme : JSON.stringify(scheme)}: [] }]`
  const advice = url === undefined ? `write app.setNotFoundHandler({ schema: { ${security} } }, handler)`
    : `add ${security} to the route's schema, by an onRoute hook if another plugin adds the route`
  return new SessionError('FST_SESSION_NOT_DECLARED', `${method} ${url ?? '(not found)'} does not declare the session "${scheme}": ${advice} ` +
    '(with a second alternative {} if the session is optional), and read the session after this plugin\'s onRequest hook.')
}

/** Checks the configuration. @throws `FST_SESSION_OPTIONS` with `sentence` if `holds` is false */
export function must (holds: boolean, sentence: string): asserts holds { if (!holds) throw invalidOptions(sentence) }

/**
 * Throws if an object has a key that is not a known name. The message says what to write instead, suggests a similar name, or
 * lists the known names.
 * @param where - the place of the key, with `*` for the key, such as `option cookie.*`
 * @param elsewhere - names that other packages use, and what to write instead
 */
export function refuseUnknown (object: object, known: readonly string[], where: string, elsewhere: Record<string, string> = {}): void {
  const name = Object.keys(object).find((name) => !known.includes(name))
  if (name === undefined) return
  const meant = nearest(name, known)
  const list = known.length > 8 ? 'docs/options.md describes the options' : `the names are ${known.join(', ')}`
  const advice = Object.hasOwn(elsewhere, name) ? elsewhere[name] : meant === undefined ? list : `did you mean ${meant}?`
  throw invalidOptions(`there is no ${where.replace('*', () => name)}: ${advice}`)
}

/** Returns the known name most similar to a misspelt one, if at most two letters and less than half of the name differ. */
export function nearest (name: string, known: readonly string[]): string | undefined {
  return [0, 1, 2].filter((letters) => letters < name.length / 2)
    .flatMap((letters) => known.filter((candidate) => isWithin(letters, name.toLowerCase(), candidate.toLowerCase())))[0]
}

/** Returns true if at most `letters` insertions, deletions and replacements turn one text into the other (Levenshtein). */
function isWithin (letters: number, one: string, other: string): boolean {
  if (one === '' || other === '') return one.length + other.length <= letters
  const [first, second] = [one.slice(1), other.slice(1)]
  if (one[0] === other[0]) return isWithin(letters, first, second)
  return letters > 0 && [[first, other], [one, second], [first, second]].some(([one, other]) => isWithin(letters - 1, one!, other!))
}

/** One hundred years, in seconds. The sum of any instant and this fits into every store and cookie. */
const CENTURY = 3_155_760_000

/** Converts the option `name` from seconds to milliseconds. @throws `FST_SESSION_OPTIONS` unless it is a positive number */
export function milliseconds (name: string, seconds: number | undefined): number | undefined {
  if (seconds === undefined) return undefined
  must(typeof seconds === 'number' && seconds >= 0.001 && seconds <= CENTURY, `${name} must be a positive number of seconds, such as 1800`)
  return Math.round(seconds * 1000)
}

/** Converts like `milliseconds`, for a timer: those of Node.js count to 2^31 milliseconds, and fire at once for more. */
export function timerMilliseconds (name: string, seconds: number | undefined): number | undefined {
  must(!(Number(seconds) > 2_147_483), `${name} must be at most 24 days, in seconds`)
  return milliseconds(name, seconds)
}
