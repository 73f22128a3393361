import { SealedCookie } from '../backend/sealed.js'
import { invalidOptions } from '../errors.js'
import { MemoryStore } from '../store/memory.js'
import type { Condition } from '../routing/requirement.js'
import type { Plan, RouteFacts } from '../routing/route.js'
import type { Scheme } from './scheme.js'

interface PlannedRoute {
  readonly route: RouteFacts
  readonly plan: Plan
}

/** Everything that is known of an app when it boots. */
export interface Configuration {
  /** The schemes to check. */
  readonly schemes: readonly Scheme[]
  /** The routes that declare something, with their plans. */
  readonly routes: readonly PlannedRoute[]
  /** True if it runs for its users: `NODE_ENV=production`. */
  readonly production: boolean
  /** True if the app has routes, and all of them were declared before the plugin. */
  readonly isLast: boolean
  /** Those of {@link FIRST} that were registered after the plugin. */
  readonly late: readonly string[]
}

/** Plugins whose headers are absent from refusals if they are registered after this one, with the sentence about that. */
export const FIRST: Readonly<Record<string, string>> = {
  '@fastify/cors': 'no CORS headers, and browsers report a CORS error in its place',
  '@fastify/helmet': 'none of the security headers'
}

/** A likely mistake, as a sentence that says what to write instead. */
export interface Warning {
  readonly scheme: string
  readonly sentence: string
}

/**
 * Checks the whole configuration once, when all of it is known. What can only go wrong stops the boot; what is likely to go
 * wrong is returned. (Options that are wrong by themselves were refused when the plugin was registered.)
 * @throws `FST_SESSION_OPTIONS`
 */
export function inspect (configuration: Configuration): Warning[] {
  const { production, routes } = configuration
  return configuration.schemes.flatMap((scheme, index) => {
    refuseImpossible(scheme)
    return [
      ...(index === 0 ? inWrongOrder(configuration) : []),
      ...inProduction(scheme, production),
      ...acrossSites(scheme),
      ...inMilliseconds(scheme),
      ...outOfReach(scheme, routes),
      ...openToGuests(scheme, routes)
    ].map((sentence) => ({ scheme: scheme.name, sentence }))
  })
}

/**
 * Checks a scheme against those registered before it, in whichever contexts of the app: they share the browser and may share
 * a store.
 * @throws `FST_SESSION_OPTIONS`
 */
export function refuseClashes ({ name, cookie, settings: { store } }: Scheme, others: readonly Scheme[]): void {
  for (const other of others) {
    if (other.cookie.name === cookie.name && (covers(other.cookie.path, cookie.path) || covers(cookie.path, other.cookie.path))) {
      refuse(`two sessions, "${other.name}" and "${name}", use the cookie "${cookie.name}", and each would sign out of the other: give one another cookie.name, or register the plugin once around both contexts`)
    }
    if (other.settings.store === store && !(store instanceof SealedCookie)) {
      refuse(`the sessions "${other.name}" and "${name}" share one store, where signing a person out of one would sign out of both: give each its own, with another prefix, table or directory`)
    }
  }
}

function refuseImpossible ({ name, cookie, settings: { store, maxPerPrincipal, adopt } }: Scheme): void {
  if (adopt?.cookieName === cookie.name) refuse(`adopt: the old sessions use the cookie "${cookie.name}" too: give this plugin another cookie.name, such as the default __Host-session`)
  if (store instanceof SealedCookie && maxPerPrincipal !== undefined) {
    refuse(`the session "${name}" has maxPerPrincipal, and sealed cookies cannot be counted: take it out, or use a store`)
  }
  if (!(store instanceof SealedCookie) && store.lists === false && maxPerPrincipal !== undefined) {
    refuse(`the session "${name}" has maxPerPrincipal, and its store cannot find the sessions of a principal: take it out, or use RedisStore or SqlStore`)
  }
}

function inWrongOrder ({ isLast, late }: Configuration): string[] {
  return [
    ...(isLast
      ? ['all routes of the app were declared before fastify-openapi-session, so their security is checked at the first request only, and an OpenAPI document may lack them: write await app.register(sessionPlugin, ...) before the routes, and await before the register of @fastify/swagger too']
      : []),
    ...late.map((plugin) => `${plugin} was registered after fastify-openapi-session, so a 401 has ${FIRST[plugin]}: register ${plugin} first`)
  ]
}

