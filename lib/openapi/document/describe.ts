import type { Scheme } from '../../options/scheme.js'
import type { SecurityRequirement } from '../../routing/requirement.js'
import { errorsOf, requirementOf } from './errors.js'
import { mapOperations, mapValues, operationsOf, type Components, type OpenApiDocument, type Operation, type PlacedOperation, type Response } from './openapi.js'
import { ERROR_SCHEMA, errorResponses, setCookieHeader } from './responses.js'

/**
 * Returns an OpenAPI 3 document in which every operation that names one of `schemes` in its `security` says what follows:
 * the scheme, the cookie that is set, and the error responses of the plugin. The given document is not changed. Objects
 * that the schemes do not concern are shared with it.
 */
export function describeSessions (document: OpenApiDocument, schemes: readonly Scheme[]): OpenApiDocument {
  const components = { ...document.components }
  const described = mapOperations(document, (placed) => describeOperation(placed, document, schemes, components))
  const ours = Object.fromEntries(schemes.map((scheme) => [scheme.name, securityScheme(document, scheme)]))
  return { ...described, components: { ...components, securitySchemes: { ...components.securitySchemes, ...ours } } }
}

/**
 * Returns a Swagger 2.0 document without the session schemes, which it cannot describe: its API keys are never cookies. An
 * alternative that needs a session is left out as a whole, because the rest of it alone lets no request in.
 */
export function withoutSessions (document: OpenApiDocument, names: ReadonlySet<string>): OpenApiDocument {
  return mapOperations(document, ({ operation }) => {
    const security = operation.security?.filter((requirement) => !Object.keys(requirement).some((name) => names.has(name)))
    return security === undefined ? operation : { ...operation, security }
  })
}

/** @param components - receives what operations share */
function describeOperation (
  { operation, method }: PlacedOperation, document: OpenApiDocument, schemes: readonly Scheme[], components: Components
): Operation {
  const requirement = requirementOf(operation.security, (name) => schemes.some((scheme) => scheme.name === name))
  const sessions = schemes.filter(({ name }) => requirement.sessions.includes(name))
  if (sessions.length === 0) return operation

  const sharedHeader = (name: string, header: object): object => ({ $ref: share(components, 'headers', name, header) })
  const setCookie = { 'Set-Cookie': sharedHeader('SessionCookie', setCookieHeader(schemes)) }
  const ofOthers = sessions.flatMap(({ settings: { openapi: { headers = {} } } }) => Object.entries(headers))
  const common = Object.fromEntries(ofOthers.map(([name, header]) => [name, sharedHeader(name, header)]))
  const written = mapValues(operation.responses ?? {}, (response, status) =>
    response && withHeaders(response, { ...common, ...(/^[23]/.test(status) && setCookie) }, document))
  const responses = { ...written }
  const errorSchema = (): string => share(components, 'schemas', 'SessionError', ERROR_SCHEMA)
  for (const { status, name, response } of errorResponses(errorsOf(requirement, method, sessions), schemes, errorSchema)) {
    if (!covers(written, status)) responses[status] = { $ref: share(components, 'responses', name, withHeaders(response(), common, document)) }
  }
  return { ...operation, ...writtenSecurity(operation.security ?? [], requirement.sessions, document), responses }
}

/**
 * Returns a copy of an operation's `security`. OpenAPI 3.1 lets a requirement of an API key name roles. In 3.0 the list must
 * be empty (4.8.30), so there the complete list goes into an extension.
 */
function writtenSecurity (security: readonly SecurityRequirement[], sessions: readonly string[], { openapi }: OpenApiDocument): object {
  const hasRoles = security.some((requirement) => sessions.some((name) => (requirement[name] ?? []).length > 0))
  if (!hasRoles || !openapi?.startsWith('3.0')) return { security: structuredClone(security) }
  const without = security.map((requirement) => mapValues(requirement, (roles, name) => sessions.includes(name) ? [] : [...roles]))
  return { security: without, 'x-required-roles': structuredClone(security) }
}

/** Returns a response with more headers, for this operation alone if it is a `$ref` of the app. Those that it has are kept. */
function withHeaders (response: Response, more: Readonly<Record<string, object>>, document: OpenApiDocument): Response {
  const name = /^#\/components\/responses\/([^/]+)$/.exec(response.$ref ?? '')?.[1]
  const inlined = (name !== undefined && document.components?.responses?.[name] as Response | undefined) || response
  const written = Object.keys(inlined.headers ?? {}).map((header) => header.toLowerCase())
  const missing = Object.entries(more).filter(([header]) => !written.includes(header.toLowerCase()))
  if (missing.length === 0 || inlined.$ref !== undefined) return response
  return { ...inlined, headers: { ...inlined.headers, ...Object.fromEntries(missing) } }
}

/** Returns whether the app documented the status itself. Fastify serializes by ranges and `default` too, so both count. */
function covers (responses: object, status: number): boolean {
  const spoken = new Set(Object.keys(responses).map((key) => key.toUpperCase()))
  return [`${status}`, `${Math.floor(status / 100)}XX`, 'DEFAULT'].some((key) => spoken.has(key))
}

/** Adds a component, and returns its `$ref`. Its name gets the first number that the app has not given to another component. */
function share (components: Components, section: keyof Components, name: string, component: object): string {
  const taken = components[section] ?? {}
  const text = JSON.stringify(component)
  let free = name
  for (let count = 2; taken[free] !== undefined && JSON.stringify(taken[free]) !== text; count++) free = `${name}${count}`
  components[section] = { ...taken, [free]: component }
  return `#/components/${section}/${free}`
}

/**
 * Returns the Security Scheme Object (OpenAPI 3, 4.8.27): a cookie is an API key to OpenAPI. What the app wrote under the
 * same name is kept, except the facts that tools act upon. `x-session` names the operations that sign in and out.
 */
function securityScheme (document: OpenApiDocument, scheme: Scheme): object {
  const { name, cookie, settings: { openapi: { description, decorator: _decorator, headers: _headers, ...operations } } } = scheme
  return {
    description: description ?? descriptionOf(document, scheme),
    ...document.components?.securitySchemes?.[name],
    type: 'apiKey',
    in: 'cookie',
    name: cookie.name,
    'x-session': operations
  }
}

function descriptionOf (document: OpenApiDocument, { cookie, settings: { openapi: { login, logout } } }: Scheme): string {
  const operations = operationsOf(document)
  const call = (operationId: string): string => {
    const where = operations.find(({ operation }) => operation.operationId === operationId)
    return `the operation \`${operationId}\`${where === undefined ? '' : ` (\`${where.method} ${where.path}\`)`}`
  }
  const signIn = login === undefined ? 'sign in to this site in this browser' : `run ${call(login)}`
  return `A session, kept in the cookie \`${cookie.name}\`. To sign in, ${signIn}: the server sets the cookie, and the browser sends it with ` +
    'every request to this origin. No script can read or write it (HttpOnly), so it cannot be typed in here.' +
    (logout === undefined ? '' : ` To sign out, run ${call(logout)}.`)
}
