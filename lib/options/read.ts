import type { FastifyInstance } from 'fastify'
import { SealedCookie } from '../backend/sealed.js'
import { milliseconds, must, refuseUnknown, timerMilliseconds } from '../errors.js'
import { readOrigins } from '../routing/cross-origin.js'
import type { Verifier } from '../routing/requirement.js'
import { isObject } from '../session/json.js'
import { readSchema } from '../session/schema/read.js'
import { MemoryStore } from '../store/memory.js'
import { clock } from '../store/shared/clock.js'
import type { SessionStore } from '../store/store.js'
import { KNOWN as OF_COOKIE } from './cookie.js'
import { jsonSchema } from './json-schema.js'
import type { OpenApiOptions, SessionOptions } from './types.js'

/** The options, checked and with their defaults. Durations are in milliseconds. */
export type Settings = Awaited<ReturnType<typeof readOptions>>

/** The options of `register` itself, which Fastify passes to every plugin. */
export const OF_REGISTER = ['prefix', 'logLevel', 'logSerializers']

const FUNCTIONS = ['principal', 'roles', 'verify', 'user', 'migrate', 'onEvent', 'now'] as const
const KNOWN = [
  ...FUNCTIONS, 'scheme', 'schema', 'store', 'cookie', 'idleTimeout', 'absoluteTimeout', 'storeTimeout', 'maxSize', 'maxPerPrincipal',
  'security', 'verifiers', 'crossOrigin', 'openapi', 'adopt'
] satisfies Array<keyof SessionOptions>

const NO_SECRET = 'no secret is needed, because the cookie holds random bits only; take it out. To keep the data in the cookie, write store: sealedCookie({ keys })'
const TIMES = 'write idleTimeout and absoluteTimeout, in seconds, and cookie: { persistent: true } for a cookie that survives when the browser closes'
const RANDOM_ID = 'ids are random and cannot be chosen; take it out'

/** Options of other session plugins, and what to write instead. */
const ELSEWHERE = {
  ...Object.fromEntries([...OF_COOKIE, 'httpOnly'].map((name) => [name, `write cookie: { ${name}: ... }`])),
  secret: NO_SECRET, key: NO_SECRET, salt: NO_SECRET, password: NO_SECRET, keys: 'write store: sealedCookie({ keys })',
  cookieName: 'write cookie: { name: ... }', cookieOptions: 'write cookie: { ... }',
  sessionName: 'write scheme for the name of the session, and cookie: { name: ... } for that of the cookie',
  maxAge: TIMES, expires: TIMES, expiry: TIMES, ttl: TIMES, genid: RANDOM_ID, idGenerator: RANDOM_ID,
  saveUninitialized: 'a session is saved when its data change or start() is called, never before; take it out',
  resave: 'a session is saved if its data changed; take it out',
  rolling: 'each request restarts the idle timeout, without a new cookie; take it out. config: { session: { touch: false } } turns that off for a route',
  unset: 'session.destroy() ends a session; take it out', proxy: 'write Fastify({ trustProxy: ... })'
}

