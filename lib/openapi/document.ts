import type { SecurityRequirement } from '../security/requirement.js'
import { answersOf } from './answers.js'
import { mapOperations, mapValues, type ComponentMap, type Components, type OpenApiDocument, type Operation, type Response } from './openapi.js'
import { ERROR_SCHEMA, errorResponses, setCookieHeader } from './responses.js'
import { securityScheme, type DocumentedScheme } from './scheme.js'

type Section = 'schemas' | 'responses' | 'headers'

/**
 * An OpenAPI 3 document in which every operation that names one of `schemes` in its `security` tells what follows from it:
 * the scheme, the cookie that is set, and what the plugin may answer. The given document is not changed; of the result,
 * everything that does not concern the schemes is the same objects.
 */
export function describeSessions (document: OpenApiDocument, schemes: readonly DocumentedScheme[]): OpenApiDocument {
  const shared = sharedComponents(document.components ?? {})
  const described = mapOperations(document, (operation, method) => describeOperation(operation, method, { document, schemes, shared }))
  const securitySchemes = {
    ...document.components?.securitySchemes,
    ...Object.fromEntries(schemes.map((scheme) => [scheme.name, securityScheme(document, scheme)]))
  }
  return { ...described, components: { ...document.components, ...shared.added(), securitySchemes } }
}

interface Context {
  readonly document: OpenApiDocument
  readonly schemes: readonly DocumentedScheme[]
  readonly shared: SharedComponents
}

function describeOperation (operation: Operation, method: string, { document, schemes, shared }: Context): Operation {
  const { security } = operation
  const sessions = schemes.filter(({ name }) => security?.some((requirement) => Object.hasOwn(requirement, name)))
  if (security === undefined || sessions.length === 0) return operation

  const setCookie = { $ref: shared.reference('headers', 'SessionCookie', setCookieHeader(schemes)) }
  const written = mapValues(operation.responses ?? {}, (response, status) =>
    response && /^[23]/.test(status) ? withSetCookie(inlined(response, document), setCookie) : response)
  const responses: Record<string, Response | undefined> = { ...written }
  for (const { status, name, response } of errorResponses(answersOf(security, method, sessions), schemes)) {
    if (covers(written, status)) continue
    const errorSchema = shared.reference('schemas', 'SessionError', ERROR_SCHEMA)
    responses[status] = { $ref: shared.reference('responses', name, response(errorSchema)) }
  }
  return { ...operation, ...writtenSecurity(security, sessions, document), responses }
}

/**
 * OpenAPI 3.1 lets a requirement of an API key name roles. In 3.0 the list must be empty (4.8.30), so there the list goes
 * into an extension as it was written, and the roles are left out of `security`.
 */
function writtenSecurity (
  security: readonly SecurityRequirement[], sessions: readonly DocumentedScheme[], { openapi }: OpenApiDocument
): object {
  if (!openapi?.startsWith('3.0')) return {}
  const names = new Set(sessions.map(({ name }) => name))
  const without = security.map((requirement) => mapValues(requirement, (roles, name) => names.has(name) && roles.length > 0 ? [] : roles))
  return without.every((requirement, index) => requirement === security[index]) ? {} : { security: without, 'x-required-roles': structuredClone(security) }
}

/** A response that the app shares between operations becomes this operation's own before anything is added to it. */
function inlined (response: Response, document: OpenApiDocument): Response {
  const name = /^#\/components\/responses\/([^/]+)$/.exec(response.$ref ?? '')?.[1]
  return (name !== undefined && document.components?.responses?.[name] as Response | undefined) || response
}

function withSetCookie (response: Response, header: object): Response {
  const written = Object.keys(response.headers ?? {}).some((name) => name.toLowerCase() === 'set-cookie')
  return written || response.$ref !== undefined ? response : { ...response, headers: { ...response.headers, 'Set-Cookie': header } }
}

/** Whether the app documented the status itself. Fastify serializes by ranges and `default` as well, so these speak for it too. */
function covers (responses: object, status: string): boolean {
  const spoken = new Set(Object.keys(responses).map((key) => key.toUpperCase()))
  return [status, `${status[0]}XX`, 'DEFAULT'].some((key) => spoken.has(key))
}

interface SharedComponents {
  /** The `$ref` of a component, which is added when it is not there yet. */
  reference (section: Section, name: string, component: object): string
  added (): Pick<Components, Section>
}

function sharedComponents (present: Components): SharedComponents {
  const added: Partial<Record<Section, ComponentMap>> = {}
  return {
    added: () => added,
    reference (section, name, component) {
      const taken = added[section] ?? present[section] ?? {}
      const free = freeName(taken, name, component)
      added[section] = { ...taken, [free]: component }
      return `#/components/${section}/${free}`
    }
  }
}

/** `name`, or `name` with the first number that the app has not given to something else. */
function freeName (taken: ComponentMap, name: string, component: object): string {
  const text = JSON.stringify(component)
  let free = name
  for (let count = 2; taken[free] !== undefined && JSON.stringify(taken[free]) !== text; count++) free = `${name}${count}`
  return free
}
