import type { FastifyInstance } from 'fastify'
import { SessionError } from './errors.js'
import { compileRequirement, type Requirement } from './security/requirement.js'
import type { Scheme } from './scheme.js'

const kDeclared = Symbol('fastify-openapi-session.declared')
const kRegistry = Symbol('fastify-openapi-session.registry')

type Scoped = object & { [kRegistry]?: Registry }

/** What a route asks of its requests, read from its options once. */
export interface Plan {
  readonly requirement: Requirement
  /** The schemes to load, in the order in which the route names them. */
  readonly schemes: readonly Scheme[]
  /** Whether reading a session here counts as activity. */
  readonly touch: boolean
  /** Seconds since the login after which the route asks for a new one. */
  readonly maxAge: number | undefined
}

/** The options of a route that matter here; `config` is one object per route and its key. */
export interface RouteFacts {
  readonly method?: string | readonly string[] | undefined
  readonly url?: string | undefined
  readonly schema?: unknown
  readonly config?: unknown
}

/**
 * The session schemes registered on one Fastify instance. Those of the instances around it are visible too, as with
 * everything that Fastify encapsulates.
 */
export class Registry {
  readonly #instance: FastifyInstance
  readonly #own = new Map<string, Scheme>()
  readonly #plans = new WeakMap<object, Plan>()
  #default: { readonly security: unknown } | undefined

  constructor (instance: FastifyInstance) {
    this.#instance = instance
    Object.defineProperty(instance, kRegistry, { value: this })
    instance.addHook('onRoute', (route) => {
      const { security } = route.schema ?? {}
      if (Array.isArray(security)) Object.assign(route, { config: { ...route.config, [kDeclared]: structuredClone(security) } })
    })
  }

  /** The registry nearest to an instance: its own or that of an instance around it. */
  static of (instance: FastifyInstance): Registry | undefined {
    return (instance as Scoped)[kRegistry]
  }

  static isOwn (instance: FastifyInstance): boolean {
    return Object.hasOwn(instance, kRegistry)
  }

  /** @throws `FST_SESSION_OPTIONS` when it cannot live beside a scheme that is there already */
  add (scheme: Scheme): void {
    for (const other of this.#visible()) {
      if (other.cookie.name === scheme.cookie.name) {
        throw new SessionError('FST_SESSION_OPTIONS', `the sessions "${other.name}" and "${scheme.name}" both use the cookie "${scheme.cookie.name}": give one of them another cookie.name`)
      }
    }
    if (scheme.settings.adopt?.cookieName === scheme.cookie.name) {
      throw new SessionError('FST_SESSION_OPTIONS', `adopt: the old sessions use the cookie "${scheme.cookie.name}" too: give this plugin's another cookie.name, the default __Host-session say`)
    }
    const before = [...this.#own.values()].find(({ settings }) => settings.security)
    if (before && scheme.settings.security) {
      throw new SessionError('FST_SESSION_OPTIONS', `the sessions "${before.name}" and "${scheme.name}" both give a default security: keep one, it may name both schemes`)
    }
    this.#own.set(scheme.name, scheme)
  }

  /**
   * The plan of a route for a request's method, `undefined` where nothing is asked. It is made at the first call and kept.
   * @throws `FST_SESSION_OPTIONS` naming the route, when its `security` cannot be kept: nothing is ever let through unread
   */
  plan (route: RouteFacts): Plan | undefined {
    const key = route.config as object
    const known = this.#plans.get(key)
    if (known !== undefined) return known
    const security = this.securityOf(route)
    if (security === undefined || (Array.isArray(security) && security.length === 0)) return undefined
    const plan = this.#compile(route, security)
    this.#plans.set(key, plan)
    return plan
  }

  /** For the boot: what a route asks for. @throws `FST_SESSION_OPTIONS` naming the route, when its `security` cannot be kept */
  check (route: RouteFacts): Plan | undefined {
    const security = this.securityOf(route)
    if (security !== undefined) return this.#compile(route, security)
    if (isOurs(route.config)) this.#read(route, () => routeConfig(route.config))
    return undefined
  }

  /** The schemes that were registered on this very instance. */
  get own (): readonly Scheme[] {
    return [...this.#own.values()]
  }

  /** A route's own `security`, or else the default of the nearest scheme that gives one. */
  securityOf (route: RouteFacts): unknown {
    const own = ownSecurity(route)
    // A browser asks with OPTIONS before it may send its cookies: a default that it can never satisfy would lock it out.
    if (own !== undefined || [route.method].flat().every((method) => method === 'OPTIONS')) return own
    // Asked for the first time when every scheme is registered, and for every request to an undeclared route after that.
    this.#default ??= { security: [...this.#visible()].find(({ settings }) => settings.security)?.settings.security }
    return this.#default.security
  }

  #compile (route: RouteFacts, security: unknown): Plan {
    const schemes = new Map<string, Scheme>()
    for (const scheme of this.#visible()) if (!schemes.has(scheme.name)) schemes.set(scheme.name, scheme)
    return this.#read(route, () => {
      const requirement = compileRequirement(security, (name) => schemes.has(name), (name) => this.verifier(name) !== undefined)
      for (const { scheme, scopes, foreign } of requirement.alternatives.flat()) {
        if (!foreign && scopes.length > 0 && schemes.get(scheme)?.settings.roles === undefined) {
          throw new Error(`it asks for the role "${scopes[0]}", and the session "${scheme}" has no option roles: register it with roles: (data) => data.roles`)
        }
      }
      const { touch = true, maxAge } = routeConfig(route.config)
      return { requirement, schemes: requirement.sessions.map((name) => schemes.get(name) as Scheme), touch, maxAge }
    })
  }

