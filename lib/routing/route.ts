import { must } from '../errors.js'
import { refuseUnknown } from '../nearest.js'
import type { Scheme } from '../options/scheme.js'
import { readOrigins } from './cross-origin.js'
import type { Requirement } from './requirement.js'

/** The options of a single route: `config: { session: { touch: false } }`. */
export interface SessionRouteConfig {
  /** `false` if a request does not count as activity, so that a page that polls does not keep the session alive. */
  touch?: boolean
  /** The largest age of the login in seconds. For an older login, the response is 401 (step-up, OWASP ASVS 5.0, 7.5.1). */
  maxAge?: number
  /** More origins whose pages may send unsafe requests to this route, such as an identity provider that posts a form. */
  crossOrigin?: { trusted: readonly string[] }
}

/** The options of a route or a not-found handler that the plugin reads. `onRoute` hooks and requests have them. */
export interface RouteFacts {
  readonly method?: string | readonly string[] | undefined
  /** `undefined` for a not-found handler. */
  readonly url?: string | undefined
  readonly handler?: unknown
  readonly schema?: unknown
  /** A `security` outside of the schema, which is a mistake. */
  readonly security?: unknown
  readonly config?: unknown
}

/** The compiled requirements and options of a route. */
export interface Plan extends ReturnType<typeof readRouteConfig> {
  readonly requirement: Requirement
  /** The schemes to load, in the order in which the route names them. */
  readonly schemes: readonly Scheme[]
}

export function ownSecurity ({ schema }: RouteFacts): unknown {
  return (schema as { security?: unknown } | undefined)?.security
}

export function nameOf ({ method, url }: RouteFacts): string {
  return url === undefined ? 'the not-found handler' : `route ${String(method)} ${url}`
}

/**
 * Returns true if a default `security` applies to a route. It does not apply to not-found handlers, and not to routes for OPTIONS
 * only, because browsers send preflights without cookies.
 */
export function takesDefault ({ method, url }: RouteFacts): boolean {
  const methods = [method].flat()
  return url !== undefined && !(methods.length > 0 && methods.every((name) => name === 'OPTIONS'))
}

/** Returns true if `config.session` is for this plugin. On a route without a session, it may be for another plugin. */
export function isOurs (config: unknown): boolean {
  const session = Object((config as { session?: unknown } | undefined)?.session) as object
  return 'touch' in session || 'maxAge' in session || 'crossOrigin' in session
}

/** Reads `config.session` of a route. @throws `FST_SESSION_OPTIONS`; the caller adds the name of the route */
export function readRouteConfig (config: unknown) {
  const session: unknown = (config as { session?: unknown } | undefined)?.session ?? {}
  must(typeof session === 'object', 'config.session must be an object such as { touch: false }. For a route without a session, write security: []')
  refuseUnknown(session as object, ['touch', 'maxAge', 'crossOrigin'], 'config.session.*')
  const { touch = true, maxAge, crossOrigin } = session as SessionRouteConfig
  must(typeof touch === 'boolean', 'config.session.touch must be true or false')
  must(maxAge === undefined || (typeof maxAge === 'number' && maxAge > 0), 'config.session.maxAge must be a positive number of seconds')
  return { touch, maxAge, trustedOrigins: readOrigins(crossOrigin, 'config.session.crossOrigin') }
}
