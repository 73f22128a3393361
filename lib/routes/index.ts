import { AjvCompiler } from '@fastify/ajv-compiler'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest, FastifyServerOptions, RouteOptions } from 'fastify'
import { invalidOptions, refuseUnknown, wrongCredentials } from '../errors.js'
import type { SessionInfo } from '../manager/manager.js'
import { keptIn } from '../options/json-schema.js'
import { OF_REGISTER } from '../options/read.js'
import type { Scheme } from '../options/scheme.js'
import type { SchemeName, SessionData, SessionUser } from '../options/types.js'
import { Registry } from '../routing/registry.js'
import { copyJson, freezeJson } from '../session/json.js'
import type { LiveSession, Session, StartOptions } from '../session/session.js'
import type { Awaitable } from '../store/store.js'
import { optional, required } from '../types/security.js'
import { LIMIT, LIMITED, OPENED, ROUTES, UNTOUCHED } from './described.js'

type RouteName = keyof typeof ROUTES

/** The body of a login. If the option `body` is set, its schema defines the properties. */
export type Credentials = { username: string, password: string } & Record<string, any>

/** Options of `register` for the routes of the scheme `Name`. */
export interface SessionRoutesOptions<Name extends SchemeName = SchemeName> {
  /** The session scheme. Default `session`. */
  scheme?: Name
  /** Checks the body of a login. Returns the data of the new session. `undefined`, `null` or `false` refuses the login with 401. */
  check: (credentials: Credentials, request: FastifyRequest) => Awaitable<SessionData<Name> | null | undefined | false>
  /** JSON Schema of the login's body. Default: `username` and `password`. */
  body?: object
  /** Returns the lifetime of a login's session, such as `{ persistent: remember }`. */
  lifetime?: (credentials: Credentials) => StartOptions
  /** Returns the response of `GET /me`. Default: `principal` and `roles`. */
  me?: (request: FastifyRequest & Record<Name, LiveSession<SessionData<Name>, SessionUser<Name>>>) => Awaitable<object>
  /** Returns more properties of a session in `GET /sessions`, such as the device. */
  describe?: (session: SessionInfo<SessionData<Name>>) => object
  /** `false` omits a route. Options replace those of the route: `{ login: { url: '/sign-in' } }`. */
  routes?: { readonly [Route in RouteName]?: false | Partial<RouteOptions> }
}

const KNOWN = ['scheme', 'check', 'body', 'lifetime', 'me', 'describe', 'routes', ...OF_REGISTER]

/** Options of `register`, by the scheme that they name. */
type AnyOptions = {
  [Name in SchemeName]: Name extends 'session' ? SessionRoutesOptions<Name> : SessionRoutesOptions<Name> & { scheme: Name }
}[SchemeName]

/** The operations for the option `openapi` of the session plugin. "Authorize" in Swagger UI signs in with them. */
export const operations = { login: 'login', status: 'me', logout: 'logout' } as const

/**
 * Adds routes that sign in, sign out, return the user who is signed in, and list and end the user's sessions:
 * `await app.register(sessionRoutes, { prefix: '/auth', check: async ({ username, password }) => ... })`. Register it after
 * the session plugin.
 * @throws `FST_SESSION_OPTIONS` at boot if an option is wrong or the session plugin is absent
 */
export const sessionRoutes: FastifyPluginAsync<AnyOptions> = async (app, options) => {
  const { scheme: name = 'session', check, body, me, describe, routes = {} } = options
  if (typeof check !== 'function') throw invalidOptions('sessionRoutes needs the option check: async ({ username, password }) => the data of the session, or undefined')
  refuseUnknown(options, KNOWN, 'option * of sessionRoutes')
  refuseUnknown(routes, Object.keys(ROUTES), 'option routes.*')
  const scheme = schemeOf(app, name)
  const handle = handlers(app, scheme, options as never)
  const transform = takeJsonSchemas(app)
  for (const route of Object.keys(ROUTES) as RouteName[]) {
    const { [route]: own } = routes
    // Sealed cookies exist only in browsers, so sessions can be neither listed nor revoked.
    if (own === false || (scheme.stored === undefined && ROUTES[route].url.startsWith('/sessions'))) continue
    const { schema, ...others } = ROUTES[route]
    const security = route === 'login' || route === 'logout' ? optional(name) : required(name)
    const canLimit = route === 'login' && app.hasDecorator('rateLimit')
    const config: RouteOptions['config'] & { rateLimit?: object | false } = { ...transform, ...route === 'me' && UNTOUCHED, ...canLimit && LIMIT, ...own?.config }
    const isOpen = own?.handler ?? (route === 'me' ? me : describe)
    const response = { ...schema.response, ...canLimit && config.rateLimit !== false && LIMITED, ...isOpen && OPENED[route] }
    app.route({
      handler: handle[route], ...others, ...own,
      schema: { ...schema, security, ...route === 'login' && body && { body }, response, ...own?.schema },
      config
    })
  }
}

