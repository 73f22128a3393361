import type { SecurityRequirement } from '../security/requirement.js'
import { mapOperations, type OpenApiDocument, type Operation } from './openapi.js'
import type { GuardedRoute } from './routes.js'

/** Carries the number of the route to its operation, through every copy that a `transform` makes: `x-` keys are copied. */
const MARK = 'x-fastify-openapi-session'

/**
 * @fastify/swagger throws when `security` names a scheme that its document does not define, and its document is out of
 * reach until it is finished. So while `generate` runs, which is synchronous, the names of the session schemes are not
 * enumerable in the requirements: @fastify/swagger overlooks them. It hands the same requirement objects on to the
 * document, where they stand complete as soon as the curtain is up again. That holds for copies of a route as well, which
 * @fastify/swagger makes of HEAD routes, since these share the requirements.
 *
 * No request sees any of this: it is over before one can be handled, and the routes themselves have long been built.
 */
export function generateBehindCurtain (
  generate: () => OpenApiDocument, routes: readonly GuardedRoute[], names: ReadonlySet<string>
): OpenApiDocument {
  const undo: Array<() => void> = []
  try {
    routes.forEach(({ route, security }, index) => {
      const requirements = security.every(isConfigurable) ? security : security.map((requirement) => ({ ...requirement }))
      for (const requirement of requirements) undo.push(...hideNames(requirement, names))
      const shown: object = { ...route.schema, security: requirements, [MARK]: String(index) }
      undo.push(replace(route, 'schema', shown))
    })
    return generate()
  } finally {
    for (const step of undo.toReversed()) step()
  }
}

/** Takes the marks out of a generated document, and gives each operation the `security` that its route has. */
export function settle (document: OpenApiDocument, routes: readonly GuardedRoute[], names: ReadonlySet<string>): OpenApiDocument {
  const settled = ({ [MARK]: mark, ...operation }: Operation): Operation => {
    const { security } = routes[Number(mark)] as GuardedRoute
    return lostNames(operation.security, security, names) ? { ...operation, security } : operation
  }
  return mapOperations(document, (operation, method, pathItem) => {
    if (operation[MARK] !== undefined) return settled(operation)
    const get = pathItem['get'] as Operation | undefined
    // The copy that @fastify/swagger makes of a HEAD route is older than the mark, and knows no default.
    if (method !== 'HEAD' || get?.[MARK] === undefined || operation.operationId !== `${get.operationId}-head`) return operation
    const { security } = settled(get)
    return security === undefined ? operation : { ...operation, security }
  })
}

/** Whether a `transform` copied the requirements, which left the names behind. What it changed on purpose stays. */
function lostNames (found: Operation['security'], security: readonly SecurityRequirement[], names: ReadonlySet<string>): boolean {
  const without = security.map((requirement) => Object.fromEntries(Object.entries(requirement).filter(([name]) => !names.has(name))))
  return JSON.stringify(found) === JSON.stringify(without)
}

function isConfigurable (requirement: SecurityRequirement): boolean {
  return Object.values(Object.getOwnPropertyDescriptors(requirement)).every(({ configurable }) => configurable)
}

function hideNames (requirement: SecurityRequirement, names: ReadonlySet<string>): Array<() => void> {
  return Object.keys(requirement).filter((name) => names.has(name)).map((name) => {
    Object.defineProperty(requirement, name, { enumerable: false })
    return () => { Object.defineProperty(requirement, name, { enumerable: true }) }
  })
}

/** Sets a property and gives back what undoes it. */
export function replace<T extends object, K extends keyof T> (target: T, key: K, value: T[K]): () => void {
  const before = Object.getOwnPropertyDescriptor(target, key)
  target[key] = value
  return () => {
    if (before === undefined) delete target[key]
    else Object.defineProperty(target, key, before)
  }
}
