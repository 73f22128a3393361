import type { FastifyInstance, onRequestHookHandler, RouteOptions } from 'fastify'
import { SealedCookie } from '../backend/sealed.js'
import { invalidOptions, must } from '../errors.js'
import { covers } from '../options/cookie.js'
import type { Scheme } from '../options/scheme.js'
import { compileRoute, nameOf, type Plan, type RouteFacts } from './route.js'

const kRegistry = Symbol('fastify-openapi-session.registry')
/** The key of the `DeclaredRoute` in the `config` of a route that was declared after the plugin. */
export const kRoute = Symbol('fastify-openapi-session.route')

/** A route declared after the plugin. When the app is ready, its plan is compiled, and final. `null`: it requires nothing. */
export interface DeclaredRoute { readonly server: FastifyInstance, readonly route: RouteOptions, plan: Plan | null | undefined }

/** The `config` of a request's route. Fastify makes one object for each route and copies the symbols of the declared config. */
export type RouteConfig = object & { readonly [kRoute]?: DeclaredRoute }

/** The schemes of each app, from all its contexts, by its outermost instance. */
const schemesByApp = new WeakMap<FastifyInstance, Scheme[]>()

/** The session schemes of one Fastify instance. The schemes of its parent instances are visible too. */
export class Registry {
  readonly instance: FastifyInstance
  readonly own: Scheme[] = []
  readonly #routes: DeclaredRoute[] = []
  /** Plans of routes declared before the plugin, by their `config`, and of not-found handlers, by the handler. */
  readonly #earlyPlans = new WeakMap<object, Plan | null>()

  constructor (instance: FastifyInstance) {
    this.instance = instance
    Object.defineProperty(instance, kRegistry, { value: this })
    const routes = this.#routes
    instance.addHook('onRoute', function (route) {
      const declared: DeclaredRoute = { server: this, route, plan: undefined }
      routes.push(declared)
      route.config = { ...route.config, [kRoute]: declared } as NonNullable<RouteOptions['config']>
    })
  }

  /** Returns the registry of an instance, or of its nearest parent that has one. */
  static of (instance: FastifyInstance): Registry | undefined { return (instance as { [kRegistry]?: Registry })[kRegistry] }

  /** Adds a scheme. @throws `FST_SESSION_OPTIONS` if it clashes with another of the app: they share the browser, and may share a store */
  add (scheme: Scheme): void {
    const { name, cookie, settings: { store, security } } = scheme
    const app = outermost(this.instance)
    const all = schemesByApp.get(app) ?? []
    for (const other of all) {
      must(other.name !== name || !this.#visible.includes(other), `the session "${name}" is registered already, here or in a parent context: register the plugin once for each session. A second session needs its own name and cookie: scheme: "admin", cookie: { name: "__Host-admin" }`)
      must(!security || !other.settings.security || !this.own.includes(other), `the sessions "${other.name}" and "${name}" both have a default security: keep one of them, which may name both schemes`)
      const share = other.cookie.name === cookie.name && (covers(other.cookie.path, cookie.path) || covers(cookie.path, other.cookie.path))
      must(!share, other.name === name
        ? `the session "${name}" is registered in two contexts of the app with the cookie "${cookie.name}", and each would sign out of the other: register the plugin once, around both contexts`
        : `the sessions "${other.name}" and "${name}" both use the cookie "${cookie.name}", and each would sign out of the other: give one of them another cookie.name, such as "__Host-${name === 'session' ? other.name : name}"`)
      must(store instanceof SealedCookie || other.settings.store !== store, `the sessions "${other.name}" and "${name}" share one store, where signing a person out of one would sign out of both: give each its own, with another prefix, table or directory`)
    }
    schemesByApp.set(app, [...all, scheme])
    this.own.push(scheme)
  }

  /** Compiles the plans of all routes. @throws `FST_SESSION_OPTIONS` naming a route whose `security` cannot be enforced */
  compileAll (): readonly DeclaredRoute[] {
    for (const declared of this.#routes) {
      const { [kRoute]: found = declared } = (declared.route.config ?? {}) as RouteConfig
      // An onRoute hook may give a route the config of another, which would authorize it by the other route's plan.
      must(found.route === declared.route, `${nameOf(declared.route)}: an onRoute hook gave it the config of ${nameOf(found.route)}. Copy the keys that you need, and not the whole object`)
      planOf(declared)
    }
    return this.#routes
  }

  /** Returns the plan of a request's route, `null` if nothing is required. @throws `FST_SESSION_OPTIONS`, so that no request gets in */
  plan (route: RouteFacts): Plan | null {
    // Not-found handlers may share their `config`, but Fastify makes a separate function for each handler.
    const key = (route.url === undefined ? route.handler : route.config) as RouteConfig
    if (key[kRoute] !== undefined) return planOf(key[kRoute])
    if (!this.#earlyPlans.has(key)) this.#earlyPlans.set(key, this.compile(route))
    return this.#earlyPlans.get(key) as Plan | null
  }

  /** Compiles the plan of a route. @throws `FST_SESSION_OPTIONS` naming the route */
  compile (route: RouteFacts): Plan | null {
    try {
      return compileRoute(route, this.#visible)
    } catch (error) {
      throw invalidOptions(`${nameOf(route)}: ${error instanceof Error ? error.message : '`security` cannot be read'}`)
    }
  }

  /** The schemes of this instance and of those around it, from the nearest outwards. */
  get #visible (): readonly Scheme[] {
    const outer = Registry.of(Object.getPrototypeOf(this.instance) as FastifyInstance)
    return outer === undefined ? this.own : [...this.own, ...outer.#visible]
  }
}

/** Returns the plan of a declared route. The registry nearest to the route compiles it. */
function planOf (declared: DeclaredRoute): Plan | null {
  if (declared.plan === undefined) declared.plan = (Registry.of(declared.server) as Registry).compile(declared.route)
  return declared.plan
}

/** Returns the outermost instance of an app, from any of its contexts. */
export function outermost (app: FastifyInstance): FastifyInstance {
  const around = Object.getPrototypeOf(app) as FastifyInstance
  return typeof around.addHook === 'function' ? outermost(around) : app
}

/** Refuses routes that name a session outside of its context, where no hook guards them: at boot, or when they are requested. */
export function guardOutside (app: FastifyInstance, { own }: Registry): void {
  const refuse = (server: FastifyInstance, route: RouteFacts): void => {
    // A context with a registry refuses such routes when it compiles them.
    const security = Registry.of(server) === undefined ? route.schema?.security : undefined
    const named = Array.isArray(security) ? security.flatMap((requirement: unknown) => Object.keys(Object(requirement) as object)) : []
    const stray = own.find(({ name }) => named.includes(name))?.name
    must(stray === undefined, `${nameOf(route)} names the session "${stray}", which is registered in another context and does not guard it: wrap the plugin that registers it in fastify-plugin, or register it for the whole app`)
  }
  const refuseRequest: onRequestHookHandler = ({ server, routeOptions }, _reply, done) => {
    refuse(server, routeOptions)
    done()
  }
  const routes: Array<readonly [FastifyInstance, RouteFacts]> = []
  const around = outermost(app)
  around.addHook('onRoute', function (route) { routes.push([this, route]) })
  app.addHook('onReady', async () => { for (const route of routes) refuse(...route) })
  around.addHook('onRequest', refuseRequest)
  // reply.callNotFound() runs a not-found handler without its onRequest hooks.
  around.addHook('preHandler', refuseRequest)
}
