import autoload from '@fastify/autoload'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { fastifyRequestContext, requestContext } from '@fastify/request-context'
import view from '@fastify/view'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { Eta } from 'eta'
import Fastify from 'fastify'
import sessionPlugin, { MemoryStore } from 'fastify-openapi-session'
import t from 'tap'
import { ProbeStore } from '../support/probe-store.js'
import { addStory, anyone, Browser, browse, makeApp, signedIn, visit, withName } from './support.js'

declare module '@fastify/request-context' {
  interface RequestContextData { user: string | undefined }
}

for (const first of ['@fastify/request-context', 'the session plugin']) {
  t.test(`@fastify/request-context: a hook puts the user there, and requests are kept apart, with ${first} registered first`, async (t) => {
    const { app } = makeApp(t)
    const store = new ProbeStore(new MemoryStore())
    // As slow as a store on the network.
    store.before = async () => { await new Promise((resolve) => { setImmediate(resolve) }) }
    if (first === '@fastify/request-context') await app.register(fastifyRequestContext)
    await app.register(sessionPlugin, { ...withName, store })
    if (first !== '@fastify/request-context') await app.register(fastifyRequestContext)
    app.addHook('onRequest', async (request) => { requestContext.set('user', request.session.get('name') as string | undefined) })
    addStory(app)
    app.get('/who', { schema: signedIn }, async () => requestContext.get('user'))
    app.get('/open', async () => `open: ${String(requestContext.get('user'))}`)
    const browser = await browse(app)
    const grace = new Browser(browser.url)
    await grace.post('/login', { name: 'grace' })
    await visit(t, browser, async () => {
      const bodies = await Promise.all([browser, grace, browser, grace].map(async (each) => (await each.get('/who')).body))
      t.same(bodies, ['ada', 'grace', 'ada', 'grace'])
      t.equal((await browser.get('/open')).body, 'open: undefined')
    })
  })
}

t.test('@fastify/autoload: plugins and routes in folders find the session', async (t) => {
  const directory = t.testdir({
    plugins: { 'user.mjs': 'export default async (app) => {}' },
    routes: {
      'root.mjs': `
        export default async (app) => {
          app.post('/login', { schema: { security: [{ session: [] }, {}] } }, async (request) => { request.session.start(request.body); return 'welcome' })
          app.post('/logout', { schema: { security: [{ session: [] }, {}] } }, async (request) => { request.session.destroy(); return 'bye' })
        }`,
      me: { 'index.mjs': "export default async (app) => { app.get('/', { schema: { security: [{ session: [] }] } }, async (request) => request.session.data.name) }" },
      open: { 'index.mjs': "export default async (app) => { app.get('/', async (request) => String(request.session.exists)) }" }
    }
  })
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(autoload, { dir: `${directory}/plugins` })
  await app.register(autoload, { dir: `${directory}/routes` })
  const browser = await browse(app)
  await visit(t, browser, async () => { t.equal((await browser.get('/open')).body, 'false') })
})

t.test('@fastify/view: a page shows the user, and a template of every page may ask whether there is a session', async (t) => {
  const root = t.testdir({ 'page.eta': 'Hello <%= it.name ?? "guest" %>' })
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(view, { engine: { eta: new Eta({ views: root }) }, root })
  addStory(app)
  app.addHook('preHandler', async (request, reply) => {
    const locals = reply as unknown as { locals?: object }
    locals.locals = { name: request.session.exists ? request.session.get('name') : undefined }
  })
  app.get('/', { schema: anyone }, async (_request, reply) => await reply.view('page.eta'))
  app.get('/open', async (_request, reply) => await reply.view('page.eta'))
  const browser = await browse(app)
  t.equal((await browser.get('/')).body, 'Hello guest')
  await visit(t, browser, async () => {
    const page = await browser.get('/')
    t.equal(page.body, 'Hello ada')
    t.equal(page.headers.get('cache-control'), 'private, no-cache')
    t.equal((await browser.get('/open')).body, 'Hello guest')
  })
})

t.test('@fastify/otel: requests have their spans, and no span has a cookie', async (t) => {
  const exporter = new InMemorySpanExporter()
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const instrumentation = new FastifyOtelInstrumentation()
  instrumentation.setTracerProvider(provider)
  t.teardown(() => provider.shutdown())
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(instrumentation.plugin() as never)
  await app.register(sessionPlugin, withName)
  addStory(app)
  const browser = await browse(app)
  let cookie = ''
  await visit(t, browser, async () => { cookie = browser.jar.get('__Host-session') as string })
  await provider.forceFlush()
  const spans = exporter.getFinishedSpans()
  for (const name of ['request', 'onRequest - fastify -> @fastify/otel -> fastify-openapi-session']) t.ok(spans.some((span) => span.name === name), name)
  const [, secret = ''] = cookie.split('.')
  t.equal(secret.length, 43)
  const text = JSON.stringify(spans.map(({ name, attributes, events, status }) => ({ name, attributes, events, status })))
  t.notMatch(text, secret)
  t.match(text, /"url.path":"\/me"/)
})
