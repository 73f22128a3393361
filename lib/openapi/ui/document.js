/** @import { Operation, Scheme, Spec } from './types.js' */

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options', 'head', 'trace']

/**
 * Follows `$ref`s inside the document (RFC 6901 in a URI fragment). Returns a node without `$ref` as it is.
 * @type {(spec: Spec, node: any) => any}
 */
export function resolveRef (spec, node) {
  // The limit ends references that form a circle.
  for (let hops = 0; hops < 32 && typeof node?.$ref === 'string'; hops++) {
    if (!node.$ref.startsWith('#/')) return {}
    node = pointer(spec, decoded(node.$ref.slice(1)))
  }
  return node ?? {}
}

/** @type {(text: string) => string} */
function decoded (text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Returns a value if it is a list, else an empty list: a document may come from any author. @type {(value: any) => any[]} */
export const listIn = (value) => Array.isArray(value) ? value : []

/** Returns a value if it is text. @type {(value: any) => string | undefined} */
export const textIn = (value) => typeof value === 'string' ? value : undefined

/**
 * Returns the value at a JSON Pointer (RFC 6901).
 * @type {(value: any, path: string) => any}
 */
export function pointer (value, path) {
  const names = path.split('/').slice(1).map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  return names.reduce((node, name) => node?.[name], value)
}

/** @type {(spec: Spec, operationId: string | undefined) => Operation | undefined} */
export function findOperation (spec, operationId) {
  if (operationId === undefined) return undefined
  for (const [path, pathItem] of Object.entries(spec.paths ?? {})) {
    const method = METHODS.find((name) => pathItem?.[name]?.operationId === operationId)
    if (method !== undefined) return { path, method, pathItem, operation: pathItem[method] }
  }
  return undefined
}

/**
 * Returns the cookie schemes of the document that have `x-session`. All other schemes keep Swagger UI's box.
 * @type {(spec: Spec) => Scheme[]}
 */
export function sessionSchemes (spec) {
  return Object.entries(spec.components?.securitySchemes ?? {}).flatMap(([name, reference]) => {
    const definition = resolveRef(spec, reference)
    const extension = definition['x-session']
    if (definition.type !== 'apiKey' || definition.in !== 'cookie' || extension == null || textIn(definition.name) === undefined) return []
    /** @type {Scheme} */
    const scheme = { name, cookie: definition.name }
    for (const role of /** @type {const} */ (['login', 'status', 'logout'])) {
      const operation = findOperation(spec, extension[role])
      // The status is requested without a click, so it must be a GET. The document may come from any author.
      if (operation !== undefined && (role !== 'status' || operation.method === 'get')) scheme[role] = operation
    }
    return [scheme]
  })
}

/**
 * Returns the document with roles in the `security` of its operations. OpenAPI 3.0 allows no roles there for a cookie scheme, so such a
 * document has them in an extension.
 * @type {(spec: Spec | undefined) => Spec | undefined}
 */
export function withRoles (spec) {
  if (spec?.paths === undefined) return spec
  const paths = mapValues(spec.paths, (pathItem) => mapValues(pathItem, (operation) => {
    const security = operation?.['x-required-roles']
    return Array.isArray(security) && security.every((need) => Object(need) === need) ? { ...operation, security } : operation
  }))
  return { ...spec, paths }
}

/** @type {(values: Record<string, any> | null, map: (value: any) => any) => Record<string, any>} */
function mapValues (values, map) {
  return Object.fromEntries(Object.entries(values ?? {}).map(([key, value]) => [key, map(value)]))
}
