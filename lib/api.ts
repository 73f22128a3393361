import type { ContextConfigDefault, RouteGenericInterface, RouteHandlerMethod } from 'fastify'
import fp from 'fastify-plugin'
import './openapi/fastify-schema.js'
import { SessionError } from './errors.js'
import type { SessionManager } from './manager/manager.js'
import type { SessionPlugin } from './options/register.js'
import type { SchemeName, SessionData } from './options/types.js'
import { sessionPlugin } from './plugin.js'
import type { SessionRouteConfig } from './routing/route.js'
import { MemoryStore } from './store/memory.js'
import type { NoSchema, RouteSessions } from './types/route.js'
import { optional, required } from './types/security.js'

type ManagerDecorators = { readonly [Name in SchemeName]: SessionManager<SessionData<Name>> }

declare module 'fastify' {
  interface FastifyRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler> extends RouteSessions<SchemaCompiler> {}
  // For Fastify, a route without options has the schema that a request of any route has. It is told apart here.
  interface RouteShorthandMethod<RawServer, RawRequest, RawReply, TypeProvider, Logger> {
    <RouteGeneric extends RouteGenericInterface = RouteGenericInterface, ContextConfig = ContextConfigDefault>(
      path: string,
      handler: RouteHandlerMethod<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoSchema, TypeProvider, Logger>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }
  interface FastifyInstance extends ManagerDecorators {}
  interface FastifyContextConfig {
    /** Session options of this route alone. */
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
export { plugin as sessionPlugin, MemoryStore, optional, required, SessionError }

export type { SessionErrorCode } from './errors.js'
export type { SessionEvent } from './events/events.js'
export type { SessionTrace } from './events/trace.js'
export type { IssuedSession, SessionInfo, SessionManager, SessionPage } from './manager/manager.js'
export type { WatchOptions } from './manager/watch.js'
export type { Adoption } from './migration/adoption.js'
export type { CookieOptions } from './options/cookie.js'
export type { SessionPlugin } from './options/register.js'
export type { OpenApiOptions, SchemeName, SessionData, SessionDefaults, SessionOptions, SessionPluginOptions, SessionSchemas, SessionUser, SessionUsers, Verifier } from './options/types.js'
export type { CrossOriginOptions } from './routing/cross-origin.js'
export type { SecurityRequirement } from './routing/requirement.js'
export type { SessionRouteConfig } from './routing/route.js'
export type { AbsentSession, BlankSession, LiveSession, Session, StartOptions, UndeclaredSession } from './session/session.js'
export type { MemoryStoreOptions } from './store/memory.js'
export type { Awaitable, Page, PageRequest, SessionRecord, SessionStore, StoredSession, StoreReport, UpdateOutcome } from './store/store.js'
export type { AnySession, OptionalSession, SecuredRequest, SessionGuests } from './types/route.js'
export type { DeclaredRequirement, RoleOf, SecurityScheme, SessionRoles } from './types/security.js'
