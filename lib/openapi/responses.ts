import { STATUS_CODES } from 'node:http'
import type { Answers } from './answers.js'
import type { Response } from './openapi.js'
import type { DocumentedScheme } from './scheme.js'

/** What Fastify's own error handler writes for an error of this package. */
export const ERROR_SCHEMA = {
  type: 'object',
  description: 'An error, as Fastify writes it.',
  required: ['statusCode', 'code', 'error', 'message'],
  properties: {
    statusCode: { type: 'integer', description: 'The HTTP status.' },
    code: { type: 'string', description: 'Tells errors apart; it never changes.' },
    error: { type: 'string', description: 'The name of the HTTP status.' },
    message: { type: 'string', description: 'What went wrong, for people.' }
  }
} as const

/** One entry for `components.responses`: the status it is for, the name it would like to have, and what it says. */
export interface ErrorResponse {
  readonly status: string
  readonly name: string
  /** @param errorSchema - the `$ref` of {@link ERROR_SCHEMA} */
  response (errorSchema: string): Response
}

interface Cause {
  readonly code: string
  readonly when: string
  readonly message: string
}

const REQUIRED: Cause = {
  code: 'FST_SESSION_REQUIRED',
  when: 'There is no live session: sign in first.',
  message: 'This needs a live session. Sign in.'
}
const FORBIDDEN: Cause = {
  code: 'FST_SESSION_FORBIDDEN',
  when: 'The session does not permit this: a role, or another requirement of this operation, is missing.',
  message: 'This needs the role "admin".'
}
const CROSS_ORIGIN: Cause = {
  code: 'FST_SESSION_CROSS_ORIGIN',
  when: 'The request was sent by a page of another origin.',
  message: 'A page of another origin may not do this.'
}
const UNAVAILABLE: Cause = {
  code: 'FST_SESSION_STORE',
  when: 'The session cannot be loaded or saved at the moment: try again later. Nobody is signed out by this.',
  message: 'Sessions are not available at the moment. Try again in a few seconds.'
}

/** What an operation answers instead of its own responses. */
export function errorResponses (answers: Answers, schemes: readonly DocumentedScheme[]): ErrorResponse[] {
  const { required, forbidden, crossOrigin, unavailable } = answers
  const responses: ErrorResponse[] = []
  const add = (status: number, name: string, causes: Cause[], headers?: Response['headers']): void => {
    responses.push({ status: String(status), name, response: (errorSchema) => describe(status, causes, errorSchema, headers) })
  }
  if (required) add(401, 'SessionRequired', [REQUIRED], { 'WWW-Authenticate': challenge(schemes) })
  if (forbidden && crossOrigin) add(403, 'SessionForbiddenOrCrossOrigin', [FORBIDDEN, CROSS_ORIGIN])
  else if (forbidden) add(403, 'SessionForbidden', [FORBIDDEN])
  else if (crossOrigin) add(403, 'SessionCrossOrigin', [CROSS_ORIGIN])
  if (unavailable) add(503, 'SessionUnavailable', [UNAVAILABLE], { 'Retry-After': RETRY_AFTER })
  return responses
}

function describe (status: number, causes: readonly Cause[], errorSchema: string, headers?: Response['headers']): Response {
  const examples: Record<string, object> = Object.fromEntries(causes.map(({ code, message }) =>
    [code, { value: { statusCode: status, code, error: STATUS_CODES[status], message } }]))
  return {
    description: causes.map(({ when }) => when).join(' Or: '),
    ...(headers && { headers }),
    content: { 'application/json': { schema: { $ref: errorSchema }, examples } }
  }
}

/** RFC 9110, 11.6.1, with the `Cookie` scheme of draft-broyer-http-cookie-auth. */
function challenge (schemes: readonly DocumentedScheme[]): object {
  return {
    description: 'Names the cookie that is missing.',
    schema: { type: 'string' },
    examples: Object.fromEntries(schemes.map(({ name, cookie }) => [name, { value: `Cookie cookie-name="${cookie}"` }]))
  }
}

/** RFC 9110, 10.2.3. */
const RETRY_AFTER = { description: 'Seconds to wait before trying again.', schema: { type: 'string' } }

/** The `Set-Cookie` header (RFC 6265, 4.1) of responses that start, renew or end a session. */
export function setCookieHeader (schemes: readonly DocumentedScheme[]): object {
  const cookies = schemes.map(({ cookie }) => `\`${cookie}\``).join(' or ')
  return {
    description: `Present when this response starts, renews or ends a session: the cookie ${cookies}, always HttpOnly.`,
    schema: { type: 'string' }
  }
}
