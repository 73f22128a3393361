import { SealedCookie } from './backend/sealed.js'
import { SessionError } from './errors.js'
import type { Plan, RouteFacts } from './registry.js'
import type { Scheme } from './scheme.js'
import { MemoryStore } from './store/memory.js'

/** All that is known of an app when it boots. */
export interface Configuration {
  /** The schemes that are looked at. */
  readonly schemes: readonly Scheme[]
  /** The routes that declare something, with what they ask for. */
  readonly routes: ReadonlyArray<{ readonly route: RouteFacts, readonly plan: Plan }>
  /** Whether it runs for its users: `NODE_ENV=production`. */
  readonly production: boolean
}

/** What is likely to be wrong, as a sentence that says what to write instead. */
export interface Warning {
  readonly scheme: string
  readonly sentence: string
}

/**
 * Looks at the whole configuration once, when all of it is known: what can only go wrong stops the boot, what is likely to
 * go wrong is told. (Options that are wrong by themselves were refused when the plugin was registered.)
 * @throws `FST_SESSION_OPTIONS`
 */
export function inspect (configuration: Configuration): Warning[] {
  return configuration.schemes.flatMap((scheme) => {
    refuseImpossible(scheme)
    return [...inProduction(scheme, configuration.production), ...acrossSites(scheme), ...outOfReach(scheme, configuration.routes)]
      .map((sentence) => ({ scheme: scheme.name, sentence }))
  })
}

/**
 * For a scheme that is registered after others, in whichever contexts of the app those are: beside each other, they meet
 * in the browser and in the store all the same.
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

function refuseImpossible ({ name, settings: { store, maxPerPrincipal } }: Scheme): void {
  if (store instanceof SealedCookie && maxPerPrincipal !== Infinity) {
    refuse(`the session "${name}" has maxPerPrincipal, and sealed cookies cannot be counted: take it out, or use a store`)
  }
  if (!(store instanceof SealedCookie) && store.lists === false && maxPerPrincipal !== Infinity) {
    refuse(`the session "${name}" has maxPerPrincipal, and its store cannot find the sessions of a principal: take it out, or use RedisStore or SqlStore`)
  }
}

function inProduction ({ name, cookie, settings: { store } }: Scheme, production: boolean): string[] {
  if (!production) return []
  return [
    ...(store instanceof MemoryStore
      ? [`NODE_ENV is production and the session "${name}" is kept in the memory of this process: a restart signs everybody out, and a second process knows nobody; use RedisStore, SqlStore, FileStore or sealedCookie`]
      : []),
    ...(cookie.secure ? [] : [`NODE_ENV is production and the cookie "${cookie.name}" is not Secure, so that anybody on the way can read it: serve https and take cookie.secure: false out`])
  ]
}

function acrossSites ({ name, settings: { cookie: { sameSite }, trustedOrigins } }: Scheme): string[] {
  if (sameSite !== 'none' || trustedOrigins !== undefined) return []
  return [`the cookie of the session "${name}" goes with requests from every site (sameSite "none") and crossOrigin: false checks none of them: write crossOrigin: { trusted: ["https://the-site.example"] }`]
}

function outOfReach (scheme: Scheme, routes: Configuration['routes']): string[] {
  const { name, cookie: { path } } = scheme
  const missed = routes.filter(({ route, plan }) => plan.schemes.includes(scheme) && !mayCover(path, route.url as string))
    .map(({ route }) => `${String(route.method)} ${route.url}`)
  if (missed.length === 0) return []
  const some = missed.slice(0, 3).join(', ') + (missed.length > 3 ? `, and ${missed.length - 3} more` : '')
  return [`browsers send the cookie of the session "${name}" to ${path} only, and it is declared by ${some}: set cookie.path: "/", or move the routes`]
}

/** Whether a cookie of a path may reach a route; where the route has a parameter it is given the benefit of the doubt. */
function mayCover (path: string, url: string): boolean {
  const fixed = url.split(/[:*]/, 1)[0] as string
  return covers(path, url) || (fixed !== url && path.startsWith(fixed))
}

/** Path-match of RFC 6265bis, 5.1.4. */
function covers (path: string, of: string): boolean {
  return of === path || of.startsWith(path.endsWith('/') ? path : `${path}/`)
}

function refuse (sentence: string): never {
  throw new SessionError('FST_SESSION_OPTIONS', sentence)
}
