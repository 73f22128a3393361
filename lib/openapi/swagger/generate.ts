import type { RouteOptions } from 'fastify'
import { invalidOptions, SessionError } from '../../errors.js'
import type { DeclaredRoute } from '../../routing/registry.js'
import type { SecurityRequirement } from '../../routing/requirement.js'
import { mapOperations, type OpenApiDocument, type Operation } from '../document/openapi.js'

type Copies = ReadonlyMap<RouteOptions, { readonly schema?: object, readonly config?: object }>

/** The copies that route objects show at the moment. The `onRoute` hook of @fastify/swagger received the same objects as ours. */
let shown: Copies = new Map()

/**
 * Makes it possible to replace `schema` and `config` of a route object temporarily by copies, even if the object is frozen later.
 * No request reads this object, because Fastify copies what it needs when the route is declared. While a copy is shown,
 * assignments are ignored.
 */
export function makeShowable (route: RouteOptions): void {
  for (const key of ['schema', 'config'] as const) {
    let own: unknown = route[key]
    const get = (): unknown => shown.get(route)?.[key] ?? own
    const set = (value: unknown): void => { if (!shown.has(route)) own = value }
    Object.defineProperty(route, key, { get, set, enumerable: true, configurable: true })
  }
}

/** Runs a function while route objects show copies. In it, a `transform` may ask for another document. */
function showing<T> (copies: Copies, run: () => T): T {
  const before = shown
  shown = copies
  try {
    return run()
  } finally {
    shown = before
  }
}

/**
 * Returns the document that @fastify/swagger starts from, `static` if it does not make its document from routes, or `undefined` if
 * it throws another error, as it will when the document is requested. @fastify/swagger passes the unfinished document to the
 * `swaggerTransform` in a route's config. So the routes show one that throws as soon as it has the document.
 * @throws `FST_SESSION_OPTIONS` if a route or the document names a scheme that is not defined
 */
export function peek (make: () => OpenApiDocument, routes: readonly DeclaredRoute[]): OpenApiDocument | 'static' | undefined {
  let base: OpenApiDocument | undefined
  const swaggerTransform = (seen: { openapiObject?: OpenApiDocument, swaggerObject?: OpenApiDocument }): never => {
    base = seen.openapiObject ?? seen.swaggerObject
    throw new Error('the document has been read')
  }
  const copies = new Map(routes.map(({ route }) => [route, { config: { ...route.config, swaggerTransform } }]))
  try {
    const document = showing(copies, make)
    return routes.length > 0 ? 'static' : document
  } catch (error) {
    if (error instanceof SessionError) throw error
    return base
  }
}

/** The key that takes `security` to its operation: a `transform` copies `x-` keys. `hidden` is its JSON while names are hidden. */
const MARK = 'x-fastify-openapi-session'
/** The key of the hidden session schemes in a requirement. `{ ...requirement }` copies symbols, and @fastify/swagger ignores them. */
const HIDDEN = Symbol('fastify-openapi-session.hidden')
type Hiding = SecurityRequirement & { readonly [HIDDEN]?: SecurityRequirement }
interface Marked extends Operation { security?: readonly Hiding[], [MARK]?: { hidden: string, security: readonly SecurityRequirement[] } }

/**
 * Generates the document. @fastify/swagger throws if `security` names a scheme that its document does not define, and no scheme can
 * be added to the document before it is finished. So @fastify/swagger is given copies of the routes' schemas in which the names of
 * session schemes are not enumerable. Afterwards the names are restored.
 * @throws `FST_SESSION_OPTIONS` naming a HEAD route whose `security` is frozen
 */
export function generate (make: () => OpenApiDocument, routes: readonly DeclaredRoute[], sessions: ReadonlySet<string>): OpenApiDocument {
  const copies = new Map(routes.flatMap(({ route, plan }) => {
    if (plan == null) return []
    const security = plan.requirement.alternatives.map((conditions) =>
      Object.fromEntries(conditions.map(({ scheme, scopes }) => [scheme, [...scopes]])))
    const hiding = security.map((alternative) => withHidden(alternative, sessions))
    return [[route, { schema: { ...route.schema, security: hiding, [MARK]: { security, hidden: JSON.stringify(hiding) } } }]]
  }))
  const attempt = (): OpenApiDocument => showing(copies, make)
  try {
    return restore(attempt())
  } catch (error) {
    return restore(hidingInHeadRoutes(attempt, routes, sessions, error))
  }
}

/** Returns a copy of a requirement in which the names of session schemes are not enumerable. */
function withHidden (requirement: SecurityRequirement, sessions: ReadonlySet<string>): Hiding {
  const hidden = Object.entries(requirement).filter(([name]) => sessions.has(name))
  const copy = { ...requirement, [HIDDEN]: Object.fromEntries(hidden) }
  for (const [name] of hidden) Object.defineProperty(copy, name, { enumerable: false })
  return copy
}

/**
 * Restores the `security` of each operation in a generated document, and removes the marks. A `transform` that copies through JSON
 * loses the names, but not the mark. If a `transform` changed `security`, its changes are kept.
 */
function restore (document: OpenApiDocument): OpenApiDocument {
  return mapOperations(document, ({ operation, method, item }) => {
    const get = item['get'] as Marked | undefined
    // @fastify/swagger copies a HEAD route with an operationId at its declaration. The copy lacks the mark and the default `security`.
    const isCopy = method === 'HEAD' && get?.[MARK] !== undefined && operation.operationId === `${get.operationId}-head`
    const { security, [MARK]: mark }: Marked = isCopy ? get : operation
    const { [MARK]: _, ...others } = operation
    if (security === undefined) return others
    if (JSON.stringify(security) === mark?.hidden) return { ...others, security: mark.security }
    return { ...others, security: security.map(({ [HIDDEN]: hidden, ...requirement }) => ({ ...hidden, ...requirement })) }
  })
}

/**
 * Runs a function while session names are hidden in the requirement objects of HEAD routes with an operationId. @fastify/swagger
 * copied these routes when they were declared, so it cannot be given other copies. Instead, the app's own requirement objects are
 * changed, by which no request is authorized.
 * @param cause - the error of the attempt without this
 */
function hidingInHeadRoutes<T> (run: () => T, routes: readonly DeclaredRoute[], sessions: ReadonlySet<string>, cause: unknown): T {
  const heads = routes.filter(({ route: { method, schema } }) => method === 'HEAD' && schema?.operationId !== undefined)
  const found = heads.flatMap(({ route: { url, schema } }) => schema?.security?.flatMap((requirement) =>
    Object.keys(requirement).filter((name) => sessions.has(name)).map((name) => ({ url, requirement, name }))) ?? [])
  if (found.length === 0 || !(cause instanceof SessionError)) throw cause
  const setEnumerable = (enumerable: boolean): void => {
    const [fixed] = found.filter(({ requirement, name }) => !Reflect.defineProperty(requirement, name, { enumerable }))
    if (fixed) throw invalidOptions(`@fastify/swagger cannot make the document: the \`security\` of HEAD ${fixed.url} names "${fixed.name}" and is frozen, by the app or by a \`transform\`. Define "${fixed.name}" in \`openapi.components.securitySchemes\`, or declare \`exposeHeadRoute: false\``, cause)
  }
  try {
    setEnumerable(false)
    return run()
  } finally {
    setEnumerable(true)
  }
}
