import type { FastifyInstance, RouteOptions } from 'fastify'
import { invalidOptions, must } from '../errors.js'
import type { Scheme } from '../options/scheme.js'
import { compileRequirement, type Resolve } from './requirement.js'
import { isOurs, nameOf, ownSecurity, type Plan, readRouteConfig, type RouteFacts, takesDefault } from './route.js'

const kRegistry = Symbol('fastify-openapi-session.registry')
/** The key of the `DeclaredRoute` in the `config` of a route that was declared after the plugin. */
export const kRoute = Symbol('fastify-openapi-session.route')

/** A route that was declared after the plugin. Its plan is compiled when the app is ready, and does not change after that. */
export interface DeclaredRoute {
  readonly server: FastifyInstance
  readonly route: RouteOptions
  /** `undefined` until it is compiled, `null` for a route that requires nothing. */
  plan: Plan | null | undefined
}

/** The `config` of a request's route. Fastify makes one object for each route and copies the symbols of the declared config. */
export type RouteConfig = object & { readonly [kRoute]?: DeclaredRoute }

/** The session schemes of one Fastify instance. The schemes of its parent instances are visible too. */
export class Registry {
  readonly #instance: FastifyInstance
  readonly own: Scheme[] = []
  readonly #routes: DeclaredRoute[] = []
  /** Plans of routes declared before the plugin, by their `config`, and of not-found handlers, by the handler. */
  readonly #earlyPlans = new WeakMap<object, Plan | null>()

  constructor (instance: FastifyInstance) {
    this.#instance = instance
    Object.defineProperty(instance, kRegistry, { value: this })
    const routes = this.#routes
    instance.addHook('onRoute', function (route) {
      const declared: DeclaredRoute = { server: this, route, plan: undefined }
      routes.push(declared)
      route.config = { ...route.config, [kRoute]: declared } as NonNullable<RouteOptions['config']>
    })
  }

  /** Returns the registry of an instance, or of its nearest parent that has one. */
  static of (instance: FastifyInstance): Registry | undefined {
    return (instance as { [kRegistry]?: Registry })[kRegistry]
  }

  static isOwn (instance: FastifyInstance): boolean {
    return Object.hasOwn(instance, kRegistry)
  }

  /** Adds a scheme. @throws `FST_SESSION_OPTIONS` if the scheme, or another default `security`, is registered already */
  add (scheme: Scheme): void {
    const { name, settings: { security } } = scheme
    const isKnown = [...this.#visible()].some((other) => other.name === name)
    must(!isKnown, `the session "${name}" is registered already, here or in a parent context: register the plugin once for each session. A second session needs its own name and cookie: scheme: "admin", cookie: { name: "__Host-admin" }`)
    const before = this.own.find(({ settings }) => settings.security)
    must(!before || !security, `the sessions "${before?.name}" and "${name}" both have a default security: keep one of them, which may name both schemes`)
    this.own.push(scheme)
  }

  /** Compiles the plans of all routes. @throws `FST_SESSION_OPTIONS` naming a route whose `security` cannot be enforced */
  compileAll (): readonly DeclaredRoute[] {
    for (const declared of this.#routes) {
      refuseConfigOfAnother(declared)
      planOf(declared)
    }
    return this.#routes
  }

  /**
   * Returns the plan of a request's route, `null` if nothing is required.
   * @throws `FST_SESSION_OPTIONS` naming the route, so that a wrong `security` lets no request in
   */
  plan (route: RouteFacts): Plan | null {
    const isRoute = route.url !== undefined
    const declared = isRoute ? (route.config as RouteConfig)[kRoute] : undefined
    if (declared !== undefined) return planOf(declared)
    // Not-found handlers may share their `config`, but Fastify makes a separate function for each handler.
    const key = (isRoute ? route.config : route.handler) as object
    const early = this.#earlyPlans.get(key)
    if (early !== undefined) return early
    const plan = this.compile(route)
    this.#earlyPlans.set(key, plan)
    return plan
  }

  #compile (route: RouteFacts): Plan | null {
    must(route.security === undefined, '`security` stands outside of the schema, where it has no effect: write schema: { security: [...] }')
    const visible = [...this.#visible()]
    const own = ownSecurity(route)
    const security: unknown = own === undefined && takesDefault(route)
      ? visible.find(({ settings }) => settings.security !== undefined)?.settings.security
      : own
    if (security === undefined || (Array.isArray(security) && security.length === 0)) {
      const { maxAge } = isOurs(route.config) ? readRouteConfig(route.config) : {}
      must(maxAge === undefined, 'config.session.maxAge needs a session: add security: [{ session: [] }] to the schema of the route')
      return null
    }
    // If two schemes have the same name, the scheme of the nearest instance counts.
    const schemes = new Map(visible.toReversed().map((scheme) => [scheme.name, scheme]))
    const verifiers = new Map(visible.toReversed().flatMap(({ settings }) => [...settings.verifiers]))
    const resolve: Resolve = (name) => schemes.has(name) ? 'session' : verifiers.get(name)
    const requirement = compileRequirement(security, resolve, [...schemes.keys(), ...verifiers.keys()])
    for (const { scheme, scopes, verifier } of requirement.alternatives.flat()) {
      must(scopes.length === 0 || verifier !== undefined || schemes.get(scheme)?.settings.roles !== undefined, `it requires the role "${scopes[0]}", and the session "${scheme}" has no option roles: register it with roles: (data) => data.roles`)
    }
    const sessions = requirement.sessions.map((name) => schemes.get(name) as Scheme)
    return Object.freeze({ requirement, schemes: sessions, ...readRouteConfig(route.config) })
  }

  /** Returns the compiled plan of a route. @throws `FST_SESSION_OPTIONS` naming the route */
  compile (route: RouteFacts): Plan | null {
    try {
      return this.#compile(route)
    } catch (error) {
      throw invalidOptions(`${nameOf(route)}: ${error instanceof Error ? error.message : '`security` cannot be read'}`)
    }
  }

  /** Yields the visible schemes, from the nearest instance outwards. */
  * #visible (): Generator<Scheme> {
    yield * this.own
    const outer = Registry.of(Object.getPrototypeOf(this.#instance) as FastifyInstance)
    if (outer) yield * outer.#visible()
  }
}

/**
 * Refuses a route that got the config of another route from an `onRoute` hook, and would be authorized by the other route's plan.
 */
function refuseConfigOfAnother ({ route }: DeclaredRoute): void {
  const found = (route.config as RouteConfig | undefined)?.[kRoute]
  if (found === undefined || found.route === route) return
  throw invalidOptions(`${nameOf(route)}: an onRoute hook gave it the config of ${nameOf(found.route)}. Copy the keys that you need, and not the whole object`)
}

/** Returns the plan of a declared route. The registry nearest to the route compiles it. */
function planOf (declared: DeclaredRoute): Plan | null {
  if (declared.plan === undefined) declared.plan = (Registry.of(declared.server) as Registry).compile(declared.route)
  return declared.plan
}
