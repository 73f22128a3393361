import { must, nearest, refuseUnknown } from '../errors.js'
import type { Scheme } from '../options/scheme.js'
import { readOrigins } from './cross-origin.js'
import { compileRequirement, type Requirement, type Verifier } from './requirement.js'

/** The options of a single route: `config: { session: { touch: false } }`. */
export interface SessionRouteConfig {
  /** `false` if a request does not count as activity, so that a page that polls does not keep the session alive. */
  touch?: boolean
  /** The largest age of the login in seconds. For an older login, the response is 401 (step-up, OWASP ASVS 5.0, 7.5.1). */
  maxAge?: number
  /** More origins whose pages may send unsafe requests to this route, such as an identity provider that posts a form. */
  crossOrigin?: { trusted: readonly string[] }
}

const KNOWN = ['touch', 'maxAge', 'crossOrigin'] satisfies Array<keyof SessionRouteConfig>

/** The options of a route that the plugin reads. `onRoute` hooks and requests have them. A not-found handler has no `url`. */
export type RouteFacts = Partial<Record<'method' | 'handler' | 'security', unknown>>
  & { url?: string | undefined, schema?: { security?: unknown } | undefined, config?: { session?: unknown } | undefined }

/** The compiled requirements and options of a route. */
export interface Plan extends ReturnType<typeof readRouteConfig> {
  readonly requirement: Requirement
  /** The schemes to load, in the order in which the route names them. */
  readonly schemes: readonly Scheme[]
}

export function nameOf ({ method, url }: RouteFacts): string {
  return url === undefined ? 'the not-found handler' : `route ${String(method)} ${url}`
}

/**
 * Compiles the plan of a route, `null` if nothing is required. Of two visible schemes with the same name, the first counts.
 * @throws `FST_SESSION_OPTIONS`, or what a getter of the app throws; the caller adds the name of the route
 */
export function compileRoute (route: RouteFacts, visible: readonly Scheme[]): Plan | null {
  must(route.security === undefined, '`security` stands outside of the schema, where it has no effect: write schema: { security: [...] }')
  // The default does not apply to not-found handlers, and not to routes for OPTIONS only: browsers send preflights without cookies.
  const takesDefault = route.url !== undefined && [route.method].flat().some((method) => method !== 'OPTIONS')
  const own = route.schema?.security
  const security = own === undefined && takesDefault ? visible.find(({ settings }) => settings.security)?.settings.security : own
  const config = route.config?.session ?? {}
  if (security === undefined || (Array.isArray(security) && security.length === 0)) {
    // On a route without a session, `config.session` may be for another plugin.
    const isOurs = KNOWN.some((key) => key in Object(config))
    must(!isOurs || readRouteConfig(config).maxAge === undefined, 'config.session.maxAge needs a session: add security: [{ session: [] }] to the schema of the route')
    return null
  }
  const requirement = compileRequirement(security, (name, scopes) => verifierOf(name, scopes, visible))
  const schemes = requirement.sessions.map((name) => visible.find((scheme) => scheme.name === name) as Scheme)
  return Object.freeze({ requirement, schemes, ...readRouteConfig(config) })
}

function verifierOf (name: string, [role]: readonly string[], visible: readonly Scheme[]): Verifier | undefined {
  const session = visible.find((scheme) => scheme.name === name)
  must(session === undefined || role === undefined || session.settings.roles !== undefined, `it requires the role "${role}", and the session "${name}" has no option roles: register it with roles: (data) => data.roles`)
  if (session !== undefined) return undefined
  const [verifier] = visible.flatMap(({ settings }) => settings.verifiers.get(name) ?? [])
  const meant = nearest(name, visible.flatMap(({ name, settings }) => [name, ...settings.verifiers.keys()]))
  const advice = meant === undefined
    ? `register a session with that name, or give the plugin verifiers: { ${JSON.stringify(name)}: (request, scopes) => boolean }`
    : `did you mean ${JSON.stringify(meant)}?`
  must(verifier !== undefined, `no session and no verifier is registered for the security scheme "${name}": ${advice}`)
  return verifier
}

/** Reads `config.session` of a route. @throws `FST_SESSION_OPTIONS`; the caller adds the name of the route */
function readRouteConfig (config: unknown) {
  must(typeof config === 'object', 'config.session must be an object such as { touch: false }. For a route without a session, write security: []')
  refuseUnknown(config as object, KNOWN, 'config.session.*')
  const { touch = true, maxAge, crossOrigin } = config as SessionRouteConfig
  must(typeof touch === 'boolean', 'config.session.touch must be true or false')
  must(maxAge === undefined || (typeof maxAge === 'number' && maxAge > 0), 'config.session.maxAge must be a positive number of seconds')
  return { touch, maxAge, trustedOrigins: readOrigins(crossOrigin, 'config.session.crossOrigin') }
}
