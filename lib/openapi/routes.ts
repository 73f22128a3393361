import type { RouteOptions } from 'fastify'
import type { SecurityRequirement } from '../security/requirement.js'
import type { DocumentedScheme } from './scheme.js'

/** One registered scheme, and the routes that can declare it: those declared after it, in its scope. */
export interface Registration {
  readonly scheme: DocumentedScheme
  readonly routes: ReadonlySet<RouteOptions>
  /** How many instances are around the one it was registered on: of two defaults for a route, the nearer one counts. */
  readonly depth: number
}

/** A route that declares a session scheme, or that the plugin's `security` stands in for. */
export interface GuardedRoute {
  readonly route: RouteOptions
  readonly security: readonly SecurityRequirement[]
  /** Whether the plugin's `security` stands in. */
  readonly isDefault: boolean
}

export function routesOf (registrations: readonly Registration[]): ReadonlySet<RouteOptions> {
  return new Set(registrations.flatMap(({ routes }) => [...routes]))
}

export function guardedRoutes (registrations: readonly Registration[]): GuardedRoute[] {
  const sessions = new Set(registrations.map(({ scheme }) => scheme.name))
  const defaults = registrations.filter(({ scheme }) => scheme.security !== undefined).sort((a, b) => b.depth - a.depth)
  return Array.from(routesOf(registrations)).flatMap((route): GuardedRoute[] => {
    const own = route.schema?.security
    if (own !== undefined) return [...schemesIn(own)].some((name) => sessions.has(name)) ? [{ route, security: own, isDefault: false }] : []
    // A browser asks with OPTIONS before it may send its cookies.
    if ([route.method].flat().every((method) => method === 'OPTIONS')) return []
    const security = defaults.find(({ routes }) => routes.has(route))?.scheme.security
    return security === undefined ? [] : [{ route, security, isDefault: true }]
  })
}

/** The names of all schemes, session or foreign, in a `security` list. */
export function schemesIn (security: readonly SecurityRequirement[] | undefined): Set<string> {
  return new Set(security?.flatMap((requirement) => Object.keys(requirement)))
}
