import type { FastifyInstance } from 'fastify'
import { MemoryStore } from '../store/memory.js'
import type { Plan, RouteFacts } from '../routing/route.js'
import { covers } from './cookie.js'
import type { Scheme } from './scheme.js'

interface PlannedRoute { readonly route: RouteFacts, readonly plan: Plan }

/** Plugins to register before this one, and the effect on a 401 response if they are not. */
const FIRST: Readonly<Record<string, string>> = {
  '@fastify/cors': 'no CORS headers, and browsers report a CORS error in its place',
  '@fastify/helmet': 'none of the security headers'
}

/** Returns a function that yields the likely mistakes in the order of an app's registrations, from this call to its own. */
export function watchOrder (app: FastifyInstance): (sawNoRoute: boolean) => Generator<string> {
  const absent = Object.keys(FIRST).filter((plugin) => !app.hasPlugin(plugin))
  return function * (sawNoRoute) {
    if (sawNoRoute && app.printRoutes() !== '(empty tree)') yield 'all routes of the app were declared before fastify-openapi-session, so their security is checked at the first request only, and an OpenAPI document may lack them: write await app.register(sessionPlugin, ...) before the routes, and await before the register of @fastify/swagger too'
    for (const plugin of absent) if (app.hasPlugin(plugin)) yield `${plugin} was registered after fastify-openapi-session, so a 401 has ${FIRST[plugin]}: register ${plugin} first`
  }
}

/** Yields a sentence for each likely mistake of a scheme. @param routes - the routes that require something */
export function * mistakesOf (scheme: Scheme, routes: readonly PlannedRoute[]): Generator<string> {
  const { name, cookie, settings: { store, cookie: { sameSite }, trustedOrigins } } = scheme
  const production = process.env['NODE_ENV'] === 'production'
  if (production && store instanceof MemoryStore) yield `NODE_ENV is production and the session "${name}" is kept in the memory of this process: a restart signs every user out, and a second process has no sessions; use RedisStore, SqlStore, FileStore or sealedCookie`
  if (production && !cookie.secure) yield `NODE_ENV is production and the cookie "${cookie.name}" is not Secure, so that everyone on the network path can read it: serve https and take cookie.secure: false out`
  if (sameSite === 'none' && trustedOrigins === undefined) yield `the cookie of the session "${name}" goes with requests from every site (sameSite "none") and crossOrigin: false checks none of them: write crossOrigin: { trusted: ["https://the-site.example"] }`
  for (const [option, most] of [['idleTimeout', 30 * DAY], ['absoluteTimeout', 366 * DAY], ['storeTimeout', 120]] as const) {
    yield * inMilliseconds(`the session "${name}"`, option, scheme.settings[option] / 1000, most)
  }
  for (const route of routes) {
    if (route.plan.schemes[0] === scheme) yield * inMilliseconds(titleOf(route), 'config.session.maxAge', route.plan.maxAge ?? 0, 30 * DAY)
  }
  const missed = routes.filter(({ route, plan }) => plan.schemes.includes(scheme) && !mayCover(cookie.path, route.url as string))
  const some = missed.slice(0, 3).map(titleOf).join(', ') + (missed.length > 3 ? `, and ${missed.length - 3} more` : '')
  if (missed.length > 0) yield `browsers send the cookie of the session "${name}" to ${cookie.path} only, and it is declared by ${some}: set cookie.path: "/", or move the routes`
  yield * openToGuests(scheme, routes)
}

const DAY = 86_400

/** Finds a duration that is probably in milliseconds: a very long one, or a multiple of 60,000. */
function * inMilliseconds (of: string, option: string, seconds: number, most: number): Generator<string> {
  const isLikely = seconds >= 60_000 && seconds % 60_000 === 0 && seconds % DAY !== 0
  if (seconds <= most && !isLikely) return
  const [length, unit] = seconds < 2 * DAY ? [seconds / 3600, 'hours'] : [seconds / DAY, 'days']
  yield `${of} has ${option}: ${seconds}, which is ${Math.round(length)} ${unit}. Durations are in seconds, not milliseconds: half an hour is 1800`
}

/** Finds routes whose required session a guest may have too. Without the option `principal`, any live session is enough. */
function * openToGuests ({ name, codec, settings: { principal } }: Scheme, routes: readonly PlannedRoute[]): Generator<string> {
  if (principal !== undefined || codec.blank === undefined) return
  const naming = routes.filter(({ plan }) => plan.requirement.sessions.includes(name))
  const isOpen = ({ plan }: PlannedRoute): boolean => plan.requirement.alternatives.some((conditions) => conditions.length === 0)
  const asksNoRole = ({ plan }: PlannedRoute): boolean =>
    plan.requirement.alternatives.some((conditions) => conditions.every(({ scheme, scopes }) => scheme === name && scopes.length === 0))
  const guests = naming.find(isOpen)
  const members = naming.find((route) => !isOpen(route) && asksNoRole(route))
  if (guests === undefined || members === undefined) return
  yield `the session "${name}" has no option principal, so a session that a guest gets from ${titleOf(guests)} satisfies ${titleOf(members)}: give the plugin principal: (data) => data.userId`
}

function titleOf ({ route: { method, url } }: PlannedRoute): string { return `${String(method)} ${url}` }

/** Returns true if a cookie with a path may be sent to a route, also if that depends on a parameter of the route. */
function mayCover (path: string, url: string): boolean {
  const fixed = url.split(/[:*]/, 1)[0] as string
  return covers(path, url) || (fixed !== url && path.startsWith(fixed))
}
