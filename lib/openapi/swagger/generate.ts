import type { FastifySchema, RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import type { Requirement, SecurityRequirement } from '../../routing/requirement.js'
import { mapOperations, type OpenApiDocument, type Operation } from '../document/openapi.js'
import { hideInHeadRoutes } from './heads.js'
import { show } from './show.js'

/** A route and what it requires. */
export interface DocumentedRoute {
  /** The object that the `onRoute` hooks received: @fastify/swagger knows the route by it. */
  readonly route: RouteOptions
  /** The compiled `security` of the route, or of the plugin option that stands in for it. Undefined if the route requires nothing. */
  readonly requirement: Requirement | undefined
}

/** Carries the number of the route to its operation, through every copy that a `transform` makes: `x-` keys are copied. */
const MARK = 'x-fastify-openapi-session'

/** Carries the session schemes of a requirement through `{ ...requirement }`, which copies symbols. @fastify/swagger ignores them. */
const HIDDEN = Symbol('fastify-openapi-session.hidden')

/**
 * Generates the document. @fastify/swagger throws when `security` names a scheme that its document does not define, and the
 * document is out of reach until it is finished. So it reads copies of the routes' schemas, made from what the routes were
 * compiled to, in which the names of session schemes are not enumerable. {@link settle} puts the names back.
 * @throws `FST_SESSION_OPTIONS` naming a route object that cannot show a copy
 */
export function generate (make: () => OpenApiDocument, routes: readonly DocumentedRoute[], names: ReadonlySet<string>): OpenApiDocument {
  try {
    return showing(make, routes, names)
  } catch (error) {
    const undo = error instanceof TypeError ? hideInHeadRoutes(routes, names) : undefined
    if (undo === undefined) throw error
    try {
      return showing(make, routes, names)
    } finally {
      undo()
    }
  }
}

function showing (make: () => OpenApiDocument, routes: readonly DocumentedRoute[], names: ReadonlySet<string>): OpenApiDocument {
  const undo: Array<() => void> = []
  try {
    for (const [index, { route, requirement }] of routes.entries()) {
      if (requirement === undefined) continue
      const step = show(route, 'schema', { ...route.schema, security: hiding(requirement, names), [MARK]: String(index) } as FastifySchema)
      if (step === undefined) {
        throw invalidOptions(`the document cannot tell what ${[route.method].flat().join(', ')} ${route.url} requires, because its route ` +
          'object is frozen or sealed: leave the objects that onRoute hooks receive as they are')
      }
      undo.push(step)
    }
    return make()
  } finally {
    for (const step of undo.toReversed()) step()
  }
}

/** Takes the marks out of a generated document, and gives each operation the `security` that its route was compiled to. */
export function settle (document: OpenApiDocument, routes: readonly DocumentedRoute[], names: ReadonlySet<string>): OpenApiDocument {
  const settled = ({ [MARK]: mark, ...operation }: Operation): Operation => {
    const requirement = routes[Number(mark)]?.requirement
    const found = operation.security
    // A `transform` that copies through JSON loses the names. What it changed on purpose stays.
    const isUnchanged = requirement !== undefined && JSON.stringify(found) === JSON.stringify(hiding(requirement, names))
    const security = isUnchanged ? requirement.alternatives.map((conditions) => written(conditions)) : found?.map(complete)
    return security === undefined ? operation : { ...operation, security }
  }
  return mapOperations(document, (operation, method, pathItem) => {
    if (operation[MARK] !== undefined || operation.security?.some((requirement) => HIDDEN in requirement)) return settled(operation)
    const get = pathItem['get'] as Operation | undefined
    // @fastify/swagger copies a HEAD route that has an operationId when it is declared. The copy has no mark, and knows no default.
    if (method !== 'HEAD' || get?.[MARK] === undefined || operation.operationId !== `${get.operationId}-head`) return operation
    const { security } = settled(get)
    return security === undefined ? operation : { ...operation, security }
  })
}

type Conditions = Requirement['alternatives'][number]

/** Returns conditions as an alternative of `security`. */
function written (conditions: Conditions): SecurityRequirement {
  return Object.fromEntries(conditions.map(({ scheme, scopes }) => [scheme, [...scopes]]))
}

/** Returns a `security` in which the names of session schemes can be read, and are not enumerable. */
function hiding ({ alternatives }: Requirement, names: ReadonlySet<string>): SecurityRequirement[] {
  return alternatives.map((conditions) => {
    const requirement = written(conditions)
    const hidden = written(conditions.filter(({ scheme }) => names.has(scheme)))
    for (const name of Object.keys(hidden)) Object.defineProperty(requirement, name, { enumerable: false })
    return Object.assign(requirement, { [HIDDEN]: hidden })
  })
}

/** Returns a requirement with the names that it hides. */
function complete (requirement: SecurityRequirement & { readonly [HIDDEN]?: SecurityRequirement }): SecurityRequirement {
  const { [HIDDEN]: hidden, ...shown } = requirement
  return { ...hidden, ...shown }
}
