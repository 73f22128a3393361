import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SealedCookie } from './backend/sealed.js'
import { inspect, refuseClashes } from './boot.js'
import { createManager } from './manager.js'
import { SessionError } from './errors.js'
import { Exchange } from './exchange.js'
import { documentSession } from './openapi/swagger.js'
import { readOptions, type SessionOptions, type Settings } from './options.js'
import { Registry, type RouteFacts } from './registry.js'
import { createScheme, type Scheme } from './scheme.js'

const kExchange = Symbol('fastify-openapi-session.exchange')

type Exchanging = FastifyRequest & { [kExchange]?: Exchange | null }

/** Registers one session scheme: reads its options, decorates the app and, for the first scheme, guards its routes. */
export async function sessionPlugin (app: FastifyInstance, options: SessionOptions<any, any>): Promise<void> {
  const settings = readOptions(options)
  // Cookies are parsed where a route declares a session, by this plugin; whoever wants `request.cookies` registers it so.
  if (!app.hasDecorator('serializeCookie')) await app.register(fastifyCookie, { hook: false })
  const scheme = createScheme(settings, app.serializeCookie, app.log)
  const registry = Registry.isOwn(app) ? Registry.of(app) as Registry : guard(app)
  registry.add(scheme)
  refuseClashes(scheme, schemesOf(app))
  schemesOf(app).push(scheme)
  decorate(app, scheme)
  describe(app, scheme)
  observe(settings, scheme, app)
  app.addHook('onClose', async () => { await scheme.backend.close() })
}

const schemesByApp = new WeakMap<FastifyInstance, Scheme[]>()

/** The schemes of a whole app, in whichever of its contexts they were registered. */
function schemesOf (context: FastifyInstance): Scheme[] {
  const app = outermost(context)
  const schemes = schemesByApp.get(app) ?? []
  schemesByApp.set(app, schemes)
  return schemes
}

/** The hooks, once for all schemes of an instance: admit, finish, close. */
function guard (app: FastifyInstance): Registry {
  const registry = new Registry(app)
  const routes: Array<{ server: FastifyInstance, route: RouteFacts }> = []
  if (!app.hasRequestDecorator(kExchange)) app.decorateRequest(kExchange, null)

  app.addHook('onRoute', function (route) { routes.push({ server: this, route }) })
  if (outermost(app) !== app) guardOutside(app, registry)
  app.addHook('onReady', async () => {
    const planned = routes.flatMap(({ server, route }) => {
      const plan = Registry.of(server)?.check(route)
      return plan === undefined ? [] : [{ route, plan }]
    })
    for (const { scheme, sentence } of inspect({ schemes: registry.own, routes: planned, production: process.env['NODE_ENV'] === 'production' })) {
      app.log.warn({ session: { scheme } }, sentence)
    }
  })

  app.addHook('onRequest', (request, reply, done) => {
    // Beside each other, two instances that guard the same route would do it twice. (Requests of a context that was there
    // before the plugin do not know the decorator: it is absent there, not null.)
    if (exchangeOf(request) || request.is404) return done()
    let plan
    const nearest = Registry.of(request.server) as Registry
    try {
      plan = nearest.plan(request.routeOptions, request.method)
    } catch (error) {
      return done(error as Error)
    }
    if (plan === undefined) return done()
    const exchange = new Exchange(request, reply, plan, nearest)
    ;(request as Exchanging)[kExchange] = exchange
    exchange.admit().then(() => done(), (error: unknown) => done(exchange.fail(error)))
  })

  app.addHook('onSend', (request, reply, payload, done) => {
    const exchange = exchangeOf(request)
    const pending = exchange?.finish()
    if (!exchange || pending === undefined) return done()
    pending.then(() => done(), (error: unknown) => {
      letGo(payload)
      done(exchange.fail(error))
    })
  })

  app.addHook('onResponse', (request, reply, done) => {
    exchangeOf(request)?.close()
    done()
  })
  return registry
}

/** The app itself, seen from any of its contexts. */
function outermost (app: FastifyInstance): FastifyInstance {
  const around: unknown = Object.getPrototypeOf(app)
  return typeof (around as Partial<FastifyInstance>).addHook === 'function' ? outermost(around as FastifyInstance) : app
}

