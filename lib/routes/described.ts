import { ERROR_SCHEMA } from '../openapi/document/errors.js'

const text = (maxLength: number, more: object = { pattern: '\\S' }): object => ({ type: 'string', minLength: 1, maxLength, ...more })
const object = (properties: object, more: object = {}): object => ({ type: 'object', required: Object.keys(properties), properties, ...more })
const nothing = (description: string): object => ({ type: 'null', description })
// With its charset, the media type documents the body and chooses no serializer: the app's error handler may write another form.
const error = (description: string): object => ({
  description, content: { 'application/json; charset=utf-8': { schema: { ...ERROR_SCHEMA, required: ['statusCode', 'error', 'message'] } } }
})

const instant = { type: 'string', format: 'date-time', maxLength: 24 }
const session = (additionalProperties: boolean): object => object({
  id: text(64, { pattern: '\\S', description: 'Names the session. It signs no client in.' }),
  createdAt: instant,
  authenticatedAt: instant,
  expiresAt: instant,
  current: { type: 'boolean', description: 'True for the session of this request.' }
}, { additionalProperties })
const page = (additionalProperties: boolean): object => object(
  { sessions: { type: 'array', maxItems: 10_000, items: session(additionalProperties) }, cursor: text(1000) },
  { additionalProperties: false, required: ['sessions'], description: 'Your sessions. With `cursor`, there are more.' }
)
const user = (properties: object, additionalProperties: boolean): object =>
  object(properties, { description: 'The user of the session.', additionalProperties })

/** The responses of routes whose handler or option of the app may add properties. */
export const OPENED: Readonly<Record<string, object>> = { me: { 200: user({}, true) }, list: { 200: page(true) } }

function describe (method: string, url: string, operationId: string, summary: string, response: object, request: object = {}) {
  return { method, url, schema: { tags: ['session'], operationId, summary, response, ...request } }
}

/** The routes, with their descriptions in the OpenAPI document. */
export const ROUTES = {
  login: describe('POST', '/login', 'login', 'Sign in', {
    204: nothing('Signed in. The cookie of the session is set.'),
    400: error('The body does not fit its schema.'),
    401: error('The credentials are wrong.')
  }, { body: object({ username: text(200), password: text(200, { format: 'password' }) }) }),
  logout: describe('POST', '/logout', 'logout', 'Sign out', { 204: nothing('Signed out.') }),
  me: describe('GET', '/me', 'me', 'Who is signed in', {
    200: user({ principal: text(1000), roles: { type: 'array', maxItems: 1000, items: text(256) } }, false)
  }),
  list: describe('GET', '/sessions', 'listSessions', 'Where you are signed in', { 200: page(false) },
    { querystring: { type: 'object', properties: { cursor: text(1000, { pattern: '^[!-~]+$' }) } } }),
  revoke: describe('DELETE', '/sessions/:id', 'revokeSession', 'Sign out one session',
    { 204: nothing('You have no session with this id any longer.') }, { params: object({ id: text(64) }) }),
  revokeOthers: describe('DELETE', '/sessions', 'revokeOtherSessions', 'Sign out everywhere else', {
    200: object({ ended: { type: 'integer', format: 'int32', minimum: 0, maximum: 1_000_000 } }, { description: 'How many sessions ended.' })
  })
} as const

/** A page that asks who is signed in must not keep the session alive. */
export const UNTOUCHED = { session: { touch: false } }
/** The limit of attempts to sign in, and its response, if @fastify/rate-limit is registered. */
export const LIMIT = { rateLimit: { max: 10, timeWindow: 60_000 } }
export const LIMITED = { 429: error('Too many attempts. Try again later.') }
