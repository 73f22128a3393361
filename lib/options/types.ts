import type { FastifyRequest } from 'fastify'
import type { SealedCookie } from '../backend/sealed.js'
import type { SessionEvent } from '../events/events.js'
import type { Adoption } from '../migration/adoption.js'
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

/** Names of the schemes: those in `SessionSchemas`, or `session` while nothing is declared there. */
export type SchemeName = keyof SessionSchemas extends never ? 'session' : keyof SessionSchemas & string

/** The type of the data of a scheme. */
export type SessionData<Name extends string> = Name extends keyof SessionSchemas ? DataOf<SessionSchemas[Name]> : Record<string, unknown>

/** The type of the data that a session of a scheme can start with: what has a default in the schema may be absent. */
export type SessionInput<Name extends string> = Name extends keyof SessionSchemas ? InputOf<SessionSchemas[Name]> : Record<string, unknown>

/**
 * The users of the session schemes: what the option `user` returns, to be augmented:
 * ```ts
 * declare module 'fastify-openapi-session' {
 *   interface SessionUsers { session: User }
 * }
 * ```
 */
export interface SessionUsers {}

/** The type of `request.session.user` of a scheme. */
export type SessionUser<Name extends string> = Name extends keyof SessionUsers ? SessionUsers[Name] : any

type FoundUser<Name extends string> = Name extends keyof SessionUsers ? Awaitable<SessionUsers[Name] | null | undefined> : unknown

/**
 * The default of routes that have no `schema.security`, to be augmented with the type of the option `security`:
 * ```ts
 * declare module 'fastify-openapi-session' {
 *   interface SessionDefaults { security: [{ session: [] }] }
 * }
 * ```
 */
export interface SessionDefaults {}

type DefaultSecurity = SessionDefaults extends { security: infer Security } ? Frozen<Security> : readonly SecurityRequirement[]
type Frozen<T> = { readonly [Key in keyof T]: Frozen<T[Key]> }

/** How a session scheme is described in the OpenAPI document. */
export interface OpenApiOptions {
  /** The scheme's description. Default: a sentence that says how to sign in. */
  description?: string
  /** operationId of the operation that signs in. */
  login?: string
  /** operationId of the operation that tells who is signed in. */
  status?: string
  /** operationId of the operation that signs out. */
  logout?: string
  /** Name of the decorator of @fastify/swagger, where it was given another one than `swagger`. */
  decorator?: string
  /**
   * Header Objects by name: headers that other plugins add to every response, such as `RateLimit-Limit`. All responses of
   * operations that name the session are documented with them.
   */
  headers?: Readonly<Record<string, object>>
}

/** Options of `register` for the scheme `Name`. Durations are in seconds. The data that a function gets are frozen. */
export interface SessionOptions<Name extends string = string, Data extends object = SessionData<Name>> {
  /** The security scheme's name, which is also the name of the decorators. Default `session`. */
  scheme?: Name
  /**
   * Schema of the data, checked when a record is loaded and when it is saved: of TypeBox, a Standard Schema (Zod, Valibot, ArkType
   * and others), or a JSON Schema. Default: any object.
   */
  schema?: Name extends keyof SessionSchemas ? SessionSchemas[Name] : object
  /** The place where sessions live. Default: a `MemoryStore`, for one process and for tests. */
  store?: SessionStore | SealedCookie
  /** Name and attributes of the cookie. Default `__Host-session`, Secure, SameSite=Lax, Path=/; always HttpOnly. */
  cookie?: CookieOptions
  /** Seconds without a request after which a session ends. Default 1800. */
  idleTimeout?: number
  /** Seconds after which a session ends, whatever happens in it. Default 43200. */
  absoluteTimeout?: number
  /** Seconds that one call of the store may take before the response is 503. Default 2. */
  storeTimeout?: number
  /** Bytes of JSON that the data of one session may take. Default 1048576. */
  maxSize?: number
  /**
   * How many live sessions one principal may have. A login above the limit ends the sessions of the oldest logins. Default 100
   * if the store counts sessions, else no limit. If the option is set and the store does not count, each login lists the sessions.
   */
  maxPerPrincipal?: number
  /** Whom a session belongs to. With it, only a session that has a principal satisfies a requirement. */
  principal?: (data: Data) => string | undefined
  /** Returns the roles that a requirement such as `{ session: ['admin'] }` asks for. `user` is the result of the option `user`. */
  roles?: (data: Data, user: SessionUser<Name>) => readonly string[] | Promise<readonly string[]>
  /**
   * Checks each loaded session that has a principal (every session without the option `principal`). `false` ends it: the
   * password was changed, the account was disabled.
   */
  verify?: (data: Data, request: FastifyRequest) => boolean | Promise<boolean>
  /**
   * Returns the user of a loaded session, once per request; `null` and `undefined` end the session. Read it as
   * `request.session.user`. Asked for the same sessions as `verify`, and after it.
   */
  user?: (data: Data, request: FastifyRequest) => FoundUser<Name>
  /** Makes data of an older form fit the schema. What still does not fit counts as no session, and is reported. */
  migrate?: (data: unknown) => unknown
  /** The requirement of routes that have no `schema.security`. `security: []` on a route overrides it. */
  security?: DefaultSecurity
  /** Decide the security schemes that are not sessions, by scheme name. */
  verifiers?: Readonly<Record<string, Verifier>>
  /** Refuses unsafe requests that pages of other origins sent; `false` turns the check off. */
  crossOrigin?: CrossOriginOptions | false
  /** The description in the OpenAPI document. */
  openapi?: OpenApiOptions
  /** Sessions of another plugin to adopt, for as long as some of them can be live: the move signs no user out. */
  adopt?: Adoption
  /** Called with everything that happens to sessions, never with a token. What it throws is logged. */
  onEvent?: (event: SessionEvent, request: FastifyRequest | undefined) => void
  /** The clock, epoch milliseconds. Default `Date.now`; tests bring their own. */
  now?: () => number
}

/** Options of `register`, by the scheme that they name. */
export type SessionPluginOptions = {
  [Name in SchemeName]: Name extends 'session' ? SessionOptions<Name> : SessionOptions<Name> & { scheme: Name }
}[SchemeName]
