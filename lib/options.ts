import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { SealedCookie } from './backend/sealed.js'
import { type Adoption, readAdoption } from './adoption.js'
import type { SessionEvent } from './backend/backend.js'
import { clock } from './store/shared/clock.js'
import type { CookieOptions } from './cookie.js'
import { SessionError } from './errors.js'
import { type Lifetimes, milliseconds, timer } from './life.js'
import type { CrossOriginOptions } from './security/origin.js'
import type { SecurityRequirement } from './security/requirement.js'
import { MemoryStore } from './store/memory.js'
import type { SessionStore } from './store/store.js'

/**
 * The session schemes of an app and the schemas of their data, to be augmented:
 * ```ts
 * declare module 'fastify-openapi-session' {
 *   interface SessionSchemas { session: typeof Visitor }
 * }
 * ```
 */
export interface SessionSchemas {}

/** The names of the schemes: those in `SessionSchemas`, or `session` while nothing is declared there. */
export type SchemeName = keyof SessionSchemas extends never ? 'session' : keyof SessionSchemas & string

/** The type of the data of a scheme. */
export type SessionData<Name extends string> = Name extends keyof SessionSchemas ? StaticOf<SessionSchemas[Name]> : Record<string, any>

// What TypeBox's `Static` does, said in a way that ends also while `SessionSchemas` is still empty.
type StaticOf<Schema> = Schema extends { static: unknown } ? AsObject<(Schema & { params: [] })['static']> : Record<string, any>
type AsObject<T> = T extends object ? T : Record<string, any>

/** Decides a security scheme that is no session: `true` when the request satisfies it with all the scopes asked for. */
export type Verifier = (request: FastifyRequest, scopes: readonly string[]) => boolean | Promise<boolean>

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
}

/** Options of `register` for the scheme `Name`. Durations are in seconds. */
export interface SessionOptions<Name extends string = string, Data extends object = SessionData<Name>> {
  /** The security scheme's name, which is also the name of the decorators. Default `session`. */
  scheme?: Name
  /** TypeBox schema of the data, checked when a record is loaded and when it is saved. Default: any object. */
  schema?: Name extends keyof SessionSchemas ? SessionSchemas[Name] : TSchema
  /** Where sessions live. Default: a `MemoryStore`, for one process and for tests. */
  store?: SessionStore | SealedCookie
  /** Name and attributes of the cookie. Default `__Host-session`, Secure, SameSite=Lax, Path=/; always HttpOnly. */
  cookie?: CookieOptions
  /** Seconds without a request after which a session ends. Default 1800. */
  idleTimeout?: number
  /** Seconds after which a session ends, whatever happens in it. Default 43200. */
  absoluteTimeout?: number
  /** Seconds that one call of the store may take before the answer is 503. Default 2. */
  storeTimeout?: number
  /** Bytes of JSON that the data of one session may take. Default 1048576. */
  maxSize?: number
  /** How many live sessions one principal may have; a login above it ends the oldest. Default: any number. */
  maxPerPrincipal?: number
  /** Whom a session belongs to. With it, only a session that has a principal satisfies a requirement. */
  principal?: (data: Data) => string | undefined
  /** The roles that a requirement such as `{ session: ['admin'] }` asks for. */
  roles?: (data: Data) => readonly string[]
  /**
   * A last look at each session that has a principal (each session at all without the option `principal`) when it is loaded.
   * `false` ends it: the password was changed, the account was disabled.
   */
  verify?: (data: Data, request: FastifyRequest) => boolean | Promise<boolean>
  /** Makes data of an older form fit the schema. What still does not fit counts as no session, and is reported. */
  migrate?: (data: unknown) => unknown
  /** The requirement of routes that have no `schema.security`. `security: []` on a route overrides it. */
  security?: readonly SecurityRequirement[]
  /** Who decides the security schemes of the routes that are no sessions. */
  verifiers?: Readonly<Record<string, Verifier>>
  /** The check that unsafe requests were not sent by the pages of others; `false` turns it off. */
  crossOrigin?: CrossOriginOptions | false
  /** The description in the OpenAPI document. */
  openapi?: OpenApiOptions
  /** Where sessions were before this plugin, for as long as some of them can be alive: nobody is signed out by the move. */
  adopt?: Adoption
  /** Told of everything that happens to sessions, never with a token. What it throws is logged. */
  onEvent?: (event: SessionEvent, request: FastifyRequest | undefined) => void
  /** The clock, epoch milliseconds. Default `Date.now`; tests bring their own. */
  now?: () => number
}

