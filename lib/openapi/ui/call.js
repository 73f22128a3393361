/** @import { Input, Operation, Outcome, Spec, System, Value } from './types.js' */

/**
 * Builds the request of an operation as "Try it out" does. Server, base path, credentials of other schemes and interceptors come from
 * Swagger UI. The browser adds the session's cookie.
 * @type {(system: System, spec: Spec, found: Operation, sessions: ReadonlyMap<string, unknown>, input: Input) => any}
 */
export function requestOf (system, spec, { path, method, operation, pathItem }, sessions, input) {
  const { credentials, stays = false, contentType, values = [] } = input
  const { fn, specSelectors, oas3Selectors, authSelectors, getConfigs } = system
  const { requestInterceptor, responseInterceptor } = getConfigs()
  const { parameters: shared, servers } = pathItem
  // `withBody` writes the body. Swagger UI would turn the text "1e3" of a form field into the number 1000.
  const bare = { ...operation, operationId: 'it', requestBody: undefined }
  // The reader's choice in the "Servers" box, as Swagger UI's executeRequest reads it.
  const namespace = `${path}:${method}`
  const server = oas3Selectors.selectedServer(namespace) || oas3Selectors.selectedServer()
  const own = oas3Selectors.serverVariables({ server, namespace }).toJS()
  // The sessions' entries are placeholders.
  const isOther = (/** @type {unknown} */ _entry, /** @type {string} */ name) => !sessions.has(name)
  const others = authSelectors.authorized().filter(isOther).toJS()
  const request = fn.buildRequest({
    spec: { ...spec, paths: { [path]: { servers, parameters: shared, [method]: bare } } },
    operationId: 'it',
    parameters: Object.fromEntries(values.map(({ field, value }) => [`${field.in}.${field.name}`, value])),
    contextUrl: new URL(specSelectors.url(), document.baseURI).href,
    responseContentType: 'application/json, text/plain, */*',
    http: fn.fetch,
    securities: credentials ? { authorized: others } : {},
    requestInterceptor,
    responseInterceptor,
    server,
    serverVariables: Object.keys(own).length > 0 ? own : oas3Selectors.serverVariables({ server }).toJS()
  })
  // A redirect could take the credentials, in a header, to any origin.
  if (stays && Object.keys(others).length > 0) request.redirect = 'error'
  return contentType === undefined ? request : withBody(request, contentType, values)
}

/** @type {(request: any, contentType: string, values: Value[]) => any} */
function withBody (request, contentType, values) {
  const whole = values.find(({ field }) => field.in === 'whole')
  const named = values.filter(({ field }) => field.in === 'body')
  const headers = { ...request.headers, 'Content-Type': contentType }
  const isMultipart = contentType.startsWith('multipart/form-data')
  if (!isMultipart && !contentType.startsWith('application/x-www-form-urlencoded')) {
    const properties = named.map(({ field, value }) => [field.name, value])
    return { ...request, headers, body: JSON.stringify(whole === undefined ? Object.fromEntries(properties) : whole.value) }
  }
  const body = isMultipart ? new FormData() : new URLSearchParams()
  for (const { field, value } of named) body.append(field.name, typeof value === 'string' ? value : JSON.stringify(value))
  // The browser writes the Content-Type of FormData itself, with the boundary.
  return body instanceof FormData ? { ...request, body } : { ...request, headers, body: body.toString() }
}

/**
 * Sends a request through Swagger UI's client. Never rejects: without a response, the status is 0 and the message says why.
 * @type {(system: System, request: any) => Promise<Outcome>}
 */
export async function send (system, request) {
  const { ok, status, statusText, text, body } = await system.fn.fetch(request).catch(({ response, message }) =>
    response ?? { ok: false, status: 0, body: { message: `No response from ${new URL(request.url, document.baseURI).origin}: ${message}` } })
  const said = messageOf(body) ?? (typeof text === 'string' && text.length < 200 && !/[<{]/.test(text) ? text : '')
  return { ok, status, body, message: said === '' ? `The server responded with ${status} ${statusText}`.trim() : said }
}

/**
 * Returns the sentence of an error body: Fastify's `message`, problem details (RFC 9457), OAuth 2.0 (RFC 6749, 5.2).
 * @type {(body: any) => string | undefined}
 */
function messageOf (body) {
  return [body?.message, body?.detail, body?.error_description, body?.title, body?.error?.message, body?.error]
    .find((text) => typeof text === 'string' && text !== '')
}
