import type { FastifyInstance, FastifyRequest, preHandlerHookHandler } from 'fastify'
import { must } from '../errors.js'
import { Registry } from './registry.js'
import { nameOf, ownSecurity, type RouteFacts } from './route.js'

/** Returns the outermost instance of an app, from any of its contexts. */
export function outermost (app: FastifyInstance): FastifyInstance {
  const around: unknown = Object.getPrototypeOf(app)
  return typeof (around as Partial<FastifyInstance>).addHook === 'function' ? outermost(around as FastifyInstance) : app
}

/**
 * Refuses routes that name a session outside of its context, where no hooks of the plugin would guard them. If such a route is
 * declared after the plugin, the boot fails. If it was declared before, its requests are refused.
 */
export function guardOutside (app: FastifyInstance, registry: Registry): void {
  const routes: Array<{ readonly server: FastifyInstance, readonly route: RouteFacts }> = []
  outermost(app).addHook('onRoute', function (route) { routes.push({ server: this, route }) })
  app.addHook('onReady', async () => {
    for (const { server, route } of routes) refuseUnguarded(server, route, registry)
  })
  const refuseIf = (isAsked: (request: FastifyRequest) => boolean): preHandlerHookHandler => (request, _reply, done) => {
    try {
      if (isAsked(request)) refuseUnguarded(request.server, request.routeOptions, registry)
    } catch (error) {
      return done(error as Error)
    }
    done()
  }
  outermost(app).addHook('onRequest', refuseIf(() => true))
  // reply.callNotFound() runs a not-found handler without its onRequest hooks.
  outermost(app).addHook('preHandler', refuseIf(({ is404 }) => is404))
}

/** @throws `FST_SESSION_OPTIONS` */
function refuseUnguarded (server: FastifyInstance, route: RouteFacts, { own }: Registry): void {
  // A context with a registry refuses such routes when it compiles them.
  if (Registry.of(server) !== undefined) return
  const security = ownSecurity(route)
  const named = Array.isArray(security) ? security.flatMap((requirement: unknown) => Object.keys(Object(requirement) as object)) : []
  const stray = own.find(({ name }) => named.includes(name))?.name
  must(stray === undefined, `${nameOf(route)} names the session "${stray}", which is registered in another context and does not guard it: wrap the plugin that registers it in fastify-plugin, or register it for the whole app`)
}