/** Options of `register`, by the scheme that they name. */
export type SessionPluginOptions = {
  [Name in SchemeName]: Name extends 'session' ? SessionOptions<Name> : SessionOptions<Name> & { scheme: Name }
}[SchemeName]

/** Options with every default filled in, checked, and in the units that the inside uses (milliseconds). */
export interface Settings extends Lifetimes {
  readonly scheme: string
  readonly schema: TSchema
  readonly store: SessionStore | SealedCookie
  readonly cookie: CookieOptions
  readonly storeTimeout: number
  readonly maxSize: number
  readonly maxPerPrincipal: number
  readonly principal: ((data: any) => string | undefined) | undefined
  readonly roles: ((data: any) => readonly string[]) | undefined
  readonly verify: SessionOptions['verify'] | undefined
  readonly migrate: ((data: unknown) => unknown) | undefined
  readonly security: readonly SecurityRequirement[] | undefined
  readonly verifiers: ReadonlyMap<string, Verifier>
  /** Origins to trust; `undefined` where the check is off. */
  readonly trustedOrigins: ReadonlySet<string> | undefined
  readonly openapi: OpenApiOptions
  readonly adopt: Adoption | undefined
  readonly onEvent: SessionOptions['onEvent'] | undefined
  readonly now: () => number
}

const KNOWN = new Set<string>([
  'scheme', 'schema', 'store', 'cookie', 'idleTimeout', 'absoluteTimeout', 'storeTimeout', 'maxSize', 'maxPerPrincipal', 'principal',
  'roles', 'verify', 'migrate', 'security', 'verifiers', 'crossOrigin', 'openapi', 'adopt', 'onEvent', 'now'
] satisfies Array<keyof SessionOptions>)

// Fastify's own, which `register` hands to every plugin.
const OF_REGISTER = new Set(['prefix', 'logLevel', 'logSerializers'])

/** Checks the options once. @throws `FST_SESSION_OPTIONS` with a sentence that says what to write */
export function readOptions (options: SessionOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name) && !OF_REGISTER.has(name)) refuse(`there is no option ${JSON.stringify(name)}; the options are ${[...KNOWN].join(', ')}`)
  }
  const scheme = options.scheme ?? 'session'
  if (typeof scheme !== 'string' || !isSchemeName(scheme)) refuse('scheme must be a name of letters, digits, ".", "_" and "-"')
  const lifetimes = readLifetimes(options)
  for (const name of ['principal', 'roles', 'verify', 'migrate', 'onEvent', 'now'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function') refuse(`${name} must be a function`)
  }
  return Object.freeze({
    ...lifetimes,
    scheme,
    schema: readSchema(options.schema),
    store: readStore(options.store, options.now),
    cookie: readCookie(options.cookie),
    storeTimeout: timer('storeTimeout', options.storeTimeout) ?? 2000,
    maxSize: positive('maxSize', options.maxSize) ?? 1_048_576,
    maxPerPrincipal: readLimit(options),
    principal: options.principal,
    roles: options.roles,
    verify: options.verify,
    migrate: options.migrate,
    security: readSecurity(options.security),
    verifiers: readVerifiers(options.verifiers, scheme),
    trustedOrigins: readOrigins(options.crossOrigin),
    openapi: readOpenApi(options.openapi),
    adopt: readAdoption(options.adopt),
    onEvent: options.onEvent,
    now: clock(options.now)
  })
}

function readLifetimes ({ idleTimeout: idle, absoluteTimeout: absolute, cookie }: SessionOptions): Lifetimes {
  const absoluteTimeout = milliseconds('absoluteTimeout', absolute) ?? 43_200_000
  const idleTimeout = milliseconds('idleTimeout', idle) ?? Math.min(1_800_000, absoluteTimeout)
  if (idleTimeout > absoluteTimeout) {
    refuse(`idleTimeout (${idleTimeout / 1000} s) is longer than absoluteTimeout (${absoluteTimeout / 1000} s) and would never be reached: shorten it, or raise absoluteTimeout`)
  }
  return { idleTimeout, absoluteTimeout, persistent: cookie?.persistent ?? false }
}

function readSchema (schema: unknown = Type.Record(Type.String(), Type.Unknown())): TSchema {
  const { type = 'object' } = Object(schema) as { type?: unknown }
  if (typeof schema === 'object' && schema !== null && type === 'object') return schema as TSchema
  return refuse('schema must be the TypeBox schema of an object: write it with Type.Object({ ... }) of @sinclair/typebox')
}

