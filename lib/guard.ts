import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { inspect } from './boot.js'
import { SessionError } from './errors.js'
import { Exchange } from './exchange.js'
import { Registry, type RouteFacts } from './registry.js'
import { answerOf, letGo, listenForErrors } from './response.js'

const kExchange = Symbol('fastify-openapi-session.exchange')

/** Contexts within each other may each have a guard: the first one that a request meets sees it through. */
type Exchanging = FastifyRequest & { [kExchange]?: { readonly exchange: Exchange, readonly guard: Registry } | null }
type Done = (error?: Error) => void
type DoneWith = (error?: Error | null, payload?: unknown) => void

/** The hooks, once for all schemes of an instance: admit, finish, close. */
export function guard (app: FastifyInstance): Registry {
  const registry = new Registry(app)
  if (!app.hasRequestDecorator(kExchange)) app.decorateRequest(kExchange, null)
  if (outermost(app) !== app) guardOutside(app, registry)
  inspectWhenReady(app, registry)
  app.addHook('onRequest', (request, reply, done) => { admit(registry, request, reply, done) })
  app.addHook('onSend', (request, reply, payload, done) => { finish(registry, request, reply, payload, done) })
  app.addHook('onResponse', close)
  return registry
}

/** What a request has to do with sessions, where it came by a guard; `undefined` where its route declares none. */
export function exchangeOf (request: FastifyRequest): Exchange | undefined {
  return (request as Exchanging)[kExchange]?.exchange
}

function admit (guard: Registry, request: FastifyRequest, reply: FastifyReply, done: Done): void {
  // Beside each other, two instances that guard the same route would do it twice. (Requests of a context that was there
  // before the plugin do not know the decorator: it is absent there, not null.)
  if (exchangeOf(request) || request.is404) return done()
  let plan
  const nearest = Registry.of(request.server) as Registry
  try {
    plan = nearest.plan(request.routeOptions)
  } catch (error) {
    return done(error as Error)
  }
  if (plan === undefined) return done()
  const exchange = new Exchange(request, reply, plan, nearest)
  ;(request as Exchanging)[kExchange] = { exchange, guard }
  // A stream or a WebSocket mostly ends when the client goes, and there is no response hook then.
  reply.raw.once('close', () => { exchange.close() })
  exchange.admit().then(() => done(), (error: unknown) => done(exchange.fail(error)))
}

function finish (guard: Registry, request: FastifyRequest, reply: FastifyReply, payload: unknown, done: DoneWith): void {
  const found = (request as Exchanging)[kExchange]
  if (found?.guard !== guard) return done()
  const { exchange } = found
  // Fastify ignores a second answer once the first has begun; where its session is being stored, it has.
  if (exchange.interrupt(payload)) {
    return request.log.warn('a second answer came while the session was being stored for the first one: it is dropped. An async handler has to return what it sends, or await reply')
  }
  const answer = answerOf(payload, reply)
  const { body } = answer
  const pending = exchange.finish(answer)
  if (pending === undefined) return done(null, body)
  listenForErrors(body)
  const stored = pending.then(() => done(null, body), (error: unknown) => {
    letGo(body)
    done(exchange.fail(error))
  })
  // What Fastify throws while it sends, about a header say, it catches by itself only where nobody had to wait.
  stored.catch(done)
}

function close (request: FastifyRequest, _reply: FastifyReply, done: Done): void {
  exchangeOf(request)?.close()
  done()
}

/** Looks at the schemes of an instance and the routes in it when all of them are known. */
function inspectWhenReady (app: FastifyInstance, registry: Registry): void {
  const routes = routesOf(app)
  app.addHook('onReady', async () => {
    const planned = routes.flatMap(({ server, route }) => {
      const plan = Registry.of(server)?.check(route)
      return plan === undefined ? [] : [{ route, plan }]
    })
    for (const { scheme, sentence } of inspect({ schemes: registry.own, routes: planned, production: process.env['NODE_ENV'] === 'production' })) {
      app.log.warn({ session: { scheme } }, sentence)
    }
  })
}

/** The routes that are declared in an instance from now on. */
function routesOf (app: FastifyInstance): ReadonlyArray<{ readonly server: FastifyInstance, readonly route: RouteFacts }> {
  const routes: Array<{ server: FastifyInstance, route: RouteFacts }> = []
  app.addHook('onRoute', function (route) { routes.push({ server: this, route }) })
  return routes
}

/** The app itself, seen from any of its contexts. */
export function outermost (app: FastifyInstance): FastifyInstance {
  const around: unknown = Object.getPrototypeOf(app)
  return typeof (around as Partial<FastifyInstance>).addHook === 'function' ? outermost(around as FastifyInstance) : app
}

/**
 * A route that names a session which is registered, but not around it, would stand open. Those that are declared after the
 * plugin stop the boot; those that were there before refuse their requests.
 */
function guardOutside (app: FastifyInstance, registry: Registry): void {
  const routes = routesOf(outermost(app))
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
