/** @typedef {{ path: string, method: string, pathItem: any, operation: any }} Operation `method` is in lower case, as in the document. */
/** @typedef {ReturnType<typeof sessionSchemes>[number]} Scheme An operation is undefined if the document does not name it. */

/** Follows `$ref`s inside the document (RFC 6901 in a URI fragment). Always returns an object. */
export function resolveRef (spec, node, hops = 0) {
  // The limit ends references that form a circle.
  if (typeof node?.$ref !== 'string' || hops === 32) return Object(node)
  try {
    return resolveRef(spec, node.$ref.startsWith('#/') ? pointer(spec, decodeURIComponent(node.$ref.slice(1))) : undefined, hops + 1)
  } catch {
    return {}
  }
}

/** Returns a value if it is a list, else an empty list: a document may come from any author. @returns {any[]} */
export const listIn = (value) => Array.isArray(value) ? value : []

/** Returns a value if it is text. @type {(value: any) => string | undefined} */
export const textIn = (value) => typeof value === 'string' ? value : undefined

/** Returns the alternatives of a `security` list: in each, lists of roles by scheme. */
export const alternativesIn = (security) => listIn(security).map((need) =>
  new Map(Object.entries(need ?? {}).map(([name, roles]) => [name, listIn(roles).filter((role) => typeof role === 'string')])))

/** Returns the value at a JSON Pointer (RFC 6901). @param {string} path */
export function pointer (value, path) {
  const names = path.split('/').slice(1).map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  return names.reduce((node, name) => node?.[name], value)
}

/** Returns the operations of the document, among other parts of its path items. @returns {Operation[]} */
function operationsIn (spec) {
  return Object.entries(spec?.paths ?? {}).flatMap(([path, pathItem]) =>
    Object.entries(pathItem ?? {}).map(([method, operation]) => ({ path, method, pathItem, operation })))
}

/** Returns the cookie schemes of the document that have `x-session`. All other schemes keep Swagger UI's box. */
export function sessionSchemes (spec) {
  const operations = operationsIn(spec)
  const find = (id) => operations.find(({ operation }) => id !== undefined && operation?.operationId === id)
  return Object.entries(spec.components?.securitySchemes ?? {}).flatMap(([name, reference]) => {
    const { type, in: place, name: cookie, 'x-session': ids } = resolveRef(spec, reference)
    if (type !== 'apiKey' || place !== 'cookie' || typeof cookie !== 'string' || ids == null) return []
    const status = find(ids.status)
    // The status is requested without a click, so it must be a GET. The document may come from any author.
    return [{ name, cookie, login: find(ids.login), status: status?.method === 'get' ? status : undefined, logout: find(ids.logout) }]
  })
}

/** Returns a copy of the document with the roles in `security`. OpenAPI 3.0 has them in an extension, because cookies have no roles. */
export function withRoles (spec) {
  const copy = structuredClone(spec)
  for (const { operation } of operationsIn(copy)) {
    const security = operation?.['x-required-roles']
    if (Array.isArray(security) && security.every((need) => Object(need) === need)) operation.security = security
  }
  return copy
}
