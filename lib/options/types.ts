import type { FastifyRequest } from 'fastify'
import type { SealedCookie } from '../backend/sealed.js'
import type { SessionEvent } from '../events/events.js'
import type { CrossOriginOptions } from '../routing/cross-origin.js'
import type { SecurityRequirement, Verifier } from '../routing/requirement.js'
import type { DataOf, InputOf } from '../session/schema/static.js'
import type { Awaitable, SessionStore } from '../store/store.js'
import type { CookieOptions } from './cookie.js'

/**
 * The session schemes of an app and the schemas of their data, to be augmented:
 * ```ts
 * declare module 'fastify-openapi-session' {
 *   interface SessionSchemas { session: typeof Visitor }
 * }
 * ```
 */
export interface SessionSchemas {}

/** The names of the schemes: those in `SessionSchemas`, or `session` if it is empty. */
export type SchemeName = keyof SessionSchemas extends never ? 'session' : keyof SessionSchemas & string

/** The type of the data of a scheme. */
export type SessionData<Name extends string> = Name extends keyof SessionSchemas ? DataOf<SessionSchemas[Name]> : Record<string, unknown>

/** The type of the data that a session of a scheme can start with. Keys with a default in the schema may be absent. */
export type SessionInput<Name extends string> = Name extends keyof SessionSchemas ? InputOf<SessionSchemas[Name]> : Record<string, unknown>

/** The types of the users that the option `user` returns, by scheme. Augment it like `SessionSchemas`: `{ session: User }`. */
export interface SessionUsers {}

/** The type of `request.session.user` of a scheme. */
export type SessionUser<Name extends string> = Name extends keyof SessionUsers ? SessionUsers[Name] : any

/** The type of the option `security`, for routes without their own. Augment it: `{ security: [{ session: [] }] }`. */
export interface SessionDefaults {}

type Frozen<T> = { readonly [Key in keyof T]: Frozen<T[Key]> }

/** The description of a session scheme in the OpenAPI document. */
export interface OpenApiOptions {
  /** The scheme's description. Default: a sentence that says how to sign in. */
  description?: string
  /** operationId of the operation that signs in. */
  login?: string
  /** operationId of the operation that returns the user who is signed in. */
  status?: string
  /** operationId of the operation that signs out. */
  logout?: string
  /** Name of the decorator of @fastify/swagger. Default `swagger`. */
  decorator?: string
  /** Header Objects by name, of other plugins, such as `RateLimit-Limit`. Added to operations that name the session. */
  headers?: Readonly<Record<string, object>>
}

/** The sessions of another plugin, for the option `adopt`. The entry point `migration` makes them. `Old` is what `find` returns. */
export interface Adoption<Old = any> {
  readonly cookieName: string
  /** Path and domain of the old cookie, if they were set. */
  readonly path?: string | undefined
  readonly domain?: string | undefined
  /** Returns the id of the old session in a cookie value (percent-decoded), `undefined` if the signature does not verify. */
  readonly identify: (value: string) => string | undefined
  /** Returns the old session, `undefined` or `null` if it has ended. Rejects if its store fails. */
  readonly find: (id: string) => Awaitable<Old | null | undefined>
  /** Ends the old session in its own store. Default: does nothing, for a session that lives in its cookie. */
  readonly forget?: (id: string) => Awaitable<void>
  /** Returns a text that is unique to the old session, if several ids lead to it. Default: the id that `identify` returned. */
  readonly id?: (old: Old, id: string) => string
  /** Returns the data of the new session. `undefined` leaves the old session alone. Default: the old session. */
  readonly data?: ((old: Old) => unknown) | undefined
  /** Returns when the user signed in, in epoch milliseconds. Default: unknown, so that a step-up asks for a login. */
  readonly authenticatedAt?: ((old: Old) => number | undefined) | undefined
  /** Returns the latest possible end of the old session, in epoch milliseconds. Default: that of a new session. */
  readonly expiresAt?: (old: Old) => number | undefined
}

/** Options of `register` for the scheme `Name`. Durations are in seconds. Functions receive frozen data. */
export interface SessionOptions<Name extends string = string, Data extends object = SessionData<Name>> {
  /** The name of the security scheme, and of the decorators of app and request. Default `session`. */
  scheme?: Name
  /** The schema of the data, checked at load and save: TypeBox, Standard Schema (Zod, ...), JSON Schema. Default: any object. */
  schema?: Name extends keyof SessionSchemas ? SessionSchemas[Name] : object
  /** The store of the sessions. Default: a `MemoryStore`, for tests and apps of one process. */
  store?: SessionStore | SealedCookie
  /** Name and attributes of the cookie. Default `__Host-session`, Secure, SameSite=Lax, Path=/; always HttpOnly. */
  cookie?: CookieOptions
  /** Seconds without a request after which a session ends. Default 1800. */
  idleTimeout?: number
  /** Seconds after which a session ends, even if it is in use. Default 43200. */
  absoluteTimeout?: number
  /** The time limit of a store call in seconds. After that, the response is 503. Default 2. */
  storeTimeout?: number
  /** The largest size of a session's data, in bytes of JSON. Default 1048576. */
  maxSize?: number
  /**
   * The largest number of live sessions of a principal. A login above the limit ends the sessions of the oldest logins. Default: 100
   * if the store counts sessions, otherwise no limit. If the option is set and the store does not count, each login lists them.
   */
  maxPerPrincipal?: number
  /** Returns the owner of a session, such as a user id. Then only a session with a principal satisfies a requirement. */
  principal?: (data: Data) => string | undefined
  /** Returns the roles of a session, for requirements such as `{ session: ['admin'] }`. `user` is the result of that option. */
  roles?: (data: Data, user: SessionUser<Name>) => readonly string[] | Promise<readonly string[]>
  /**
   * Checks each loaded session that has a principal, or every session without the option `principal`. Return `false` to end the
   * session, for example because the password was changed or the account was disabled.
   */
  verify?: (data: Data, request: FastifyRequest) => boolean | Promise<boolean>
  /**
   * Returns the user of a loaded session, which is then `request.session.user`. `null` and `undefined` end the session. Called once
   * per request, after `verify` and for the same sessions.
   */
  user?: (data: Data, request: FastifyRequest) =>
    Name extends keyof SessionUsers ? Awaitable<SessionUsers[Name] | null | undefined> : unknown
  /** Converts data of an older form to the schema. If they still do not fit, the session is reported and counts as absent. */
  migrate?: (data: unknown) => unknown
  /** The requirement of routes that have no `schema.security`. `security: []` on a route overrides it. */
  security?: SessionDefaults extends { security: infer Security } ? Frozen<Security> : readonly SecurityRequirement[]
  /** Functions that decide the security schemes that are not sessions, by scheme name. */
  verifiers?: Readonly<Record<string, Verifier>>
  /** The check that refuses unsafe requests from pages of other origins. `false` turns it off. */
  crossOrigin?: CrossOriginOptions | false
  /** The description in the OpenAPI document. */
  openapi?: OpenApiOptions
  /** Adopts the sessions of another plugin, so that users stay signed in. Keep it until those sessions have expired. */
  adopt?: Adoption
  /** Receives all session events, which never contain a secret. Errors that it throws are logged. */
  onEvent?: (event: SessionEvent, request: FastifyRequest | undefined) => void
  /** Returns the time in epoch milliseconds. Default `Date.now`. */
  now?: () => number
}

/** Options of `register`, by the scheme that they name. */
export type SessionPluginOptions = {
  [Name in SchemeName]: Name extends 'session' ? SessionOptions<Name> : SessionOptions<Name> & { scheme: Name }
}[SchemeName]
