import fp from 'fastify-plugin'
import './openapi/fastify-schema.js'
import { SessionError } from './errors.js'
import type { SessionManager } from './manager.js'
import type { SchemeName, SessionData } from './options.js'
import { sessionPlugin } from './plugin.js'
import type { SessionPlugin } from './register.js'
import type { SessionRouteConfig } from './registry.js'
import type { Session } from './session.js'
import { MemoryStore } from './store/memory.js'

type SessionDecorators = { readonly [Name in SchemeName]: Session<SessionData<Name>> }
type ManagerDecorators = { readonly [Name in SchemeName]: SessionManager<SessionData<Name>> }

declare module 'fastify' {
  interface FastifyRequest extends SessionDecorators {}
  interface FastifyInstance extends ManagerDecorators {}
  interface FastifyContextConfig {
    /** What this one route wants of its sessions. */
    session?: SessionRouteConfig
  }
}

/**
 * Typed cookie sessions, declared once in a route's OpenAPI `security`, and from that line loaded, enforced, typed and
 * documented: `await app.register(sessionPlugin, { schema, principal })`.
 * Register it once for each session scheme of the app.
 * @throws `FST_SESSION_OPTIONS` at boot, with a sentence that says what to write
 */
const plugin = fp(sessionPlugin, { fastify: '5.x', name: 'fastify-openapi-session' }) as SessionPlugin

export default plugin
export { plugin as sessionPlugin, MemoryStore, SessionError }
// `require()` gives what is exported under this name: the function, with the rest of the module on it.
export { withNames as 'module.exports' }
const withNames = Object.assign(plugin, { default: plugin, sessionPlugin: plugin, MemoryStore, SessionError })

export type { Adoption, Predecessor } from './adoption.js'
export type { SessionEvent } from './backend/backend.js'
export type { CookieOptions } from './cookie.js'
export type { SessionErrorCode } from './errors.js'
export type { IssuedSession, SessionInfo, SessionManager } from './manager.js'
export type { OpenApiOptions, SchemeName, SessionData, SessionOptions, SessionPluginOptions, SessionSchemas, Verifier } from './options.js'
export type { SessionPlugin } from './register.js'
export type { SessionRouteConfig } from './registry.js'
export type { CrossOriginOptions } from './security/origin.js'
export type { SecurityRequirement } from './security/requirement.js'
export type { Session, StartOptions } from './session.js'
export type { MemoryStoreOptions } from './store/memory.js'
export type { SessionTrace } from './trace.js'
export type { WatchOptions } from './watch.js'
export type { SessionRecord, SessionStore, StoredSession, StoreReport, UpdateOutcome } from './store/store.js'
