import { STATUS_CODES } from 'node:http'
import { MESSAGES, statusOf } from '../../errors.js'
import type { Scheme } from '../../options/scheme.js'
import { SAFE_METHODS } from '../../routing/cross-origin.js'
import { compileRequirement, type Condition, isSession, type Requirement, type SecurityRequirement } from '../../routing/requirement.js'

/** The schema of the body that Fastify's default error handler sends for an error of this package. */
export const ERROR_SCHEMA = {
  type: 'object',
  description: 'An error, as Fastify writes it.',
  required: ['statusCode', 'code', 'error', 'message'],
  additionalProperties: false,
  properties: {
    statusCode: { type: 'integer', format: 'int32', minimum: 400, maximum: 599, description: 'The HTTP status.' },
    code: { type: 'string', maxLength: 64, pattern: '^FST_[A-Z_]+$', description: 'Tells errors apart. It never changes.' },
    error: { type: 'string', maxLength: 64, pattern: '^[A-Z][A-Za-z ]+$', description: 'The name of the HTTP status.' },
    message: { type: 'string', maxLength: 10_000, pattern: '\\S', description: 'What went wrong, for people.' }
  }
} as const

/** The errors that a document describes: for each, a part of the name of its response in `components`, and its cause. */
const DOCUMENTED = {
  FST_SESSION_REQUIRED: ['Required', 'There is no live session: sign in first.'],
  FST_SESSION_FORBIDDEN: ['Forbidden', 'The session does not permit the request: a role, or another requirement of this operation, is missing.'],
  FST_SESSION_CROSS_ORIGIN: ['CrossOrigin', 'A page of another origin sent the request.'],
  FST_SESSION_STORE: ['Unavailable', 'Sessions are not available at the moment: try again later. This does not sign the user out.']
} as const

const CHALLENGE = { type: 'string', maxLength: 8192, pattern: '^[ -~]+$' }
const SECONDS = { type: 'integer', format: 'int32', minimum: 0, maximum: 86_400 }

type DocumentedCode = keyof typeof DOCUMENTED

/** Compiles a `security` list of a document. A document does not have the verifiers of other schemes. */
export function requirementOf (security: readonly SecurityRequirement[] = [], isOurs: (scheme: string) => boolean): Requirement {
  return compileRequirement(security, (scheme) => isOurs(scheme) ? undefined : () => false)
}

/** Returns the errors that requests of an operation can get. `schemes` are the session schemes of its requirement. */
export function errorsOf ({ alternatives }: Requirement, method: string, schemes: readonly Scheme[]): DocumentedCode[] {
  const isPossible: Record<DocumentedCode, boolean> = {
    FST_SESSION_REQUIRED: alternatives.length > 0 && alternatives.every((conditions) => conditions.length > 0),
    FST_SESSION_FORBIDDEN: alternatives.some((conditions) => canForbid(conditions, alternatives)),
    FST_SESSION_CROSS_ORIGIN: !SAFE_METHODS.has(method) && schemes.some(({ settings }) => settings.trustedOrigins !== undefined),
    FST_SESSION_STORE: schemes.some(({ stored, settings: { adopt } }) => stored !== undefined || adopt !== undefined)
  }
  return (Object.keys(isPossible) as DocumentedCode[]).filter((code) => isPossible[code])
}

/** Returns true if a request with a live session can fail all alternatives. */
function canForbid (conditions: readonly Condition[], alternatives: Requirement['alternatives']): boolean {
  const isEnough = (live: readonly Condition[]): boolean => alternatives.some((alternative) =>
    alternative.every(({ scheme, scopes }) => scopes.length === 0 && live.some((condition) => condition.scheme === scheme)))
  return conditions.some((condition, index) => {
    // Conditions are checked in order. When one fails, the sessions before it are live. A session that lacks a role is live too.
    const live = conditions.slice(0, index + 1).filter(isSession)
    return live.length > 0 && (condition.scopes.length > 0 || !isSession(condition)) && !isEnough(live)
  })
}

/** Returns true if `responses` document a status. A range and `default` count too, because Fastify serializes by them. */
export function isDocumented (status: number, responses: object): boolean {
  const documented = Object.keys(responses).map((key) => key.toUpperCase())
  return [`${status}`, `${Math.floor(status / 100)}XX`, 'DEFAULT'].some((key) => documented.includes(key))
}

/** Returns one response for each status of the errors, with its name in `components`. */
export function errorResponses (codes: readonly DocumentedCode[], schemes: readonly Scheme[], errorSchema: () => string) {
  const challenges = Object.fromEntries(schemes.map(({ name, cookie }) => [name, { value: `Cookie cookie-name="${cookie.name}"` }]))
  const headers: Partial<Record<number, object>> = {
    // RFC 9110, 11.6.1, with the `Cookie` scheme of draft-broyer-http-cookie-auth.
    401: { 'WWW-Authenticate': { description: 'Names the cookie that is missing.', schema: CHALLENGE, examples: challenges } },
    503: { 'Retry-After': { description: 'Seconds to wait before trying again.', schema: SECONDS } }
  }
  return [...new Set(codes.map((code) => statusOf[code]))].map((status) => {
    const own = codes.filter((code) => statusOf[code] === status)
    const example = (code: DocumentedCode): object => ({ statusCode: status, code, error: STATUS_CODES[status], message: MESSAGES[code] })
    const examples = Object.fromEntries(own.map((code) => [code, { value: example(code) }]))
    const response = {
      description: own.map((code) => DOCUMENTED[code][1]).join(' Or: '),
      ...(headers[status] && { headers: headers[status] }),
      content: { 'application/json': { schema: { $ref: errorSchema() }, examples } }
    }
    return { status, name: `Session${own.map((code) => DOCUMENTED[code][0]).join('Or')}`, response }
  })
}
