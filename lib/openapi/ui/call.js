/** @import { Operation } from './document.js' */
/** @import { Value } from './fields.js' */

/**
 * The parts of a request. `credentials` says where the credentials of other schemes, which the reader entered, may go: nowhere if it is
 * undefined. With `here`, the request follows no redirect if it has some.
 * @typedef {{ credentials?: 'here' | 'anywhere' | undefined, contentType?: string | undefined, values?: Value[] }} Input
 */

/**
 * Builds the request of an operation as "Try it out" does. Server, base path, credentials of other schemes and interceptors come from
 * Swagger UI. The browser adds the session's cookie.
 * @type {(system: any, spec: any, found: Operation, sessions: ReadonlyMap<string, unknown>, input: Input) => any}
 */
export function requestOf (system, spec, { path, method, operation, pathItem }, sessions, { credentials, contentType, values = [] }) {
  const { fn, specSelectors, oas3Selectors, authSelectors } = system
  const { requestInterceptor, responseInterceptor } = system.getConfigs()
  // `withBody` writes the body. Swagger UI would turn the text "1e3" of a form field into the number 1000.
  const bare = { ...operation, operationId: 'it', requestBody: undefined }
  // The reader's choice in the "Servers" box, as Swagger UI's executeRequest reads it.
  const namespace = `${path}:${method}`
  const server = oas3Selectors.selectedServer(namespace) || oas3Selectors.selectedServer()
  const variables = oas3Selectors.serverVariables({ server, namespace })
  // The sessions' entries are placeholders.
  const authorized = credentials === undefined ? {} : authSelectors.authorized().filterNot((_entry, name) => sessions.has(name)).toJS()
  const request = fn.buildRequest({
    spec: { ...spec, paths: { [path]: { servers: pathItem.servers, parameters: pathItem.parameters, [method]: bare } } },
    operationId: 'it',
    parameters: Object.fromEntries(values.map(({ field, value }) => [`${field.in}.${field.name}`, value])),
    contextUrl: new URL(specSelectors.url(), document.baseURI).href,
    responseContentType: 'application/json, text/plain, */*',
    http: fn.fetch,
    securities: { authorized },
    requestInterceptor, responseInterceptor, server,
    serverVariables: (variables.isEmpty() ? oas3Selectors.serverVariables({ server }) : variables).toJS()
  })
  // A redirect could take the credentials, in a header, to any origin.
  if (credentials === 'here' && Object.keys(authorized).length > 0) request.redirect = 'error'
  return contentType === undefined ? request : withBody(request, contentType, values)
}

/** @param {string} contentType @param {Value[]} values */
function withBody (request, contentType, values) {
  const whole = values.find(({ field }) => field.in === 'whole')
  const named = values.filter(({ field }) => field.in === 'body').map(({ field, value }) => /** @type {const} */ ([field.name, value]))
  const isEncoded = contentType.startsWith('application/x-www-form-urlencoded')
  const form = isEncoded ? new URLSearchParams() : contentType.startsWith('multipart/form-data') ? new FormData() : undefined
  for (const [name, value] of named) form?.append(name, typeof value === 'string' ? value : JSON.stringify(value))
  // The browser writes the Content-Type of FormData itself, with the boundary.
  if (form instanceof FormData) return { ...request, body: form }
  const body = form?.toString() ?? JSON.stringify(whole === undefined ? Object.fromEntries(named) : whole.value)
  return { ...request, body, headers: { ...request.headers, 'Content-Type': contentType } }
}

/** Builds a request and sends it through Swagger UI. Never rejects: without a response, the status is 0 and the message says why. */
export async function send ({ fn }, build) {
  try {
    const request = build()
    const { ok, status, statusText, text, body } = await fn.fetch(request).catch(({ response, message }) => {
      if (response !== undefined) return response
      throw new Error(`No response from ${new URL(request.url, document.baseURI).origin}: ${message}`)
    })
    const short = typeof text === 'string' && text.length < 200 && !/[<{]/.test(text) && text
    // The sentences of an error body: of Fastify, problem details (RFC 9457) or OAuth 2.0 (RFC 6749, 5.2).
    const sentences = [body?.message, body?.detail, body?.error_description, body?.title, body?.error?.message, body?.error, short]
    const found = sentences.find((sentence) => typeof sentence === 'string' && sentence !== '')
    return { ok, status, body, message: found ?? `The server responded with ${status} ${statusText}`.trim() }
  } catch (error) {
    return { ok: false, status: 0, message: /** @type {Error} */ (error).message }
  }
}