export default sessionRoutes

/** Makes the context of the routes compile JSON Schemas, even if the app has compilers for the schemas of another library. */
function takeJsonSchemas (app: FastifyInstance): object {
  if (app.validatorCompiler === undefined && app.serializerCompiler === undefined) return {}
  const { opts } = keptIn(app, 'fastify.schemaController') as { opts: NonNullable<FastifyServerOptions['schemaController']> }
  app.setValidatorCompiler(AjvCompiler()(app.getSchemas() as Record<string, object>, { customOptions: {} }) as never)
  app.setSerializerCompiler(opts.compilersFactory!.buildSerializer!(app.getSchemas(), {}) as never)
  // Replaces the app's `transform` of @fastify/swagger, which would treat these schemas as those of the other library.
  return { swaggerTransform: ({ schema, url }: object & { schema: unknown, url: string }) => ({ schema, url }) }
}

function schemeOf (app: FastifyInstance, name: string): Scheme {
  const plan = Registry.of(app)?.compile({ method: 'of', url: 'sessionRoutes', schema: { security: [{ [name]: [] }] } })
  const scheme = plan?.schemes[0]
  if (scheme === undefined) throw invalidOptions('sessionRoutes is registered before the session plugin: first await app.register(sessionPlugin, ...)')
  if (scheme.settings.principal === undefined) throw invalidOptions('sessionRoutes needs the option principal of the session plugin: principal: (data) => data.userId')
  return scheme
}

/** Returns the handlers of the routes. Each can be replaced by the option `routes`. */
function handlers (app: FastifyInstance, { name, cookie, settings }: Scheme, options: SessionRoutesOptions<any>): Record<RouteName, RouteOptions['handler']> {
  const manager = app[name as 'session']
  const of = (request: FastifyRequest) => request[name as 'session'] as Session<Record<string, unknown>, unknown>
  const dataOf = (request: FastifyRequest) => freezeJson(copyJson(of(request).data))
  const whoIs = async (data: Record<string, unknown>, user: unknown) =>
    ({ principal: settings.principal?.(data), roles: await settings.roles?.(data, user) ?? [] })
  const principalOf = (request: FastifyRequest): string => settings.principal?.(dataOf(request)) as string
  return {
    async login (request, reply) {
      const credentials = request.body as Credentials
      const data = await options.check(credentials, request)
      if (data == null || data === false) throw wrongCredentials(cookie.name)
      of(request).start(data, options.lifetime?.(credentials))
      return await reply.code(204).send()
    },
    async logout (request, reply) {
      of(request).destroy()
      return await reply.code(204).send()
    },
    me: async (request) => await (options.me?.(request as never) ?? whoIs(dataOf(request), of(request).user)),
    async list (request) {
      const { sessions, cursor } = await manager.list(principalOf(request), { cursor: (request.query as { cursor?: string }).cursor })
      return { sessions: sessions.map((session) => ({ ...shown(session, of(request).id), ...options.describe?.(session) })), cursor }
    },
    async revoke (request, reply) {
      const { id } = request.params as { id: string }
      if (id === of(request).id) of(request).destroy()
      // The response for another user's session is the same as for a session that has ended.
      else if ((await manager.find(id))?.principal === principalOf(request)) await manager.revoke(id)
      return await reply.code(204).send()
    },
    revokeOthers: async (request) => ({ ended: await manager.revokeAll(principalOf(request), { except: of(request).id }) })
  }
}

function shown ({ id, createdAt, authenticatedAt, expiresAt }: SessionInfo, current: string): object {
  const iso = (instant: number): string => new Date(instant).toISOString()
  return { id, createdAt: iso(createdAt), authenticatedAt: iso(authenticatedAt), expiresAt: iso(expiresAt), current: id === current }
}
