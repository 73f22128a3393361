import type { RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import type { Requirement, SecurityRequirement } from '../../routing/requirement.js'
import { mapOperations, type OpenApiDocument, type Operation } from '../document/openapi.js'
import { showing } from './show.js'

/**
 * The route objects that the `onRoute` hooks received, with their compiled requirements. @fastify/swagger has the same objects.
 */
export type Routes = ReadonlyMap<RouteOptions, Requirement | undefined>

/**
 * Returns the document that @fastify/swagger starts from, without the operations of `routes`. Returns `static` if it does not make
 * its document from routes. @fastify/swagger passes the unfinished document to the `swaggerTransform` in a route's config, so
 * this function replaces that one temporarily by its own, which throws as soon as it has the document.
 */
export function peek (make: () => OpenApiDocument, routes: Routes): OpenApiDocument | 'static' {
  let base: OpenApiDocument | undefined
  const swaggerTransform = (seen: { openapiObject?: OpenApiDocument, swaggerObject?: OpenApiDocument }): never => {
    base = seen.openapiObject ?? seen.swaggerObject
    throw new Error('the document has been read')
  }
  const copies = new Map([...routes.keys()].map((route) => [route, { config: { ...route.config, swaggerTransform } }]))
  try {
    const document = showing(copies, make)
    return routes.size > 0 ? 'static' : document
  } catch (error) {
    if (base !== undefined) return base
    throw error
  }
}

/**
 * The key that takes the `security` of a route to its operation. A `transform` keeps it, because it copies `x-` keys. The value has
 * the `security`, and `shown`, its JSON while the session schemes are hidden.
 */
const MARK = 'x-fastify-openapi-session'

/**
 * The key of the hidden session schemes in a requirement. `{ ...requirement }` copies symbols, and @fastify/swagger ignores them.
 */
const HIDDEN = Symbol('fastify-openapi-session.hidden')

/**
 * Generates the document. @fastify/swagger throws if `security` names a scheme that its document does not define, and no scheme can
 * be added to the document before it is finished. So @fastify/swagger is given copies of the routes' schemas in which the names of
 * session schemes are not enumerable. Afterwards the names are restored.
 * @throws `FST_SESSION_OPTIONS` naming a HEAD route whose `security` is frozen
 */
export function generate (make: () => OpenApiDocument, routes: Routes, sessions: ReadonlySet<string>): OpenApiDocument {
  const copies = new Map([...routes].flatMap(([route, requirement]) => {
    if (requirement === undefined) return []
    const security = requirement.alternatives.map((conditions) =>
      Object.fromEntries(conditions.map(({ scheme, scopes }) => [scheme, [...scopes]])))
    const hiding = security.map((alternative) => withHidden(alternative, sessions))
    return [[route, { schema: { ...route.schema, security: hiding, [MARK]: { security, shown: JSON.stringify(hiding) } } }]]
  }))
  const attempt = (): OpenApiDocument => showing(copies, make)
  try {
    return restore(attempt())
  } catch (error) {
    if (!isAboutSchemes(error, sessions)) throw error
    return restore(hidingInHeadRoutes(attempt, routes, sessions, error))
  }
}

/** Returns a copy of a requirement in which the names of session schemes are not enumerable. */
function withHidden (requirement: SecurityRequirement, sessions: ReadonlySet<string>): SecurityRequirement {
  const hidden = Object.fromEntries(Object.entries(requirement).filter(([name]) => sessions.has(name)))
  const copy = { ...requirement, [HIDDEN]: hidden }
  for (const name of Object.keys(hidden)) Object.defineProperty(copy, name, { enumerable: false })
  return copy
}

/** Restores the `security` of each operation in a generated document, and removes the marks. */
function restore (document: OpenApiDocument): OpenApiDocument {
  return mapOperations(document, ({ operation, method, item }) => {
    const get = item['get'] as Operation | undefined
    // @fastify/swagger copies a HEAD route with an operationId at its declaration. The copy lacks the mark and the default `security`.
    const isCopy = method === 'HEAD' && get?.[MARK] !== undefined && operation.operationId === `${get.operationId}-head`
    const { [MARK]: _, ...others } = operation
    const security = restoredSecurity(isCopy ? get : operation)
    return security === undefined ? others : { ...others, security }
  })
}

function restoredSecurity ({ security, [MARK]: mark }: Operation): readonly SecurityRequirement[] | undefined {
  // A `transform` that copies through JSON loses the names. A `security` that it changed is kept.
  const { shown, security: required } = (mark ?? {}) as { shown?: string, security?: SecurityRequirement[] }
  if (required !== undefined && JSON.stringify(security) === shown) return required
  return security?.map((requirement: SecurityRequirement & { readonly [HIDDEN]?: SecurityRequirement }) => {
    const { [HIDDEN]: hidden, ...others } = requirement
    return { ...hidden, ...others }
  })
}

/** Returns true for the error that @fastify/swagger throws for a scheme that its document does not define. */
function isAboutSchemes (error: unknown, names: ReadonlySet<string>): error is TypeError {
  if (!(error instanceof TypeError)) return false
  const read = /\(reading '(.+)'\)$/.exec(error.message)?.[1] ?? ''
  return read === 'type' || names.has(read) || error.message.includes('securityDefinitions')
}

/**
 * Runs a function while session names are hidden in the requirement objects of HEAD routes with an operationId. @fastify/swagger
 * copied these routes when they were declared, so that it cannot be given other copies. The app's own requirement objects are
 * changed instead. No request is authorized by these objects.
 */
function hidingInHeadRoutes<T> (run: () => T, routes: Routes, sessions: ReadonlySet<string>, cause: TypeError): T {
  const found = [...routes.keys()].filter(({ method, schema }) => method === 'HEAD' && schema?.operationId !== undefined)
    .flatMap(({ url, schema }) => schema?.security?.flatMap((requirement) =>
      Object.keys(requirement).filter((name) => sessions.has(name)).map((name) => ({ url, requirement, name }))) ?? [])
  if (found.length === 0) throw cause
  const setEnumerable = (enumerable: boolean): void => {
    const [fixed] = found.filter(({ requirement, name }) => !Reflect.defineProperty(requirement, name, { enumerable }))
    if (fixed === undefined) return
    throw invalidOptions(`@fastify/swagger cannot make the document: the \`security\` of HEAD ${fixed.url} names "${fixed.name}" and is ` +
      `frozen, by the app or by a \`transform\`. Define "${fixed.name}" in \`openapi.components.securitySchemes\`, or declare ` +
      '`exposeHeadRoute: false`', cause)
  }
  try {
    setEnumerable(false)
    return run()
  } finally {
    setEnumerable(true)
  }
}

/**
 * Returns a clear error in place of the TypeError that @fastify/swagger throws for a scheme that its document does not define.
 * Returns any other error unchanged.
 * @param base - the document that @fastify/swagger starts from, if known
 */
export function clearerError (error: unknown, base: OpenApiDocument | undefined, routes: Routes, sessions: ReadonlySet<string>): unknown {
  const named = [...routes.values()].flatMap((requirement) => requirement?.alternatives.flat().map(({ scheme }) => scheme) ?? [])
  if (!isAboutSchemes(error, new Set([...sessions, ...named]))) return error
  const [option, defined = {}] = base?.swagger === undefined
    ? ['openapi.components.securitySchemes', base?.components?.securitySchemes]
    : ['swagger.securityDefinitions', base['securityDefinitions'] as object]
  const unknown = new Set(named.filter((name) => !sessions.has(name) && !Object.hasOwn(defined, name)).map((name) => JSON.stringify(name)))
  const reason = base !== undefined && unknown.size > 0
    ? `its option \`${option}\` has to define ${[...unknown].join(', ')}, which the \`security\` of a route names`
    : `a route that was declared before fastify-openapi-session, or the document's own \`security\`, names a scheme such as ${JSON.stringify([...sessions][0])}. ` +
      'Write `await app.register(sessionPlugin, ...)` before that route. What should hold for all routes goes into its own option `security`'
  return invalidOptions(`@fastify/swagger cannot make the document: ${reason}`, error)
}
