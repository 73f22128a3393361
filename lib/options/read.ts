import { SealedCookie } from '../backend/sealed.js'
import { milliseconds, timerMilliseconds } from '../durations.js'
import { invalidOptions } from '../errors.js'
import { type Adoption, readAdoption } from '../migration/adoption.js'
import { unknownKey } from '../nearest.js'
import { type CrossOriginOptions, isSerializedOrigin } from '../routing/cross-origin.js'
import type { SecurityRequirement } from '../routing/requirement.js'
import type { CompileJsonSchema } from '../session/schema/json-schema.js'
import { readSchema } from '../session/schema/read.js'
import type { DataSchema } from '../session/schema/schema.js'
import type { Lifetimes } from '../session/times.js'
import { MemoryStore } from '../store/memory.js'
import { clock } from '../store/shared/clock.js'
import type { SessionStore } from '../store/store.js'
import type { CookieOptions } from './cookie.js'
import type { OpenApiOptions, SessionOptions, Verifier } from './types.js'

/** Options with every default filled in, checked, and in the units that the inside uses (milliseconds). */
export interface Settings extends Lifetimes {
  readonly scheme: string
  readonly schema: DataSchema
  readonly store: SessionStore | SealedCookie
  readonly cookie: CookieOptions
  readonly storeTimeout: number
  readonly maxSize: number
  /** `undefined`: 100, where the store counts. */
  readonly maxPerPrincipal: number | undefined
  readonly principal: ((data: any) => string | undefined) | undefined
  readonly roles: SessionOptions['roles'] | undefined
  readonly verify: SessionOptions['verify'] | undefined
  readonly user: SessionOptions['user'] | undefined
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

const KNOWN = [
  'scheme', 'schema', 'store', 'cookie', 'idleTimeout', 'absoluteTimeout', 'storeTimeout', 'maxSize', 'maxPerPrincipal', 'principal',
  'roles', 'verify', 'user', 'migrate', 'security', 'verifiers', 'crossOrigin', 'openapi', 'adopt', 'onEvent', 'now'
] satisfies Array<keyof SessionOptions>

/** The options of `register` itself, which Fastify hands to every plugin. */
export const OF_REGISTER = ['prefix', 'logLevel', 'logSerializers']

const OF_OPENAPI = ['description', 'login', 'status', 'logout', 'decorator', 'headers'] satisfies Array<keyof OpenApiOptions>

/** Checks the options once. @throws `FST_SESSION_OPTIONS` with a sentence that says what to write */
export async function readOptions (options: SessionOptions, compile: CompileJsonSchema): Promise<Settings> {
  refuseUnknown(options, [...KNOWN, ...OF_REGISTER], 'option ')
  const scheme = options.scheme ?? 'session'
  if (typeof scheme !== 'string' || !isSchemeName(scheme)) refuse('scheme must be a name of letters, digits, ".", "_" and "-"')
  const lifetimes = readLifetimes(options)
  const store = readStore(options.store, options.now)
  for (const name of ['principal', 'roles', 'verify', 'user', 'migrate', 'onEvent', 'now'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function') refuse(`${name} must be a function`)
  }
  return Object.freeze({
    ...lifetimes,
    scheme,
    schema: await readSchema(options.schema, compile),
    store,
    cookie: readCookie(options.cookie),
    storeTimeout: timerMilliseconds('storeTimeout', options.storeTimeout) ?? 2000,
    maxSize: positive('maxSize', options.maxSize) ?? 1_048_576,
    maxPerPrincipal: readLimit(options),
    principal: options.principal,
    roles: options.roles,
    verify: options.verify,
    user: options.user,
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
    refuse(`idleTimeout (${idleTimeout / 1000} s) is longer than absoluteTimeout (${absoluteTimeout / 1000} s) and would never be reached: write both in seconds, not milliseconds, and the longer one as absoluteTimeout`)
  }
  return { idleTimeout, absoluteTimeout, persistent: cookie?.persistent ?? false }
}

function readStore (store: SessionOptions['store'], now: (() => number) | undefined): SessionStore | SealedCookie {
  if (store === undefined) return new MemoryStore(now ? { now } : {})
  if (typeof store === 'object' && store !== null) {
    if (store instanceof SealedCookie) return store
    const missing = (['create', 'read', 'touch', 'update', 'delete', 'list', 'deleteAll'] as const).filter((name) => typeof store[name] !== 'function')
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

function readLimit ({ maxPerPrincipal, principal }: SessionOptions): number | undefined {
  if (maxPerPrincipal !== undefined && principal === undefined) refuse('maxPerPrincipal needs the option principal, which tells whom a session belongs to')
  return positive('maxPerPrincipal', maxPerPrincipal)
}

function readVerifiers (verifiers: Readonly<Record<string, Verifier>> = {}, scheme: string): ReadonlyMap<string, Verifier> {
  if (typeof verifiers !== 'object' || verifiers === null) refuse('verifiers must be an object such as { bearer: (request, scopes) => true }')
  for (const [name, verifier] of Object.entries(verifiers)) {
    if (typeof verifier !== 'function') refuse(`verifiers.${name} must be a function (request, scopes) => boolean`)
    // The same rule as for the name of a scheme; it is part of the challenge that a refused request gets.
    if (!isSchemeName(name)) refuse(`verifiers: ${JSON.stringify(name)} is not a name of a security scheme: use letters, digits, ".", "_" and "-"`)
    if (name === scheme) refuse(`verifiers.${name}: "${name}" is this session itself, which needs no verifier; take it out`)
  }
  return new Map(Object.entries(verifiers))
}

function readOrigins (crossOrigin: CrossOriginOptions | false = {}): ReadonlySet<string> | undefined {
  if (crossOrigin === false) return undefined
  if (typeof crossOrigin !== 'object' || crossOrigin === null) refuse('crossOrigin must be { trusted: [...] } or false')
  refuseUnknown(crossOrigin, ['trusted'], 'option crossOrigin.')
  const { trusted = [] } = crossOrigin
  if (!Array.isArray(trusted)) refuse('crossOrigin.trusted must be a list of origins, such as ["https://shop.example"]')
  for (const origin of trusted as readonly unknown[]) {
    if (isSerializedOrigin(origin)) continue
    refuse(`crossOrigin.trusted: ${JSON.stringify(origin)} is not an origin: write scheme, host and port as browsers send them, such as "https://shop.example" or "capacitor://localhost", without a path or a "*"`)
  }
  return new Set(trusted)
}

function readOpenApi (openapi: OpenApiOptions = {}): OpenApiOptions {
  if (!isObject(openapi)) refuse('openapi must be an object such as { login: "login" }')
  refuseUnknown(openapi, OF_OPENAPI, 'option openapi.')
  const { headers, ...texts } = openapi
  if (headers !== undefined && !(isObject(headers) && Object.values(headers).every(isObject))) {
    refuse('openapi.headers must be an object such as { RateLimit: { description: "...", schema: { type: "string" } } }')
  }
  for (const [name, value] of Object.entries(texts)) {
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

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function refuseUnknown (object: object, known: readonly string[], where: string): void {
  const problem = unknownKey(object, known, where)
  if (problem !== undefined) refuse(problem)
}

function refuse (sentence: string): never {
  throw invalidOptions(sentence)
}