function readStore (store: SessionOptions['store'], now: (() => number) | undefined): SessionStore | SealedCookie {
  if (store === undefined) return new MemoryStore(now ? { now } : {})
  if (typeof store === 'object' && store !== null) {
    if (store instanceof SealedCookie) return store
    const missing = (['create', 'read', 'update', 'delete', 'list', 'deleteAll'] as const).filter((name) => typeof store[name] !== 'function')
    if (missing.length === 0) return store
    if ('get' in store && 'destroy' in store) refuse('store is a store of express-session: wrap it, store: fromExpressStore(store), from fastify-openapi-session/express')
    refuse(`store has no ${missing.join(', ')}: it must be a SessionStore, such as new MemoryStore()`)
  }
  return refuse('store must be a SessionStore, such as new MemoryStore(), or sealedCookie({ keys })')
}

// Its attributes are checked where the cookie is made.
function readCookie (cookie: CookieOptions = {}): CookieOptions {
  if (typeof cookie !== 'object' || cookie === null) refuse('cookie must be an object such as { sameSite: "strict" }')
  return cookie
}

// What is in it is checked with the routes that it becomes the requirement of.
function readSecurity (security: SessionOptions['security']): SessionOptions['security'] {
  if (security !== undefined && !Array.isArray(security)) refuse('security must be a list of requirements, such as [{ session: [] }]')
  return security
}

function readLimit ({ maxPerPrincipal, principal }: SessionOptions): number {
  if (maxPerPrincipal !== undefined && principal === undefined) refuse('maxPerPrincipal needs the option principal, which says whom a session belongs to')
  return positive('maxPerPrincipal', maxPerPrincipal) ?? Infinity
}

function readVerifiers (verifiers: Readonly<Record<string, Verifier>> = {}, scheme: string): ReadonlyMap<string, Verifier> {
  if (typeof verifiers !== 'object' || verifiers === null) refuse('verifiers must be an object such as { bearer: (request, scopes) => true }')
  for (const [name, verifier] of Object.entries(verifiers)) {
    if (typeof verifier !== 'function') refuse(`verifiers.${name} must be a function (request, scopes) => boolean`)
    // The same rule as for the name of a scheme; it is part of the challenge that a refused request gets.
    if (!isSchemeName(name)) refuse(`verifiers: ${JSON.stringify(name)} is no name of a security scheme: use letters, digits, ".", "_" and "-"`)
    if (name === scheme) refuse(`verifiers.${name}: "${name}" is this session itself, which needs no verifier; take it out`)
  }
  return new Map(Object.entries(verifiers))
}

function readOrigins (crossOrigin: CrossOriginOptions | false = {}): ReadonlySet<string> | undefined {
  if (crossOrigin === false) return undefined
  if (typeof crossOrigin !== 'object' || crossOrigin === null) refuse('crossOrigin must be { trusted: [...] } or false')
  const { trusted = [], ...others } = crossOrigin
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) refuse(`there is no option crossOrigin.${unknown}; there is trusted, a list of origins`)
  if (!Array.isArray(trusted)) refuse('crossOrigin.trusted must be a list of origins, such as ["https://shop.example"]')
  for (const origin of trusted as readonly unknown[]) {
    if (typeof origin === 'string' && URL.canParse(origin) && new URL(origin).origin === origin && !origin.includes('*')) continue
    refuse(`crossOrigin.trusted: ${JSON.stringify(origin)} is no origin: write scheme, host and port as browsers send it, such as "https://shop.example", without a path or a "*"`)
  }
  return new Set(trusted)
}

function readOpenApi (openapi: OpenApiOptions = {}): OpenApiOptions {
  if (typeof openapi !== 'object' || openapi === null) refuse('openapi must be an object such as { login: "login" }')
  for (const [name, value] of Object.entries(openapi)) {
    if (!['description', 'login', 'status', 'logout', 'decorator'].includes(name)) refuse(`there is no option openapi.${name}; there are description, login, status, logout and decorator`)
    if (value !== undefined && (typeof value !== 'string' || value === '')) refuse(`openapi.${name} must be text`)
  }
  return openapi
}

// OpenAPI 3.1, Components Object: what the keys of securitySchemes may be.
function isSchemeName (name: string): boolean {
  return /^[a-zA-Z0-9._-]+$/.test(name)
}

function positive (name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value > 0)) return value
  return refuse(`${name} must be a whole number above 0`)
}

function refuse (sentence: string): never {
  throw new SessionError('FST_SESSION_OPTIONS', sentence)
}
