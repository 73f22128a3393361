import { STATUS_CODES } from 'node:http'
import { MESSAGES, statusOf } from '../../errors.js'
import type { Scheme } from '../../options/scheme.js'
import type { DocumentedCode } from './errors.js'
import type { Response } from './openapi.js'

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

/** For each error: a part of the name of its response in `components`, and its cause. */
const CAUSES: Readonly<Record<DocumentedCode, readonly [name: string, cause: string]>> = {
  FST_SESSION_REQUIRED: ['Required', 'There is no live session: sign in first.'],
  FST_SESSION_FORBIDDEN: ['Forbidden', 'The session does not permit the request: a role, or another requirement of this operation, is missing.'],
  FST_SESSION_CROSS_ORIGIN: ['CrossOrigin', 'A page of another origin sent the request.'],
  FST_SESSION_STORE: ['Unavailable', 'Sessions are not available at the moment: try again later. This does not sign the user out.']
}

/** Returns one response for each status of the errors, with its name in `components`. */
export function errorResponses (codes: readonly DocumentedCode[], schemes: readonly Scheme[], errorSchema: () => string) {
  return [...new Set(codes.map((code) => statusOf[code]))].map((status) => {
    const own = codes.filter((code) => statusOf[code] === status)
    const example = (code: DocumentedCode): object =>
      ({ value: { statusCode: status, code, error: STATUS_CODES[status], message: MESSAGES[code] } })
    const response = (): Response => ({
      description: own.map((code) => CAUSES[code][1]).join(' Or: '),
      ...(status === 401 && { headers: { 'WWW-Authenticate': challenge(schemes) } }),
      ...(status === 503 && { headers: { 'Retry-After': RETRY_AFTER } }),
      content: { 'application/json': { schema: { $ref: errorSchema() }, examples: Object.fromEntries(own.map((code) => [code, example(code)])) } }
    })
    return { status, name: `Session${own.map((code) => CAUSES[code][0]).join('Or')}`, response }
  })
}

/** Returns the `WWW-Authenticate` header (RFC 9110, 11.6.1, with the `Cookie` scheme of draft-broyer-http-cookie-auth). */
function challenge (schemes: readonly Scheme[]): object {
  return {
    description: 'Names the cookie that is missing.',
    schema: { type: 'string', maxLength: 8192, pattern: '^[ -~]+$' },
    examples: Object.fromEntries(schemes.map(({ name, cookie }) => [name, { value: `Cookie cookie-name="${cookie.name}"` }]))
  }
}

const RETRY_AFTER = {
  description: 'Seconds to wait before trying again.',
  schema: { type: 'integer', format: 'int32', minimum: 0, maximum: 86_400 }
}

/** Returns the `Set-Cookie` header (RFC 6265, 4.1) of responses that start, renew or end a session. */
export function setCookieHeader (schemes: readonly Scheme[]): object {
  const cookies = schemes.map(({ cookie }) => `\`${cookie.name}\``).join(' or ')
  return {
    description: `Present when this response starts, renews or ends a session: the cookie ${cookies}, always HttpOnly.`,
    schema: { type: 'string', maxLength: 8192, pattern: '^[!-~]+=[ -~]*$' }
  }
}