/**
 * A route that names a session which is registered, but not around it, would stand open. Those that are declared after the
 * plugin stop the boot; those that were there before refuse their requests.
 */
function guardOutside (app: FastifyInstance, registry: Registry): void {
  const routes: Array<{ server: FastifyInstance, route: RouteFacts }> = []
  outermost(app).addHook('onRoute', function (route) { routes.push({ server: this, route }) })
  app.addHook('onReady', async () => {
    for (const { server, route } of routes) refuseUnguarded(server, route, registry)
  })
  outermost(app).addHook('onRequest', (request, reply, done) => {
    try {
      if (!request.is404) refuseUnguarded(request.server, request.routeOptions, registry)
      done()
    } catch (error) {
      done(error as Error)
    }
  })
}

/** @throws `FST_SESSION_OPTIONS` */
function refuseUnguarded (server: FastifyInstance, { method, url, schema }: RouteFacts, { own }: Registry): void {
  // Where there is a plugin, it refuses what nobody verifies.
  if (Registry.of(server) !== undefined) return
  const { security } = Object(schema) as { security?: unknown }
  const named = Array.isArray(security) ? security.flatMap((requirement: unknown) => Object.keys(Object(requirement) as object)) : []
  const stray = own.find(({ name }) => named.includes(name))
  if (stray === undefined) return
  throw new SessionError('FST_SESSION_OPTIONS', `route ${String(method)} ${url} names the session "${stray.name}", which is registered in another context and does not guard it: wrap the plugin that registers it in fastify-plugin, or register it for the whole app`)
}

/** A body that will not be sent may hold a file or a connection open, and Fastify lets go only of what it sends. */
function letGo (body: unknown): void {
  const { destroy, cancel } = Object(body) as { destroy?: unknown, cancel?: unknown }
  if (typeof destroy === 'function') destroy.call(body)
  else if (typeof cancel === 'function') Promise.resolve(cancel.call(body)).catch(() => {})
}

function exchangeOf (request: FastifyRequest): Exchange | null | undefined {
  return (request as Exchanging)[kExchange]
}

// Fields that Fastify sets on every request; its other names are found by asking it.
const FIELDS_OF_REQUEST = new Set(['id', 'params', 'raw', 'query', 'log', 'body'])

function decorate (app: FastifyInstance, scheme: Scheme): void {
  const { name } = scheme
  if (app.hasRequestDecorator(name) || app.hasDecorator(name) || FIELDS_OF_REQUEST.has(name)) {
    throw new SessionError('FST_SESSION_OPTIONS', `request.${name} or app.${name} exists already, from Fastify or another plugin (another session plugin, say): take that one out, or use another name, scheme: "mySession"`)
  }
  app.decorate(name, createManager(scheme))
  app.decorateRequest(name, {
    getter (this: FastifyRequest) {
      const session = exchangeOf(this)?.session(name)
      if (session !== undefined) return session
      throw undeclared(this, name)
    }
  })
}

function undeclared ({ method, routeOptions: { url } }: FastifyRequest, name: string): SessionError {
  const example = `[{ ${/^\w+$/.test(name) ? name : JSON.stringify(name)}: [] }]`
  return new SessionError('FST_SESSION_NOT_DECLARED',
    `${method} ${url ?? '(not found)'} has no session "${name}" here: add security: ${example} to the route's schema (with a second alternative {} where it is optional), and ask for it after this plugin's onRequest hook.`)
}

function describe (app: FastifyInstance, { name, cookie, settings, backend }: Scheme): void {
  const { openapi: { description, decorator = 'swagger', ...operations }, security, trustedOrigins } = settings
  documentSession(app, {
    name,
    cookie: cookie.name,
    description,
    operations,
    crossOrigin: trustedOrigins !== undefined,
    persistentStore: backend.directory !== undefined,
    security,
    decorator
  })
}

function observe ({ store }: Settings, { reportOn }: Scheme, app: FastifyInstance): void {
  if (store instanceof SealedCookie) return
  if (store.warning !== undefined) app.log.warn(store.warning)
  store.observe?.((told) => {
    if (told.kind === 'damaged') reportOn()({ type: 'discarded', reason: 'damaged', id: told.id })
    else app.log.error({ err: told.error }, `session store: ${told.task} failed`)
  })
}
