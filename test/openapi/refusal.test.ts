import t from 'tap'
import swagger, { type SwaggerOptions } from '@fastify/swagger'
import Fastify, { type FastifyInstance } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { appOf, info, nothing, openapi31, statuses } from './documents.js'

const guarded = { schema: { security: [{ session: [] }] } }
const scheme = { session: { type: 'apiKey', in: 'cookie', name: 'session' } as const }

t.test('the document\'s own `security` may not name a session, because it is not enforced there', async (t) => {
  const security = [{ session: [] }]
  const documents: SwaggerOptions[] = [
    { openapi: { ...openapi31, security } },
    { openapi: { ...openapi31, security, components: { securitySchemes: scheme } } },
    { swagger: { info, security, securityDefinitions: { session: { type: 'apiKey', in: 'header', name: 'x' } } } },
    { swagger: { info, security } }
  ]
  for (const options of documents) {
    for (const swaggerFirst of [true, false]) {
      for (const routes of [(app: FastifyInstance) => app.get('/x', nothing), () => {}]) {
        await t.rejects(appOf({ swagger: options, swaggerFirst, routes }), {
          code: 'FST_SESSION_OPTIONS', message: /names "session".*take it out, and give this plugin `security: \[\{ "session": \[\] \}\]`/
        })
      }
    }
  }
  const written = await appOf({
    swagger: { openapi: openapi31, transformObject: (seen) => ({ ...(seen as { openapiObject: object }).openapiObject, security }) },
    routes: (app) => app.get('/x', nothing)
  })
  t.throws(() => written.swagger(), { code: 'FST_SESSION_OPTIONS', message: /names "session"/ }, 'nor may transformObject write it')
  // What the document says about others is the app's own.
  const app = await appOf({
    swagger: { openapi: { ...openapi31, security: [{ bearer: [] }], components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } } } },
    routes: (app) => app.get('/x', guarded, nothing)
  })
  t.same((app.swagger() as any).security, [{ bearer: [] }])
})

t.test('a @fastify/swagger that is ready only later is looked at when the document is asked for', async (t) => {
  const app = Fastify()
  let child: FastifyInstance | undefined
  await app.register(sessionPlugin)
  app.get('/x', nothing)
  await app.register(async (instance) => {
    child = instance
    await instance.register(swagger, { openapi: { ...openapi31, security: [{ session: [] }] } })
    instance.get('/y', nothing)
  })
  await app.ready()
  t.throws(() => child?.swagger(), { code: 'FST_SESSION_OPTIONS', message: /names "session"/ })
})

t.test('a route declared before the plugin gets a sentence, not a TypeError', async (t) => {
  for (const options of [{ openapi: openapi31 }, { openapi: { ...openapi31, components: { securitySchemes: {} } } }, {}]) {
    const app = Fastify()
    await app.register(swagger, options)
    app.get('/early', guarded, nothing)
    await app.register(sessionPlugin)
    app.get('/late', guarded, nothing)
    await t.rejects(async () => { await app.ready() }, {
      code: 'FST_SESSION_OPTIONS',
      message: /@fastify\/swagger cannot make the document: a route that was declared before fastify-openapi-session.*"session".*Write `await app\.register\(sessionPlugin, \.\.\.\)` before that route/,
      cause: { name: 'TypeError' }
    })
  }
})

t.test('a route declared before the plugin is documented where the app defines the scheme', async (t) => {
  const app = Fastify()
  await app.register(swagger, { openapi: { ...openapi31, components: { securitySchemes: scheme } } })
  app.get('/early', guarded, nothing)
  await app.register(sessionPlugin)
  await app.ready()
  const document = app.swagger() as any
  t.same(statuses(document.paths['/early'].get), ['200', '401', '503'])
  t.equal(document.components.securitySchemes.session.name, '__Host-session')
  t.equal((await app.inject('/early')).statusCode, 401)
})

t.test('a scheme of others that the document does not define gets a sentence', async (t) => {
  const both = { schema: { security: [{ session: [] }, { bearer: [] }] } }
  for (const components of [{}, { securitySchemes: {} }]) {
    const app = await appOf({
      swagger: { openapi: { ...openapi31, components } },
      session: { verifiers: { bearer: () => true } },
      routes: (app) => app.get('/x', both, nothing)
    })
    t.throws(() => app.swagger(), { code: 'FST_SESSION_OPTIONS', message: /its option `openapi\.components\.securitySchemes` has to define "bearer"/ })
  }
  for (const options of [{}, { swagger: { securityDefinitions: {} } }]) {
    const app = await appOf({ swagger: options, session: { verifiers: { bearer: () => true } }, routes: (app) => app.get('/x', both, nothing) })
    t.throws(() => app.swagger(), { code: 'FST_SESSION_OPTIONS', message: /its option `swagger\.securityDefinitions` has to define "bearer"/ })
  }
})

t.test('what else goes wrong in @fastify/swagger is told as it is, and undone', async (t) => {
  const lookalike = new RangeError('something else (reading \'type\')')
  for (const failure of [new Error('their transform failed'), lookalike, new TypeError('Cannot read properties of undefined (reading \'theirs\')')]) {
    const security = [{ session: [] }]
    const app = await appOf({
      swagger: { openapi: openapi31, transform: () => { throw failure } },
      routes: (app) => app.get('/x', { schema: { security } }, nothing)
    })
    t.throws(() => app.swagger(), failure)
    t.same(Object.keys(security[0] as object), ['session'])
  }
  const app = Fastify()
  await app.register(sessionPlugin)
  await app.register(swagger, { openapi: openapi31 })
  app.get('/x', guarded, nothing)
  t.throws(() => app.swagger(), /must be called after \.ready\(\)/)
})

t.test('operationIds that no route has stop the boot', async (t) => {
  await t.rejects(appOf({
    session: { openapi: { login: 'signIn', logout: 'signOut', status: 'me' } },
    routes: (app) => app.get('/me', { schema: { operationId: 'me' } }, nothing).get('/x', { schema: {} }, nothing)
  }), { code: 'FST_SESSION_OPTIONS', message: /no route has the operationId "signIn" or "signOut".*There are: me$/ })
  await t.rejects(appOf({ session: { openapi: { login: 'signIn' } }, routes: () => {} }), { message: /There are: none$/ })
})

t.test('a status that is asked without a click is a GET, or stops the boot', async (t) => {
  const appWith = (method: string | string[]): Promise<FastifyInstance> => appOf({
    session: { openapi: { status: 'me' } },
    routes: (app) => app.route({ method, url: '/me', schema: { operationId: 'me' }, handler: nothing })
  })
  for (const method of ['POST', ['POST', 'DELETE']]) {
    await t.rejects(appWith(method), { code: 'FST_SESSION_OPTIONS', message: /the operation "me", which `openapi\.status` names, .* must be a GET/ })
  }
  await appWith(['POST', 'GET'])
})

t.test('operationIds that a transform gives count', async (t) => {
  const app = await appOf({
    session: { openapi: { login: 'post/login' } },
    swagger: { openapi: openapi31, transform: ({ schema, url, route }) => ({ schema: { ...schema, operationId: `${String(route.method).toLowerCase()}${url}` }, url }) },
    routes: (app) => app.post('/login', { schema: { security: [{}, { session: [] }] } }, nothing)
  })
  t.match((app.swagger() as any).components.securitySchemes.session.description, '`POST /login`')
})
