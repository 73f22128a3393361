/** @import { Operation, Scheme, SessionExtension } from './types.js' */

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options', 'head', 'trace']

/**
 * Follows a `$ref` inside the document (RFC 6901 in a URI fragment); everything else is returned as it is.
 * @param {any} spec
 * @param {any} node
 * @returns {any}
 */
export function resolveRef (spec, node) {
  // The bound stops documents whose references go in circles.
  for (let hops = 0; hops < 32 && typeof node?.$ref === 'string'; hops++) {
    if (!node.$ref.startsWith('#/')) return {}
    node = pointer(spec, decodeURIComponent(node.$ref.slice(1)))
  }
  return node ?? {}
}

/**
 * @param {any} value
 * @param {string} path A JSON Pointer (RFC 6901).
 * @returns {any}
 */
export function pointer (value, path) {
  const names = path.split('/').slice(1).map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  return names.reduce((/** @type {any} */ node, name) => node?.[name], value)
}

/**
 * @param {any} spec
 * @param {string | undefined} operationId
 * @returns {Operation | undefined}
 */
export function findOperation (spec, operationId) {
  if (operationId === undefined) return undefined
  for (const [path, pathItem] of Object.entries(spec.paths ?? {})) {
    for (const method of METHODS) {
      const operation = /** @type {any} */ (pathItem)[method]
      if (operation?.operationId === operationId) return { path, method, pathItem, operation }
    }
  }
  return undefined
}

/**
 * The cookie schemes of the document that carry `x-session`. Others keep Swagger UI's own box.
 * @param {any} spec
 * @returns {Scheme[]}
 */
export function sessionSchemes (spec) {
  return Object.entries(spec?.components?.securitySchemes ?? {}).flatMap(([name, reference]) => {
    const definition = resolveRef(spec, reference)
    const extension = /** @type {SessionExtension | undefined} */ (definition['x-session'])
    if (definition.type !== 'apiKey' || definition.in !== 'cookie' || extension === undefined) return []
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
 * The requirement of an operation: its own `security` or the document's.
 * @param {any} spec
 * @param {string} path
 * @param {string} method
 * @returns {Array<Record<string, string[]>>}
 */
export function securityOf (spec, path, method) {
  return spec.paths?.[path]?.[method]?.security ?? spec.security ?? []
}

/**
 * The document with the roles of each operation in its `security`. OpenAPI 3.0 has no place for them in a cookie scheme's
 * requirement, so they come in an extension there.
 * @param {any} spec
 * @returns {any}
 */
export function withRoles (spec) {
  const paths = Object.entries(spec?.paths ?? {}).map(([path, pathItem]) => [path, mapMethods(pathItem, (operation) => {
    const security = operation['x-required-roles']
    return security === undefined ? operation : { ...operation, security }
  })])
  return spec?.paths === undefined ? spec : { ...spec, paths: Object.fromEntries(paths) }
}

/**
 * @param {any} pathItem
 * @param {(operation: any) => any} change
 */
function mapMethods (pathItem, change) {
  const operations = METHODS.filter((method) => pathItem?.[method] !== undefined).map((method) => [method, change(pathItem[method])])
  return { ...pathItem, ...Object.fromEntries(operations) }
}
