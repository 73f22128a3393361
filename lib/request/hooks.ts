import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isPromise } from '../awaitable.js'
import { kRoute, Registry, type RouteConfig } from '../routing/registry.js'
import { outgoing, listenForErrors, release } from './payload.js'
import type { Awaitable } from '../store/store.js'
import { RequestScope } from './scope.js'

const kScope = Symbol('fastify-openapi-session.scope')

/** Contexts within each other may each have the hooks: the first ones that a request meets see it through. */
type Scoped = FastifyRequest & { [kScope]?: { readonly scope: RequestScope, readonly hooks: Registry } | null }
type Done = (error?: Error) => void
type DoneWith = (error?: Error | null, payload?: unknown) => void

/** Adds the hooks that serve all schemes of an instance. */
export function addHooks (app: FastifyInstance, registry: Registry): void {
  if (!app.hasRequestDecorator(kScope)) app.decorateRequest(kScope, null)
  app.addHook('onRequest', (request, reply, done) => { admit(registry, request, reply, done) })
  app.addHook('preHandler', (request, reply, done) => { judgeAgain(registry, request, reply, done) })
  app.addHook('onSend', (request, reply, payload, done) => { finish(registry, request, reply, payload, done) })
}

/** Returns the request's session scope, if its route declares a session. */
export function scopeOf (request: FastifyRequest): RequestScope | undefined {
  return (request as Scoped)[kScope]?.scope
}

function admit (hooks: Registry, request: FastifyRequest, reply: FastifyReply, done: Done): void {
  // (Requests of a context that was there before the plugin do not know the decorator: it is absent there, not null.)
  if (scopeOf(request) !== undefined) return done()
  let plan
  try {
    const route = request.routeOptions
    if (route.url !== undefined) plan = (route.config as RouteConfig)[kRoute]?.plan
    // It is not compiled yet: the route was declared before the plugin, the app is not ready, or it is a not-found handler.
    if (plan === undefined) plan = (Registry.of(request.server) as Registry).plan(route)
  } catch (error) {
    return done(error as Error)
  }
  if (plan === null) return done()
  const scope = new RequestScope(request, reply, plan)
  ;(request as Scoped)[kScope] = { scope, hooks }
  settle(scope, () => scope.admit(), done)
}

function judgeAgain (hooks: Registry, request: FastifyRequest, reply: FastifyReply, done: Done): void {
  const found = (request as Scoped)[kScope]
  // reply.callNotFound() leads to the not-found handler from here on, past the hooks before.
  if (found == null && request.is404) return admit(hooks, request, reply, done)
  if (found?.hooks !== hooks) return done()
  const { scope } = found
  settle(scope, () => scope.judgeAgain(request.is404 ? (Registry.of(request.server) as Registry).plan(request.routeOptions) : null), done)
}

/** Does the work of a hook and ends the hook, once: what the rest of the request throws inside of `done` is not its failure. */
function settle (scope: RequestScope, work: () => Awaitable<void>, done: Done): void {
  let pending: Awaitable<void>
  try {
    pending = work()
  } catch (error) {
    return done(scope.fail(error))
  }
  if (isPromise(pending)) pending.then(() => done(), (error: unknown) => done(scope.fail(error)))
  else done()
}

function finish (hooks: Registry, request: FastifyRequest, reply: FastifyReply, payload: unknown, done: DoneWith): void {
  const found = (request as Scoped)[kScope]
  if (found?.hooks !== hooks) return done()
  const { scope } = found
  // Fastify ignores a second response once the first has begun. While its session is being saved, the first has.
  if (scope.interrupt(payload)) {
    return request.log.warn('Response already being sent; the second one was dropped. Return or await reply in async handlers.')
  }
  const response = outgoing(payload, reply)
  const { body } = response
  const fail = (error: unknown): void => {
    release(body)
    done(scope.fail(error))
  }
  let finished: Awaitable<void>
  try {
    finished = scope.finish(response)
  } catch (error) {
    return fail(error)
  }
  if (!isPromise(finished)) return done(null, body)
  listenForErrors(body)
  // What Fastify throws while it sends, because of a header for example, it catches only in synchronous hooks.
  Promise.resolve(finished.then(() => done(null, body), fail)).catch(done)
}