  /** Reads options of a route. What is wrong with them names it. */
  #read<T> (route: RouteFacts, read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw new SessionError('FST_SESSION_OPTIONS', `route ${String(route.method)} ${route.url}: ${(error as Error).message}`)
    }
  }

  /** Who decides a foreign scheme. */
  verifier (name: string): ReturnType<Scheme['settings']['verifiers']['get']> {
    for (const { settings: { verifiers } } of this.#visible()) {
      const verifier = verifiers.get(name)
      if (verifier) return verifier
    }
    return undefined
  }

  /** From the nearest instance outwards. */
  * #visible (): Generator<Scheme> {
    yield * this.#own.values()
    const outer = Registry.of(Object.getPrototypeOf(this.#instance))
    if (outer) yield * outer.#visible()
  }
}

function ownSecurity ({ schema, config }: RouteFacts): unknown {
  return (config as { [kDeclared]?: unknown } | undefined)?.[kDeclared] ?? (schema as { security?: unknown } | undefined)?.security
}

/** The options of a single route: `config: { session: { touch: false } }`. */
export interface SessionRouteConfig {
  /** `false`: reading the session here does not move its idle deadline, so that a page that polls keeps nobody signed in. */
  touch?: boolean
  /** Seconds: who signed in longer ago gets 401 and has to sign in again (step-up, OWASP ASVS 5.0, 7.5.1). */
  maxAge?: number
}

// Where no session is declared, `config.session` may be that of another plugin.
function isOurs (config: unknown): boolean {
  const session = Object((config as { session?: unknown } | undefined)?.session) as object
  return 'touch' in session || 'maxAge' in session
}

function routeConfig (config: unknown): SessionRouteConfig {
  const session: unknown = (config as { session?: unknown } | undefined)?.session ?? {}
  if (typeof session !== 'object') throw new Error('config.session must be an object such as { touch: false }; security: [] makes a route that has no session')
  const { touch, maxAge, ...others } = session as SessionRouteConfig
  if (touch !== undefined && typeof touch !== 'boolean') throw new Error('config.session.touch must be true or false')
  if (maxAge !== undefined && !(typeof maxAge === 'number' && maxAge > 0)) throw new Error('config.session.maxAge must be a positive number of seconds')
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) throw new Error(`there is no config.session.${unknown}; there are touch and maxAge`)
  return { ...(touch === undefined ? {} : { touch }), ...(maxAge === undefined ? {} : { maxAge }) }
}
