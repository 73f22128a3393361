/** @import { Operation, Scheme, Spec } from './types.js' */

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options', 'head', 'trace']

/**
 * Follows a `$ref` inside the document (RFC 6901 in a URI fragment); everything else is returned as it is.
 * @type {(spec: Spec, node: any) => any}
 */
export function resolveRef (spec, node) {
  // The bound stops documents whose references go in circles.
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

/** The list in a document, where it is one: any author's document may be shown. @type {(value: any) => any[]} */
export const listIn = (value) => Array.isArray(value) ? value : []

/** The text in a document, where it is one. @type {(value: any) => string | undefined} */
export const textIn = (value) => typeof value === 'string' ? value : undefined

/**
 * Returns what a JSON Pointer (RFC 6901) leads to.
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
 * The cookie schemes of the document that carry `x-session`. Others keep Swagger UI's own box.
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
      // The status is asked without a click: nothing but a GET may be sent so, whoever wrote the document.
      if (operation !== undefined && (role !== 'status' || operation.method === 'get')) scheme[role] = operation
    }
    return [scheme]
  })
}

/**
 * The document with the roles of each operation in its `security`. OpenAPI 3.0 has no place for them in a cookie scheme's
 * requirement, so they come in an extension there.
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
