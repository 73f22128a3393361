import type { SecurityRequirement } from '../security/requirement.js'
import { mapOperations, type OpenApiDocument, type Operation } from './openapi.js'
import type { GuardedRoute } from './routes.js'

/** Carries the number of the route to its operation, through every copy that a `transform` makes: `x-` keys are copied. */
const MARK = 'x-fastify-openapi-session'

/** Carries what is hidden in a requirement through `{ ...requirement }`, which copies symbols; @fastify/swagger overlooks them. */
const HIDDEN = Symbol('fastify-openapi-session.hidden')

type Curtained = SecurityRequirement & { readonly [HIDDEN]?: SecurityRequirement }

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
      const requirements = security.every(isOpen) ? security : security.map((requirement) => ({ ...requirement }))
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
  const settled = ({ [MARK]: mark, security: found, ...operation }: Operation, method: string): Operation => {
    const { security: own, isDefault } = routes[Number(mark)] as GuardedRoute
    const security = lostNames(found, own, names) ? own : found?.map(complete)
    // A default does not hold for OPTIONS, of a route that has other methods too.
    const holds = method !== 'OPTIONS' || !isDefault || JSON.stringify(security) !== JSON.stringify(own)
    return security !== undefined && holds ? { ...operation, security } : operation
  }
  return mapOperations(document, (operation, method, pathItem) => {
    if (operation[MARK] !== undefined) return settled(operation, method)
    const get = pathItem['get'] as Operation | undefined
    // The copy that @fastify/swagger makes of a HEAD route is older than the mark, and knows no default.
    if (method !== 'HEAD' || get?.[MARK] === undefined || operation.operationId !== `${get.operationId}-head`) return operation
    const { security } = settled(get, 'GET')
    return security === undefined ? operation : { ...operation, security }
  })
}

/** Whether a `transform` made copies that left the names behind, as JSON does. What it changed on purpose stays. */
function lostNames (found: Operation['security'], security: readonly SecurityRequirement[], names: ReadonlySet<string>): boolean {
  const without = security.map((requirement) => Object.fromEntries(Object.entries(requirement).filter(([name]) => !names.has(name))))
  return JSON.stringify(found) === JSON.stringify(without)
}

/** The requirement itself, or a copy with what was hidden when it was copied. */
function complete (requirement: Curtained): SecurityRequirement {
  const { [HIDDEN]: hidden, ...shown } = requirement
  return hidden === undefined ? requirement : { ...hidden, ...shown }
}

/** Whether names can be hidden in it, and found again. */
function isOpen (requirement: SecurityRequirement): boolean {
  const properties = Object.values(Object.getOwnPropertyDescriptors(requirement))
  return Object.isExtensible(requirement) && properties.every(({ configurable }) => configurable)
}

function hideNames (requirement: SecurityRequirement, names: ReadonlySet<string>): Array<() => void> {
  const hidden = Object.entries(requirement).filter(([name]) => names.has(name))
  if (hidden.length === 0) return []
  const show = (enumerable: boolean): void => { for (const [name] of hidden) Object.defineProperty(requirement, name, { enumerable }) }
  show(false)
  return [replace(requirement as Curtained, HIDDEN, Object.fromEntries(hidden)), () => show(true)]
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
