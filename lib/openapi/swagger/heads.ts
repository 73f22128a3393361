import type { RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import type { SecurityRequirement } from '../../routing/requirement.js'

type Routes = ReadonlyArray<{ readonly route: RouteOptions }>

/** A session name in a requirement object of the app. */
interface Named {
  readonly route: RouteOptions
  readonly requirement: SecurityRequirement
  readonly name: string
}

/**
 * Hides session names in the requirement objects of HEAD routes that have an operationId, until the returned function is
 * called. @fastify/swagger copied these routes when they were declared, with the app's own `security` in them, so that it can
 * be shown nothing else. No request is judged by these objects.
 * @returns `undefined` if there is nothing to hide, or if something is frozen
 */
export function hideInHeadRoutes (routes: Routes, names: ReadonlySet<string>): (() => void) | undefined {
  const found = namesIn(routes, names)
  if (found.length === 0 || fixedHeadRoute(routes, names) !== undefined) return undefined
  const enumerable = (value: boolean) => ({ requirement, name }: Named) => Reflect.defineProperty(requirement, name, { enumerable: value })
  found.forEach(enumerable(false))
  return () => {
    const stuck = found.find((each) => !enumerable(true)(each))
    if (stuck !== undefined) throw invalidOptions(sentence(stuck))
  }
}

/** Returns a sentence about the first of these HEAD routes in which nothing can be hidden. */
export function fixedHeadRoute (routes: Routes, names: ReadonlySet<string>): string | undefined {
  const fixed = namesIn(routes, names)
    .find(({ requirement, name }) => Reflect.getOwnPropertyDescriptor(requirement, name)?.configurable !== true)
  return fixed && sentence(fixed)
}

function namesIn (routes: Routes, names: ReadonlySet<string>): Named[] {
  return routes.filter(({ route: { method, schema } }) => method === 'HEAD' && schema?.operationId !== undefined)
    .flatMap(({ route }) => route.schema?.security?.flatMap((requirement) =>
      Object.keys(requirement).filter((name) => names.has(name)).map((name) => ({ route, requirement, name }))) ?? [])
}

function sentence ({ route: { url }, name }: Named): string {
  return `the \`security\` of HEAD ${url} names "${name}" and is frozen, by the app or by a \`transform\`. Define "${name}" in ` +
    '`openapi.components.securitySchemes`, or declare `exposeHeadRoute: false`'
}