function inProduction ({ name, cookie, settings: { store } }: Scheme, production: boolean): string[] {
  if (!production) return []
  return [
    ...(store instanceof MemoryStore
      ? [`NODE_ENV is production and the session "${name}" is kept in the memory of this process: a restart signs every user out, and a second process has no sessions; use RedisStore, SqlStore, FileStore or sealedCookie`]
      : []),
    ...(cookie.secure ? [] : [`NODE_ENV is production and the cookie "${cookie.name}" is not Secure, so that everyone on the network path can read it: serve https and take cookie.secure: false out`])
  ]
}

function acrossSites ({ name, settings: { cookie: { sameSite }, trustedOrigins } }: Scheme): string[] {
  if (sameSite !== 'none' || trustedOrigins !== undefined) return []
  return [`the cookie of the session "${name}" goes with requests from every site (sameSite "none") and crossOrigin: false checks none of them: write crossOrigin: { trusted: ["https://the-site.example"] }`]
}

/** Finds durations that were written in milliseconds. */
function inMilliseconds ({ name, settings: { idleTimeout, absoluteTimeout } }: Scheme): string[] {
  const DAY = 86_400_000
  return [
    ...(idleTimeout > 30 * DAY ? [`the session "${name}" has an idleTimeout of ${Math.round(idleTimeout / DAY)} days. Durations are in seconds, not milliseconds: half an hour is idleTimeout: 1800`] : []),
    ...(absoluteTimeout > 366 * DAY ? [`the session "${name}" has an absoluteTimeout of ${Math.round(absoluteTimeout / DAY)} days. Durations are in seconds, not milliseconds: twelve hours are absoluteTimeout: 43200`] : [])
  ]
}

function outOfReach (scheme: Scheme, routes: readonly PlannedRoute[]): string[] {
  const { name, cookie: { path } } = scheme
  const missed = routes.filter(({ route, plan }) => plan.schemes.includes(scheme) && !mayCover(path, route.url as string))
    .map(titleOf)
  if (missed.length === 0) return []
  const some = missed.slice(0, 3).join(', ') + (missed.length > 3 ? `, and ${missed.length - 3} more` : '')
  return [`browsers send the cookie of the session "${name}" to ${path} only, and it is declared by ${some}: set cookie.path: "/", or move the routes`]
}

/** Finds routes that require a session which a guest can have as well: without `principal`, every live session will do. */
function openToGuests ({ name, codec, settings: { principal } }: Scheme, routes: readonly PlannedRoute[]): string[] {
  if (principal !== undefined || codec.blank === undefined) return []
  const naming = routes.filter(({ plan }) => plan.schemes.some((scheme) => scheme.name === name))
  const isOpen = ({ plan }: PlannedRoute): boolean => plan.requirement.alternatives.some((conditions) => conditions.length === 0)
  const asksNoRole = ({ scheme, scopes }: Condition): boolean => scheme === name && scopes.length === 0
  const guests = naming.find(isOpen)
  const asksSessionOnly = ({ plan: { requirement } }: PlannedRoute): boolean =>
    requirement.alternatives.some((conditions) => conditions.every(asksNoRole))
  const members = naming.find((route) => !isOpen(route) && asksSessionOnly(route))
  if (guests === undefined || members === undefined) return []
  return [`the session "${name}" has no option principal, so a session that a guest gets from ${titleOf(guests)} satisfies ${titleOf(members)}: give the plugin principal: (data) => data.userId`]
}

function titleOf ({ route: { method, url } }: PlannedRoute): string {
  return `${String(method)} ${url}`
}

/** Returns whether a cookie of a path may reach a route; `true` where that depends on a parameter of the route. */
function mayCover (path: string, url: string): boolean {
  const fixed = url.split(/[:*]/, 1)[0] as string
  return covers(path, url) || (fixed !== url && path.startsWith(fixed))
}

/** Path-match of RFC 6265bis, 5.1.4. */
function covers (path: string, of: string): boolean {
  return of === path || of.startsWith(path.endsWith('/') ? path : `${path}/`)
}

function refuse (sentence: string): never {
  throw invalidOptions(sentence)
}
