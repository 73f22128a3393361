import type { RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import type { SecurityRequirement } from '../../security/requirement.js'

interface Hideable {
  readonly route: RouteOptions
  readonly requirement: SecurityRequirement
  readonly name: string
}

/**
 * Hides session names in the requirement objects of HEAD routes that have an operationId, until the returned function is
 * called. @fastify/swagger copied these routes when they were declared, with the `security` of the app in them: there is no
 * other way to them. No request is judged by these objects.
 * @returns `undefined` if there is nothing to hide, or something that is frozen
 */
export function hideInHeadRoutes (routes: ReadonlyArray<{ route: RouteOptions }>, names: ReadonlySet<string>): (() => void) | undefined {
  const found = namedIn(routes, names)
  if (found.length === 0 || found.some(isFixed)) return undefined
  for (const { requirement, name } of found) Object.defineProperty(requirement, name, { enumerable: false })
  return () => {
    const stuck = found.filter(({ requirement, name }) => !Reflect.defineProperty(requirement, name, { enumerable: true }))
    if (stuck[0] !== undefined) throw invalidOptions(sentence(stuck[0]))
  }
}

/** Returns the sentence about the first HEAD route in which nothing can be hidden. */
export function fixedHeadRoute (routes: ReadonlyArray<{ route: RouteOptions }>, names: ReadonlySet<string>): string | undefined {
  const fixed = namedIn(routes, names).find(isFixed)
  return fixed && sentence(fixed)
}

/** Returns a route as messages name it. */
export function nameOf ({ method, url }: RouteOptions): string {
  return `${[method].flat().join(', ')} ${url}`
}

function namedIn (routes: ReadonlyArray<{ route: RouteOptions }>, names: ReadonlySet<string>): Hideable[] {
  return routes
    .filter(({ route: { method, schema } }) => method === 'HEAD' && schema?.operationId !== undefined)
    .flatMap(({ route }) => (route.schema?.security ?? []).flatMap((requirement) =>
      Object.keys(requirement).filter((name) => names.has(name)).map((name) => ({ route, requirement, name }))))
}

function isFixed ({ requirement, name }: Hideable): boolean {
  return Reflect.getOwnPropertyDescriptor(requirement, name)?.configurable !== true
}

function sentence ({ route, name }: Hideable): string {
  const session = JSON.stringify(name)
  return `the \`security\` of ${nameOf(route)} names ${session} and is frozen, by the app or by a \`transform\`. Define ${session} in ` +
    '`openapi.components.securitySchemes`, or declare `exposeHeadRoute: false`'
}
