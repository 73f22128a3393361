import type { ContextConfigDefault, FastifyBaseLogger, FastifyPluginAsync, FastifyTypeProvider, RawServerBase, RawServerDefault, RegisterOptions, RouteGenericInterface, RouteHandlerMethod } from 'fastify'
import fp from 'fastify-plugin'
import { SessionError } from './errors.js'
import type { SessionManager } from './manager/manager.js'
import type { SchemeName, SessionData, SessionInput, SessionPluginOptions } from './options/types.js'
import { sessionPlugin } from './plugin.js'
import type { SessionRouteConfig } from './routing/route.js'
import { MemoryStore } from './store/memory.js'
import type { NoSchema, RouteSessions } from './types/route.js'
import { type CheckedSchema, optional, required } from './types/security.js'

/** The plugin, as the package exports it by default. */
export interface SessionPlugin extends FastifyPluginAsync<SessionPluginOptions> {
  /** The plugin itself, as `require('fastify-openapi-session').sessionPlugin`. It also tells its type from that of other plugins. */
  readonly sessionPlugin: SessionPlugin
}

type ManagerDecorators = { readonly [Name in SchemeName]: SessionManager<SessionData<Name>, SessionInput<Name>> }

declare module 'fastify' {
  interface FastifyRequest<RouteGeneric, RawServer, RawRequest, SchemaCompiler> extends RouteSessions<SchemaCompiler> {}
  // For Fastify, a route without options has the schema that a request of any route has. It is told apart here.
  interface RouteShorthandMethod<RawServer, RawRequest, RawReply, TypeProvider, Logger> {
    <RouteGeneric extends RouteGenericInterface = RouteGenericInterface, ContextConfig = ContextConfigDefault>(
      path: string,
      handler: RouteHandlerMethod<RawServer, RawRequest, RawReply, RouteGeneric, ContextConfig, NoSchema, TypeProvider, Logger>
    ): FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider>
  }
  // Fastify's own signatures take options or a function that makes them. Beside a function, TypeScript cannot tell by an
  // absent `scheme` that the default one is meant, and `principal: (data) => ...` would get no type.
  interface FastifyRegister<
    T = void, RawServer extends RawServerBase = RawServerDefault,
    TypeProviderDefault extends FastifyTypeProvider = FastifyTypeProvider, LoggerDefault extends FastifyBaseLogger = FastifyBaseLogger
  > {
    (plugin: SessionPlugin, options: RegisterOptions & SessionPluginOptions): T
  }
  // Both as @fastify/swagger declares them, so that they are known without that package and agree with it.
  interface FastifySchema extends CheckedSchema {
    /** The schemes that a request must satisfy: alternatives (OR) of requirements (AND). OpenAPI 3.1, Security Requirement Object. */
    security?: ReadonlyArray<{ [securityLabel: string]: readonly string[] }>
    /** The name of the route's operation, by which the option `openapi` of the plugin can name it. */
    operationId?: string
  }
  interface FastifyInstance extends ManagerDecorators {}
  interface FastifyContextConfig {
    /** Session options of this route alone. */
    session?: SessionRouteConfig
  }
}

/**
 * Typed cookie sessions, declared once in a route's OpenAPI `security`, and from that line loaded, enforced, typed and
 * documented: `await app.register(sessionPlugin, { schema, principal })`. Register it once for each session scheme of the app.
 * @throws `FST_SESSION_OPTIONS` at boot, with a sentence that says what to write
 */
const plugin = fp(sessionPlugin, { fastify: '5.x', name: 'fastify-openapi-session' }) as SessionPlugin

export default plugin
export { plugin as sessionPlugin, MemoryStore, optional, required, SessionError }

export type { SessionErrorCode } from './errors.js'
export type { SessionEvent, SessionTrace } from './events/events.js'
export type { IssuedSession, SessionInfo, SessionManager, SessionPage, WatchOptions } from './manager/manager.js'
export type { CookieOptions } from './options/cookie.js'
export type { Adoption, OpenApiOptions, SchemeName, SessionData, SessionDefaults, SessionInput, SessionOptions, SessionPluginOptions, SessionSchemas, SessionUser, SessionUsers } from './options/types.js'
export type { CrossOriginOptions } from './routing/cross-origin.js'
export type { SecurityRequirement, Verifier } from './routing/requirement.js'
export type { SessionRouteConfig } from './routing/route.js'
export type { AbsentSession, BlankSession, LiveSession, Session, StartOptions, UndeclaredSession } from './session/session.js'
export type { MemoryStoreOptions } from './store/memory.js'
export type { Awaitable, Page, PageRequest, SessionRecord, SessionStore, StoredSession, StoreReport, UpdateOutcome } from './store/store.js'
export type { AnySession, OptionalSession, SecuredRequest, SessionGuests } from './types/route.js'
export type { DeclaredRequirement, RoleOf, SecurityScheme, SessionRoles } from './types/security.js'
