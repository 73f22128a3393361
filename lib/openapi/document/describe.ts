import type { Scheme } from '../../options/scheme.js'
import type { SecurityRequirement } from '../../routing/requirement.js'
import { errorsOf, requirementOf } from './errors.js'
import { mapOperations, mapValues, operationsOf, type Components, type OpenApiDocument, type Operation, type PlacedOperation, type Response } from './openapi.js'
import { ERROR_SCHEMA, errorResponses, setCookieHeader } from './responses.js'

/**
 * Returns a copy of an OpenAPI 3 document that describes `schemes`. Each operation whose `security` names one of them gets the
 * `Set-Cookie` header and the error responses of the plugin. The copy shares unchanged objects with the original.
 */
export function describeSessions (document: OpenApiDocument, schemes: readonly Scheme[]): OpenApiDocument {
  const components = { ...document.components }
  const described = mapOperations(document, (placed) => describeOperation(placed, document, schemes, components))
  const ours = Object.fromEntries(schemes.map((scheme) => [scheme.name, securityScheme(document, scheme)]))
  return { ...described, components: { ...components, securitySchemes: { ...components.securitySchemes, ...ours } } }
}

/**
 * Returns a copy of a Swagger 2.0 document without the session schemes. Swagger 2.0 cannot describe them, because its API keys
 * cannot be cookies. Removes each alternative that needs a session as a whole, because the rest of it alone is not enough.
 */
export function withoutSessions (document: OpenApiDocument, names: ReadonlySet<string>): OpenApiDocument {
  return mapOperations(document, ({ operation }) => {
    const security = operation.security?.filter((requirement) => !Object.keys(requirement).some((name) => names.has(name)))
    return security === undefined ? operation : { ...operation, security }
  })
}

/** Returns an operation with its sessions described. Adds shared objects to `components`. */
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
 * Returns a copy of an operation's `security`. In OpenAPI 3.1, the requirement of an API key may name roles. In 3.0 that list
 * must be empty (4.8.30), so an extension has the complete `security`.
 */
function writtenSecurity (security: readonly SecurityRequirement[], sessions: readonly string[], { openapi }: OpenApiDocument): object {
  const hasRoles = security.some((requirement) => sessions.some((name) => (requirement[name] ?? []).length > 0))
  if (!hasRoles || !openapi?.startsWith('3.0')) return { security: structuredClone(security) }
  const without = security.map((requirement) => mapValues(requirement, (roles, name) => sessions.includes(name) ? [] : [...roles]))
  return { security: without, 'x-required-roles': structuredClone(security) }
}

/** Returns a copy of a response, or of the component that it refers to, with the headers that it lacks. */
function withHeaders (response: Response, more: Readonly<Record<string, object>>, document: OpenApiDocument): Response {
  const name = /^#\/components\/responses\/([^/]+)$/.exec(response.$ref ?? '')?.[1]
  const inlined = (name !== undefined && document.components?.responses?.[name] as Response | undefined) || response
  const written = Object.keys(inlined.headers ?? {}).map((header) => header.toLowerCase())
  const missing = Object.entries(more).filter(([header]) => !written.includes(header.toLowerCase()))
  if (missing.length === 0 || inlined.$ref !== undefined) return response
  return { ...inlined, headers: { ...inlined.headers, ...Object.fromEntries(missing) } }
}

/** Returns true if the app documents the status. A range and `default` count too, because Fastify serializes by them. */
function covers (responses: object, status: number): boolean {
  const documented = new Set(Object.keys(responses).map((key) => key.toUpperCase()))
  return [`${status}`, `${Math.floor(status / 100)}XX`, 'DEFAULT'].some((key) => documented.has(key))
}

/** Adds a component and returns its `$ref`. If the app uses the name for another component, adds a number to the name. */
function share (components: Components, section: keyof Components, name: string, component: object): string {
  const taken = components[section] ?? {}
  const text = JSON.stringify(component)
  let free = name
  for (let count = 2; taken[free] !== undefined && JSON.stringify(taken[free]) !== text; count++) free = `${name}${count}`
  components[section] = { ...taken, [free]: component }
  return `#/components/${section}/${free}`
}

/**
 * Returns the Security Scheme Object (OpenAPI 3, 4.8.27). In OpenAPI, a cookie is an API key. Keeps the app's own fields under the
 * same name, except those that tools depend on. `x-session` names the operations that sign in and out.
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
