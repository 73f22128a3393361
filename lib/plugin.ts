import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { SealedCookie } from './backend/sealed.js'
import { refuseClashes } from './boot.js'
import { SessionError } from './errors.js'
import { exchangeOf, guard, outermost } from './guard.js'
import { createManager } from './manager.js'
import { documentSession, type DocumentedRoute } from './openapi/swagger/index.js'
import { readOptions, type SessionOptions, type Settings } from './options.js'
import { Registry } from './registry.js'
import { createScheme, type Scheme } from './scheme.js'

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
  const { openapi: { description, decorator = 'swagger', ...operations }, trustedOrigins } = settings
  documentSession(app, {
    name,
    cookie: cookie.name,
    description,
    operations,
    crossOrigin: trustedOrigins !== undefined,
    persistentStore: backend.directory !== undefined || settings.adopt !== undefined,
    decorator
  }, plansOf(app))
}

function plansOf (app: FastifyInstance): () => DocumentedRoute[] {
  const declared: Array<{ server: FastifyInstance, route: RouteOptions }> = []
  const plans = new Map<RouteOptions, DocumentedRoute>()
  app.addHook('onRoute', function (route) { declared.push({ server: this, route }) })
  return () => declared.map(({ server, route }) => {
    const plan = plans.get(route) ?? { route, requirement: Registry.of(server)?.check(route)?.requirement }
    plans.set(route, plan)
    return plan
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