/** Checks the options and fills in the defaults. @throws `FST_SESSION_OPTIONS` with a sentence that says what to write */
export async function readOptions (options: SessionOptions<string, any>, app: FastifyInstance) {
  refuseUnknown(options, [...KNOWN, ...OF_REGISTER], 'option *', ELSEWHERE)
  const { scheme = 'session', cookie = {}, principal, roles, verify, user, migrate, onEvent, security, adopt } = options
  const { maxSize = 1_048_576, maxPerPrincipal } = options
  must(isSchemeName(scheme), 'scheme must be a name of letters, digits, ".", "_" and "-"')
  for (const name of FUNCTIONS) must(['undefined', 'function'].includes(typeof options[name]), `${name} must be a function`)
  for (const [name, count] of Object.entries({ maxSize, maxPerPrincipal })) must(count === undefined || (Number.isInteger(count) && count > 0), `${name} must be a whole number above 0`)
  // `cookiePolicy` checks the attributes of the cookie, and the registry checks the requirements.
  const isCookie: boolean = isObject(cookie)
  must(isCookie, 'cookie must be an object such as { sameSite: "strict" }')
  must(security === undefined || Array.isArray(security), 'security must be a list of requirements, such as [{ session: [] }]')
  must(maxPerPrincipal === undefined || principal !== undefined, 'maxPerPrincipal needs the option principal, which returns the owner of a session: principal: (data) => data.userId')
  const isAdoption = typeof adopt?.identify === 'function' && typeof adopt.find === 'function' && typeof adopt.cookieName === 'string'
  must(adopt === undefined || isAdoption, 'adopt must be the result of adoptExpressSessions({ ... }) or of adoptCookies({ ... })')
  const absoluteTimeout = milliseconds('absoluteTimeout', options.absoluteTimeout) ?? 43_200_000
  const idleTimeout = milliseconds('idleTimeout', options.idleTimeout) ?? Math.min(1_800_000, absoluteTimeout)
  must(idleTimeout <= absoluteTimeout, `idleTimeout (${idleTimeout / 1000} s) is longer than absoluteTimeout (${absoluteTimeout / 1000} s) and would never be reached: write both in seconds, not milliseconds, and the longer one as absoluteTimeout`)
  return Object.freeze({
    scheme, cookie, principal, roles, verify, user, migrate, onEvent, security, maxSize, maxPerPrincipal,
    absoluteTimeout, idleTimeout, persistent: cookie.persistent ?? false,
    schema: await readSchema(options.schema, async (schema) => await jsonSchema(schema, app)),
    store: readStore(options),
    storeTimeout: timerMilliseconds('storeTimeout', options.storeTimeout) ?? 2000,
    verifiers: readVerifiers(options.verifiers, scheme),
    /** `undefined` if the check is off. */
    trustedOrigins: options.crossOrigin === false ? undefined : readOrigins(options.crossOrigin, 'crossOrigin'),
    openapi: readOpenApi(options.openapi),
    adopt,
    now: clock(options.now)
  })
}

function readStore ({ store, now }: SessionOptions): SessionStore | SealedCookie {
  if (store === undefined) return new MemoryStore(now ? { now } : {})
  must(isObject(store), 'store must be a SessionStore, such as new MemoryStore(), or sealedCookie({ keys })')
  if (store instanceof SealedCookie) return store
  const missing = (['create', 'read', 'touch', 'update', 'delete', 'list', 'deleteAll'] as const).filter((name) => typeof store[name] !== 'function')
  must(missing.length === 0, 'get' in store && 'destroy' in store ? 'store is a store of express-session: write store: fromExpressStore(store), from fastify-openapi-session/express'
    : `store has no ${missing.join(', ')}: it must be a SessionStore, such as new MemoryStore()`)
  return store
}

function readVerifiers (verifiers: Readonly<Record<string, Verifier>> = {}, scheme: string): ReadonlyMap<string, Verifier> {
  must(isObject(verifiers), 'verifiers must be an object such as { bearer: (request, scopes) => true }')
  for (const [name, verifier] of Object.entries(verifiers)) {
    must(typeof verifier === 'function', `verifiers.${name} must be a function (request, scopes) => boolean`)
    // The name is part of the challenge in a 401 response.
    must(isSchemeName(name), `verifiers: ${JSON.stringify(name)} is not a name of a security scheme: use letters, digits, ".", "_" and "-"`)
    must(name !== scheme, `verifiers.${name}: "${name}" is this session itself, which needs no verifier; take it out`)
  }
  return new Map(Object.entries(verifiers))
}

function readOpenApi (openapi: OpenApiOptions = {}): OpenApiOptions {
  must(isObject(openapi), 'openapi must be an object such as { login: "login" }')
  refuseUnknown(openapi, ['description', 'login', 'status', 'logout', 'decorator', 'headers'] satisfies Array<keyof OpenApiOptions>, 'option openapi.*')
  const { headers = {}, ...texts } = openapi
  must(isObject(headers) && Object.values(headers).every(isObject), 'openapi.headers must be an object such as { RateLimit: { description: "...", schema: { type: "string" } } }')
  for (const [name, value] of Object.entries(texts)) must(value === undefined || (typeof value === 'string' && value !== ''), `openapi.${name} must be text`)
  return openapi
}

// OpenAPI 3.1, Components Object: the form of the keys of securitySchemes.
function isSchemeName (name: unknown): boolean { return typeof name === 'string' && /^[a-zA-Z0-9._-]+$/.test(name) }
