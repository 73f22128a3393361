import type { RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import type { Requirement, SecurityRequirement } from '../../routing/requirement.js'
import { mapOperations, type OpenApiDocument, type Operation } from '../document/openapi.js'
import { showing } from './show.js'

/** The routes, as the `onRoute` hooks received them and @fastify/swagger knows them, with what was compiled from their `security`. */
export type Routes = ReadonlyMap<RouteOptions, Requirement | undefined>

/**
 * Returns the document that a dynamic @fastify/swagger starts from, before the first of `routes`; `static` if its document
 * does not come from routes. The `swaggerTransform` of a route's config receives the unfinished document: the one that is
 * shown here stops the work as soon as it is called.
 */
export function peek (make: () => OpenApiDocument, routes: Routes): OpenApiDocument | 'static' {
  let base: OpenApiDocument | undefined
  const swaggerTransform = (seen: { openapiObject?: OpenApiDocument, swaggerObject?: OpenApiDocument }): never => {
    base = seen.openapiObject ?? seen.swaggerObject
    throw new Error('enough seen')
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
 * Carries what a route requires to its operation, through every copy that a `transform` makes: `x-` keys are copied. Its value is
 * the `security`, and `shown`, which is what remains of that in JSON while the session schemes are hidden.
 */
const MARK = 'x-fastify-openapi-session'

/** Carries the session schemes of a requirement through `{ ...requirement }`, which copies symbols. @fastify/swagger ignores them. */
const HIDDEN = Symbol('fastify-openapi-session.hidden')

/**
 * Generates the document. @fastify/swagger throws when `security` names a scheme that its document does not define, and the
 * document is out of reach until it is finished. So it reads copies of the routes' schemas, made from what the routes were
 * compiled to, in which the names of session schemes are not enumerable. Afterwards the names are put back.
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
    return settle(attempt())
  } catch (error) {
    if (!isAboutSchemes(error, sessions)) throw error
    return settle(hidingInHeadRoutes(attempt, routes, sessions, error))
  }
}

/** Returns a copy of a requirement in which the names of session schemes can be read, and are not enumerable. */
function withHidden (requirement: SecurityRequirement, sessions: ReadonlySet<string>): SecurityRequirement {
  const hidden = Object.fromEntries(Object.entries(requirement).filter(([name]) => sessions.has(name)))
  const copy = { ...requirement, [HIDDEN]: hidden }
  for (const name of Object.keys(hidden)) Object.defineProperty(copy, name, { enumerable: false })
  return copy
}

/** Takes the marks out of a generated document, and gives each operation the `security` that its route was compiled to. */
function settle (document: OpenApiDocument): OpenApiDocument {
  return mapOperations(document, ({ operation, method, item }) => {
    const get = item['get'] as Operation | undefined
    // @fastify/swagger copies a HEAD route that has an operationId when it is declared. The copy has no mark, and knows no default.
    const isCopy = method === 'HEAD' && get?.[MARK] !== undefined && operation.operationId === `${get.operationId}-head`
    const { [MARK]: _, ...others } = operation
    const security = settledSecurity(isCopy ? get : operation)
    return security === undefined ? others : { ...others, security }
  })
}

function settledSecurity ({ security, [MARK]: mark }: Operation): readonly SecurityRequirement[] | undefined {
  // A `transform` that copies through JSON loses the names. What it changed on purpose stays.
  const { shown, security: required } = (mark ?? {}) as { shown?: string, security?: SecurityRequirement[] }
  if (required !== undefined && JSON.stringify(security) === shown) return required
  return security?.map((requirement: SecurityRequirement & { readonly [HIDDEN]?: SecurityRequirement }) => {
    const { [HIDDEN]: hidden, ...others } = requirement
    return { ...hidden, ...others }
  })
}

/** Returns whether @fastify/swagger stumbled over a scheme that its document does not define. */
function isAboutSchemes (error: unknown, names: ReadonlySet<string>): error is TypeError {
  if (!(error instanceof TypeError)) return false
  const read = /\(reading '(.+)'\)$/.exec(error.message)?.[1] ?? ''
  return read === 'type' || names.has(read) || error.message.includes('securityDefinitions')
}

/**
 * Hides session names in the requirement objects of HEAD routes that have an operationId, while `run` runs. @fastify/swagger
 * copied these routes when they were declared, with the app's own `security` in them, so that it can be shown nothing else. No
 * request is judged by these objects.
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
 * Returns a sentence in place of the TypeError that @fastify/swagger throws when a requirement names a scheme that it does not
 * know. Returns any other error as it is.
 * @param base - what @fastify/swagger starts from, as far as it is known
 */
export function explain (error: unknown, base: OpenApiDocument | undefined, routes: Routes, sessions: ReadonlySet<string>): unknown {
  const named = [...routes.values()].flatMap((requirement) => requirement?.alternatives.flat().map(({ scheme }) => scheme) ?? [])
  if (!isAboutSchemes(error, new Set([...sessions, ...named]))) return error
  const [option, defined = {}] = base?.swagger === undefined
    ? ['openapi.components.securitySchemes', base?.components?.securitySchemes]
    : ['swagger.securityDefinitions', base['securityDefinitions'] as object]
  const unknown = new Set(named.filter((name) => !sessions.has(name) && !Object.hasOwn(defined, name)).map((name) => JSON.stringify(name)))
  const reason = base !== undefined && unknown.size > 0
    ? `its option \`${option}\` has to define ${[...unknown].join(', ')}, which \`security\` of a route names`
    : `a route that was declared before fastify-openapi-session, or the document's own \`security\`, names a scheme such as ${JSON.stringify([...sessions][0])}. ` +
      'Write `await app.register(sessionPlugin, ...)` before that route. What should hold for all routes goes into its own option `security`'
  return invalidOptions(`@fastify/swagger cannot make the document: ${reason}`, error)
}
