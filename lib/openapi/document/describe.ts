import { statusOf } from '../../errors.js'
import type { Scheme } from '../../options/scheme.js'
import type { SecurityRequirement } from '../../routing/requirement.js'
import { ERROR_SCHEMA, errorResponses, errorsOf, isDocumented, requirementOf } from './errors.js'
import type { Components, OpenApiDocument, PlacedOperation, Response } from './openapi.js'
import { mapOperations, mapValues, operationsOf } from './openapi.js'

/** Returns a copy of an OpenAPI 3 document that describes `schemes`: with `Set-Cookie` and errors where an operation names one. */
export function describeSessions (document: OpenApiDocument, schemes: readonly Scheme[]): OpenApiDocument {
  const components = { ...document.components }
  const described = mapOperations({ ...document, components }, (placed) => describeOperation(placed, components, schemes, document.openapi))
  const ours = Object.fromEntries(schemes.map((scheme) => [scheme.name, securityScheme(document, scheme)]))
  components.securitySchemes = { ...components.securitySchemes, ...ours }
  return described
}

/** Returns a copy of a Swagger 2.0 document, which cannot describe cookies, without the alternatives that need a session. */
export function withoutSessions (document: OpenApiDocument, names: ReadonlySet<string>): OpenApiDocument {
  const isOpen = (requirement: SecurityRequirement): boolean => !Object.keys(requirement).some((name) => names.has(name))
  return mapOperations(document, ({ operation }) => operation.security && { ...operation, security: operation.security.filter(isOpen) })
}

/** Returns an operation with its sessions described, if it has any. Adds shared objects to `components`. `version` is that of OpenAPI. */
function describeOperation ({ operation, method }: PlacedOperation, components: Components, schemes: readonly Scheme[], version = '') {
  const { security = [] } = operation
  const requirement = requirementOf(security, (name) => schemes.some((scheme) => scheme.name === name))
  const sessions = schemes.filter(({ name }) => requirement.sessions.includes(name))
  if (sessions.length === 0) return undefined
  const shared = (header: object, name: string): object => ({ $ref: share(components, 'headers', name, header) })
  const cookies = schemes.map(({ cookie }) => `\`${cookie.name}\``).join(' or ')
  const description = `Present when this response starts, renews or ends a session: the cookie ${cookies}, always HttpOnly.`
  // RFC 6265, 4.1.
  const cookieHeader = { description, schema: { type: 'string', maxLength: 8192, pattern: '^[!-~]+=[ -~]*$' } }
  const setCookie = { 'Set-Cookie': shared(cookieHeader, 'SessionCookie') }
  const common = mapValues(Object.assign({}, ...sessions.map(({ settings }) => settings.openapi.headers)) as Record<string, object>, shared)
  const responses = mapValues(operation.responses ?? {}, (response, status) =>
    response && withHeaders(response, { ...common, ...(/^[23]/.test(status) && setCookie) }, components))
  const missing = errorsOf(requirement, method, sessions).filter((code) => !isDocumented(statusOf[code], responses))
  const errorSchema = (): string => share(components, 'schemas', 'SessionError', ERROR_SCHEMA)
  for (const { status, name, response } of errorResponses(missing, schemes, errorSchema)) {
    responses[status] = { $ref: share(components, 'responses', name, withHeaders(response, common, components)) }
  }
  return { ...operation, ...writtenSecurity(security, requirement.sessions, version), responses }
}

/** Returns a copy of `security`. OpenAPI 3.0 allows no roles for an API key (4.8.30): an extension has the complete `security`. */
function writtenSecurity (security: readonly SecurityRequirement[], sessions: readonly string[], version: string): object {
  const copy = structuredClone(security)
  const hasRoles = security.some((requirement) => sessions.some((name) => requirement[name]?.length))
  if (!hasRoles || !version.startsWith('3.0')) return { security: copy }
  const without = copy.map((requirement) => mapValues(requirement, (roles, name) => sessions.includes(name) ? [] : roles))
  return { security: without, 'x-required-roles': copy }
}

/** Returns a copy of a response, or of the component that it refers to, with the headers that it lacks. */
function withHeaders (response: Response, more: Readonly<Record<string, object>>, { responses }: Components): Response {
  const name = /^#\/components\/responses\/([^/]+)$/.exec(response.$ref ?? '')?.[1] ?? ''
  const inlined = responses?.[name] as Response | undefined ?? response
  if (inlined.$ref !== undefined) return response
  const written = new Set(Object.keys(inlined.headers ?? {}).map((header) => header.toLowerCase()))
  const missing = Object.entries(more).filter(([header]) => !written.has(header.toLowerCase()))
  return missing.length === 0 ? response : { ...inlined, headers: { ...inlined.headers, ...Object.fromEntries(missing) } }
}

/** Adds a component and returns its `$ref`. If the app uses the name for another component, adds a number to the name. */
function share (components: Components, section: keyof Components, name: string, component: object): string {
  const isTaken = (by: object | undefined): boolean => by !== undefined && JSON.stringify(by) !== JSON.stringify(component)
  let free = name
  for (let count = 2; isTaken(components[section]?.[free]); count++) free = `${name}${count}`
  components[section] = { ...components[section], [free]: component }
  return `#/components/${section}/${free}`
}

/** Returns the Security Scheme Object (OpenAPI 3, 4.8.27): a cookie is an API key. Keeps the app's fields that no tool needs. */
function securityScheme (document: OpenApiDocument, scheme: Scheme): object {
  const { name, cookie, settings: { openapi: { description, decorator: _decorator, headers: _headers, ...operations } } } = scheme
  const own = { description: description ?? descriptionOf(document, scheme), ...document.components?.securitySchemes?.[name] }
  return { ...own, type: 'apiKey', in: 'cookie', name: cookie.name, 'x-session': operations }
}

function descriptionOf (document: OpenApiDocument, { cookie, settings: { openapi: { login, logout } } }: Scheme): string {
  const call = (operationId: string): string => {
    const found = operationsOf(document).find(({ operation }) => operation.operationId === operationId)
    return `the operation \`${operationId}\`${found === undefined ? '' : ` (\`${found.method} ${found.path}\`)`}`
  }
  const signIn = login === undefined ? 'sign in to this site in this browser' : `run ${call(login)}`
  const signOut = logout === undefined ? '' : ` To sign out, run ${call(logout)}.`
  return `A session, kept in the cookie \`${cookie.name}\`. To sign in, ${signIn}: the server sets the cookie, and the browser sends it with every request to this origin. No script can read or write it (HttpOnly), so it cannot be typed in here.${signOut}`
}
