import type { FastifyInstance, FastifyRequest } from 'fastify'
import { SealedCookie } from './backend/sealed.js'
import { must } from './errors.js'
import { createManager } from './manager/manager.js'
import { documentSession } from './openapi/swagger/index.js'
import { readOptions } from './options/read.js'
import { createScheme, type Scheme } from './options/scheme.js'
import type { SessionOptions } from './options/types.js'
import { mistakesOf, watchOrder } from './options/warnings.js'
import { addHooks, scopeOf } from './request/hooks.js'
import { PublicSession } from './request/public-session.js'
import { guardOutside, outermost, Registry } from './routing/registry.js'

/** Registers one session scheme: reads its options, decorates the app and, for an instance's first scheme, guards its routes. */
export async function sessionPlugin (app: FastifyInstance, options: SessionOptions<any, any>): Promise<void> {
  const scheme = createScheme(await readOptions(options, app), app.log)
  const nearest = Registry.of(app)
  const registry = nearest?.instance === app ? nearest : guard(app)
  registry.add(scheme)
  decorate(app, scheme)
  documentSession(app, scheme, registry)
  observe(app, scheme)
  app.addHook('onClose', async () => { await scheme.stored?.close() })
}

/** Guards the routes of an instance, once for all of its schemes. */
function guard (app: FastifyInstance): Registry {
  const registry = new Registry(app)
  const isOutermost = outermost(app) === app
  const mistakesOfOrder = watchOrder(app)
  if (!isOutermost) guardOutside(app, registry)
  app.addHook('onReady', async () => {
    const declared = registry.compileAll()
    for (const sentence of mistakesOfOrder(isOutermost && declared.length === 0)) app.log.warn(sentence)
    const planned = declared.flatMap(({ route, plan }) => plan == null ? [] : [{ route, plan }])
    for (const scheme of registry.own) {
      for (const sentence of mistakesOf(scheme, planned)) app.log.warn({ session: { scheme: scheme.name } }, sentence)
    }
    const { requestTimeout } = app.initialConfig as { requestTimeout?: number }
    if (process.env['NODE_ENV'] === 'production' && requestTimeout === 0) app.log.info('requestTimeout is 0, so a client may take any time to send the body of a request: write Fastify({ requestTimeout: 120_000 }), or limit requests in the proxy')
  })
  addHooks(app, registry)
  return registry
}

function decorate (app: FastifyInstance, scheme: Scheme): void {
  const { name } = scheme
  // Fastify sets these fields on each request object. `hasRequestDecorator` knows its other members.
  const isField = ['id', 'params', 'raw', 'query', 'log', 'body'].includes(name)
  const isTaken = isField || app.hasRequestDecorator(name) || app.hasDecorator(name)
  must(!isTaken, `request.${name} or app.${name} exists already, from Fastify or from another plugin (another session plugin, for example): remove that one, or use another name, such as scheme: "mySession"`)
  const closing = new AbortController()
  app.addHook('preClose', async () => { closing.abort() })
  app.decorate(name, createManager(scheme, closing.signal))
  app.decorateRequest(name, {
    getter (this: FastifyRequest) {
      const handle = scopeOf(this)?.session(name)
      return handle === undefined ? new PublicSession(this, name) : handle.public ??= new PublicSession(this, name, handle)
    }
  })
}

function observe (app: FastifyInstance, { settings: { store }, reportOn }: Scheme): void {
  if (store instanceof SealedCookie) return
  if (store.warning !== undefined) app.log.warn(store.warning)
  let hasEvicted = false
  store.observe?.((report) => {
    if (report.kind === 'failed') return app.log.error({ err: report.error }, `session store: ${report.task} failed`)
    if (report.kind === 'damaged') return reportOn()({ type: 'discarded', reason: 'damaged', id: report.id })
    if (!hasEvicted) app.log.warn('the session store is full and ends live sessions, those without a principal first: raise its limits, or use another store')
    hasEvicted = true
    reportOn()({ type: 'destroyed', reason: 'evicted' }, { id: report.id, principal: report.principal })
  })
}
