import { STATUS_CODES } from 'node:http'
import { MESSAGES } from '../../errors.js'
import type { Answers } from './answers.js'
import type { Response } from './openapi.js'
import type { DocumentedScheme } from './scheme.js'

/** The body that Fastify's own error handler writes for an error of this package. */
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

/** When an error is the response, by its code. The messages are those that responses carry. */
const CAUSES = {
  FST_SESSION_REQUIRED: 'There is no live session: sign in first.',
  FST_SESSION_FORBIDDEN: 'The session does not permit the request: a role, or another requirement of this operation, is missing.',
  FST_SESSION_CROSS_ORIGIN: 'A page of another origin sent the request.',
  FST_SESSION_STORE: 'Sessions are not available at the moment: try again later. This does not sign the user out.'
} satisfies { [Code in keyof typeof MESSAGES]?: string }

type Code = keyof typeof CAUSES

/** One entry for `components.responses`: `name` is the name that it should have, `codes` the errors that it stands for. */
export interface ErrorResponse {
  readonly status: number
  readonly name: string
  readonly codes: readonly Code[]
  readonly headers?: Response['headers'] | undefined
}

/** Returns the responses that an operation may give in place of its own. */
export function errorResponses (answers: Answers, schemes: readonly DocumentedScheme[]): ErrorResponse[] {
  const { required, forbidden, crossOrigin, unavailable } = answers
  const responses: ErrorResponse[] = []
  const add = (status: number, name: string, codes: Code[], headers?: ErrorResponse['headers']): void => {
    responses.push({ status, name, codes, headers })
  }
  if (required) add(401, 'SessionRequired', ['FST_SESSION_REQUIRED'], { 'WWW-Authenticate': challenge(schemes) })
  if (forbidden && crossOrigin) add(403, 'SessionForbiddenOrCrossOrigin', ['FST_SESSION_FORBIDDEN', 'FST_SESSION_CROSS_ORIGIN'])
  else if (forbidden) add(403, 'SessionForbidden', ['FST_SESSION_FORBIDDEN'])
  else if (crossOrigin) add(403, 'SessionCrossOrigin', ['FST_SESSION_CROSS_ORIGIN'])
  if (unavailable) add(503, 'SessionUnavailable', ['FST_SESSION_STORE'], { 'Retry-After': RETRY_AFTER })
  return responses
}

/** @param errorSchema - the `$ref` of {@link ERROR_SCHEMA} */
export function responseOf ({ status, codes, headers }: ErrorResponse, errorSchema: string): Response {
  const example = (code: Code): object => ({ value: { statusCode: status, code, error: STATUS_CODES[status], message: MESSAGES[code] } })
  return {
    description: codes.map((code) => CAUSES[code]).join(' Or: '),
    ...(headers && { headers }),
    content: { 'application/json': { schema: { $ref: errorSchema }, examples: Object.fromEntries(codes.map((code) => [code, example(code)])) } }
  }
}

/** RFC 9110, 11.6.1, with the `Cookie` scheme of draft-broyer-http-cookie-auth. */
function challenge (schemes: readonly DocumentedScheme[]): object {
  return {
    description: 'Names the cookie that is missing.',
    schema: { type: 'string', maxLength: 8192, pattern: '^[ -~]+$' },
    examples: Object.fromEntries(schemes.map(({ name, cookie }) => [name, { value: `Cookie cookie-name="${cookie}"` }]))
  }
}

/** RFC 9110, 10.2.3. */
const RETRY_AFTER = {
  description: 'Seconds to wait before trying again.',
  schema: { type: 'integer', format: 'int32', minimum: 0, maximum: 86_400 }
}

/** Returns the `Set-Cookie` header (RFC 6265, 4.1) of responses that start, renew or end a session. */
export function setCookieHeader (schemes: readonly DocumentedScheme[]): object {
  const cookies = schemes.map(({ cookie }) => `\`${cookie}\``).join(' or ')
  return {
    description: `Present when this response starts, renews or ends a session: the cookie ${cookies}, always HttpOnly.`,
    schema: { type: 'string', maxLength: 8192, pattern: '^[!-~]+=[ -~]*$' }
  }
}
