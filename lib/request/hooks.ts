import type { DoneFuncWithErrOrRes, FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { isPromise } from '../awaitable.js'
import { kRoute, Registry, type RouteConfig } from '../routing/registry.js'
import type { Plan } from '../routing/route.js'
import type { Awaitable } from '../store/store.js'
import { listenForErrors, outgoing, release } from './payload.js'
import { RequestScope } from './scope.js'

const kScope = Symbol('fastify-openapi-session.scope')

type Scoped = FastifyRequest & { [kScope]?: RequestScope | null }

/** Adds the hooks that serve all schemes of an instance. */
export function addHooks (app: FastifyInstance, registry: Registry): void {
  if (!app.hasRequestDecorator(kScope)) app.decorateRequest(kScope, null)
  app.addHook('onRequest', (request, reply, done) => { onRequest(registry, request, reply, done) })
  app.addHook('preHandler', (request, reply, done) => { onPreHandler(registry, request, reply, done) })
  app.addHook('onSend', (request, reply, payload, done) => { onSend(registry, request, reply, payload, done) })
}

/** Returns the request's session scope, if its route declares a session. */
export function scopeOf (request: FastifyRequest): RequestScope | undefined { return (request as Scoped)[kScope] ?? undefined }

function onRequest (hooks: Registry, request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  // The property is absent, not null, in a context that was created before the plugin was registered.
  if (scopeOf(request) !== undefined) return done()
  const route = request.routeOptions
  let plan = route.url === undefined ? undefined : (route.config as RouteConfig)[kRoute]?.plan
  // There is no plan yet if the route was declared before the plugin, the app is not ready, or this is a not-found handler.
  if (plan === undefined) plan = findPlan(request)
  if (plan === null) return done()
  const scope = (request as Scoped)[kScope] = new RequestScope(request, reply, plan, hooks)
  void runHook(scope, scope.load, undefined, done)
}

/** @throws `FST_SESSION_OPTIONS`, with which Fastify then responds */
const findPlan = ({ server, routeOptions }: FastifyRequest): Plan | null => (Registry.of(server) as Registry).plan(routeOptions)

function onPreHandler (hooks: Registry, request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const scope = scopeOf(request)
  // reply.callNotFound() runs the not-found handler from its preHandler hooks on, without its onRequest hooks.
  if (scope === undefined && request.is404) return onRequest(hooks, request, reply, done)
  if (scope?.hooks !== hooks) return done()
  void runHook(scope, scope.recheck, findPlan, done)
}

/** Runs a hook and calls `done` once, outside of the `try`: errors of later steps are not errors of this hook. */
function runHook<T> (
  scope: RequestScope, step: (this: RequestScope, argument: T) => Awaitable<void>, argument: T, done: HookHandlerDoneFunction
): PromiseLike<void> | undefined {
  let failure: Error | undefined
  try {
    const pending = step.call(scope, argument)
    if (isPromise(pending)) return pending.then(() => done(), (error: unknown) => done(scope.fail(error)))
  } catch (error) {
    failure = scope.fail(error)
  }
  done(failure)
}

function onSend (hooks: Registry, request: FastifyRequest, reply: FastifyReply, payload: unknown, done: DoneFuncWithErrOrRes): void {
  const scope = scopeOf(request)
  if (scope?.hooks !== hooks) return done()
  // Fastify ignores a second response once the first has begun. Here a response has begun once its sessions are being saved.
  if (scope.interrupt(payload)) return request.log.warn('Response already being sent; the second one was dropped. Return or await reply in async handlers.')
  const response = outgoing(payload, reply)
  const pending = runHook(scope, scope.finish, response, (error) => {
    if (error === undefined) return done(null, response.body)
    release(response.body)
    done(error)
  })
  if (pending === undefined) return
  listenForErrors(response.body)
  // Fastify may throw while it sends, for example because of a header. It catches that only for synchronous hooks.
  Promise.resolve(pending).catch(done)
}
