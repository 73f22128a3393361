import t from 'tap'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import sessionPlugin, { type Adoption } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { appOf, documentOf, faultsOf, info, nothing, openapi30, openapi31, statuses, type Recipe } from './documents.js'

const guarded = { schema: { security: [{ session: [] }] } }
const roles = (): string[] => []

t.test('both orders of registration and both versions of OpenAPI give a valid document', async (t) => {
  for (const openapi of [openapi30, openapi31, { info }]) {
    const recipe: Recipe = {
      swagger: { openapi },
      session: { roles },
      routes: (app) => app
        .get('/open', nothing)
        .get('/me', guarded, nothing)
        .delete('/all', { schema: { security: [{ session: ['admin'] }], response: { 204: { type: 'null' } } } }, nothing)
    }
    const first = await documentOf(recipe)
    t.same(await faultsOf(first), [])
    t.same(statuses(first.paths['/me'].get), ['200', '401', '503'])
    t.same(statuses(first.paths['/all'].delete), ['204', '401', '403', '503'])
    t.same(await documentOf({ ...recipe, swaggerFirst: false }), first)
  }
})

t.test('role names stand in `security` in OpenAPI 3.1, and in an extension in 3.0, which does not allow them there', async (t) => {
  const security = [{ session: ['admin'], csrf: [] }, { session: [], oauth: ['read'] }]
  const components = {
    securitySchemes: {
      csrf: { type: 'apiKey', in: 'header', name: 'x-csrf' } as const,
      oauth: { type: 'oauth2', flows: { clientCredentials: { tokenUrl: '/token', scopes: { read: 'read' } } } } as const
    }
  }
  const operation = async (openapi: object): Promise<any> => {
    const document = await documentOf({
      swagger: { openapi: { ...openapi, info, components } },
      session: { roles, verifiers: { csrf: () => true, oauth: () => true } },
      routes: (app) => app.get('/x', { schema: { security } }, nothing).get('/me', guarded, nothing)
    })
    t.same(await faultsOf(document), [])
    t.notOk(document.paths['/me'].get['x-required-roles'], 'nothing to say where no roles are named')
    return document.paths['/x'].get
  }
  const in31 = await operation(openapi31)
  t.same(in31.security, security)
  t.notOk(in31['x-required-roles'])
  const in30 = await operation(openapi30)
  t.same(in30.security, [{ session: [], csrf: [] }, { session: [], oauth: ['read'] }])
  t.same(in30['x-required-roles'], security)
})

t.test('operations that do not declare the scheme are untouched, byte for byte', async (t) => {
  const plain = { schema: { operationId: 'plain', summary: 'Plain', security: [], querystring: { type: 'object', properties: { q: { type: 'string' } } }, response: { 200: { type: 'string' }, 404: { type: 'object' } } } }
  const theirs = { schema: { security: [{ bearer: [] }], headers: { type: 'object', properties: { authorization: { type: 'string' }, other: { type: 'string' } } } } }
  const components = { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } as const }, schemas: { Thing: { type: 'object' as const } } }
  const routes = (app: ReturnType<typeof Fastify>): unknown => app.get('/plain', plain, nothing).post('/bare', nothing).get('/theirs/:id', theirs, nothing)
  const options = { openapi: { ...openapi31, components }, exposeHeadRoutes: true }
  const before = Fastify()
  await before.register(swagger, options)
  await routes(before)
  await before.ready()
  const after = await documentOf({ swagger: options, session: { verifiers: { bearer: () => true } }, routes: (app) => { routes(app); app.get('/me', guarded, nothing) } })
  const { '/me': me, ...others } = after.paths
  t.ok(me)
  t.equal(JSON.stringify(others), JSON.stringify(before.swagger().paths))
  t.same(after.components.schemas.Thing, { type: 'object' })
  t.same(after.components.securitySchemes.bearer, { type: 'http', scheme: 'bearer' })
})

t.test('what the app wrote about a status stays, and covers it', async (t) => {
  const answer = (...keys: string[]): object => Object.fromEntries(keys.map((key) => [key, { type: 'object', description: key }]))
  const document = await documentOf({
    routes: (app) => app
      .post('/own', { schema: { security: [{ session: [] }], response: answer('200', '401', '403') } }, nothing)
      .post('/range', { schema: { security: [{ session: [] }], response: answer('2xx', '4xx') } }, nothing)
      .post('/default', { schema: { security: [{ session: [] }], response: answer('200', 'default') } }, nothing)
  })
  t.same(statuses(document.paths['/own'].post), ['200', '401', '403', '503'])
  t.equal(document.paths['/own'].post.responses['401'].description, '401')
  t.same(statuses(document.paths['/range'].post), ['503', '2XX', '4XX'])
  t.ok(document.paths['/range'].post.responses['2XX'].headers['Set-Cookie'])
  t.same(statuses(document.paths['/default'].post), ['200', 'default'])
  t.same(await faultsOf(document), [])
})

t.test('Set-Cookie is a header of success and redirect responses, once shared', async (t) => {
  const document = await documentOf({
    routes: (app) => app.post('/login', {
      schema: {
        security: [{}, { session: [] }],
        response: {
          201: { type: 'string', headers: { 'x-other': { type: 'string' } } },
          202: { type: 'string', headers: { 'set-cookie': { type: 'string', description: 'Their own.' } } },
          302: { type: 'null' },
          404: { type: 'string' }
        }
      }
    }, nothing)
  })
  const { responses } = document.paths['/login'].post
  t.same(Object.keys(responses['201'].headers), ['x-other', 'Set-Cookie'])
  t.same(responses['201'].headers['Set-Cookie'], { $ref: '#/components/headers/SessionCookie' })
  t.same(responses['202'].headers, { 'set-cookie': { schema: { type: 'string' }, description: 'Their own.' } })
  t.same(responses['302'].headers, { 'Set-Cookie': { $ref: '#/components/headers/SessionCookie' } })
  t.notOk(responses['404'].headers)
  t.match(document.components.headers.SessionCookie.description, '`__Host-session`')
  t.same(await faultsOf(document), [])
})

t.test('headers of other plugins are on all responses of operations that name the session, unless the route has its own', async (t) => {
  const RateLimit = { description: 'What is left.', schema: { type: 'string' } }
  const document = await documentOf({
    session: { openapi: { headers: { RateLimit } } },
    routes: (app) => {
      app.get('/me', { schema: { security: [{ session: [] }], response: { 200: { type: 'string', headers: { ratelimit: { type: 'string' } } }, 404: { type: 'string' } } } }, nothing)
      app.get('/open', nothing)
    }
  })
  const { responses } = document.paths['/me'].get
  const shared = { RateLimit: { $ref: '#/components/headers/RateLimit' } }
  t.same(document.components.headers.RateLimit, RateLimit)
  t.same(Object.keys(responses['200'].headers), ['ratelimit', 'Set-Cookie'])
  t.same(responses['404'].headers, shared)
  t.match(document.components.responses.SessionRequired.headers, { 'WWW-Authenticate': {}, ...shared })
  t.match(document.components.responses.SessionUnavailable.headers, { 'Retry-After': {}, ...shared })
  t.notOk(document.paths['/open'].get.responses['200'].headers)
  t.same(await faultsOf(document), [])
})

t.test('components of the app keep their names', async (t) => {
  const theirs = { type: 'object', description: 'Theirs' } as const
  const document = await documentOf({
    swagger: { openapi: { ...openapi31, components: { schemas: { SessionError: theirs, SessionError2: theirs }, headers: { SessionCookie: { description: 'Theirs', schema: {} } } } } },
    routes: (app) => app.get('/me', guarded, nothing)
  })
  t.same(document.components.schemas.SessionError, theirs)
  t.equal(document.components.responses.SessionRequired.content['application/json'].schema.$ref, '#/components/schemas/SessionError3')
  t.same(document.paths['/me'].get.responses['200'].headers['Set-Cookie'], { $ref: '#/components/headers/SessionCookie2' })
  t.same(await faultsOf(document), [])
})

t.test('the default of the plugin is documented on the routes it holds for', async (t) => {
  const document = await documentOf({
    session: { security: [{ session: [] }] },
    fastify: { exposeHeadRoutes: true },
    swagger: { openapi: openapi31, exposeHeadRoutes: true },
    routes: (app) => app
      .get('/plain', nothing)
      .get('/named', { schema: { operationId: 'named' } }, nothing)
      .get('/open', { schema: { security: [] } }, nothing)
      .options('/plain', nothing)
      .route({ method: ['GET', 'OPTIONS'], url: '/both', handler: nothing })
      .route({ method: ['GET', 'OPTIONS'], url: '/own', schema: { security: [{ session: [] }] }, handler: nothing })
  })
  for (const operation of [document.paths['/plain'].get, document.paths['/plain'].head, document.paths['/named'].get, document.paths['/named'].head]) {
    t.same(operation.security, [{ session: [] }])
    t.same(statuses(operation), ['200', '401', '503'])
  }
  t.equal(document.paths['/named'].head.operationId, 'named-head')
  t.same(document.paths['/open'].get.security, [])
  t.same(statuses(document.paths['/open'].get), ['200'])
  t.notOk('security' in document.paths['/plain'].options)
  t.same(statuses(document.paths['/both'].get), ['200', '401', '503'])
  t.same(document.paths['/both'].options.security, [{ session: [] }])
  t.same(statuses(document.paths['/both'].options), ['200', '401', '503'])
  t.same(statuses(document.paths['/own'].options), ['200', '401', '503'])
  t.notMatch(JSON.stringify(document), 'x-fastify-openapi-session')
  t.same(await faultsOf(document), [])
})

t.test('503 is documented where a store may be asked, be it only for the sessions of before', async (t) => {
  const store = sealedCookie({ keys: [makeKey()] })
  const adopt: Adoption = { cookieName: 'old', identify: (value) => value, find: async () => { throw new Error('the old store is down') } }
  for (const [session, expected] of [[{ store }, ['200', '401']], [{ store, adopt }, ['200', '401', '503']]] as const) {
    const app = await appOf({ session, routes: (app) => app.get('/me', guarded, nothing) })
    t.same(statuses((app.swagger() as any).paths['/me'].get), expected)
    t.equal((await app.inject({ url: '/me', headers: { cookie: 'old=1' } })).statusCode, 'adopt' in session ? 503 : 401)
  }
})

t.test('of two defaults the nearer one is documented, in whatever order the documents are found', async (t) => {
  const app = Fastify()
  await app.register(sessionPlugin, { security: [{ session: [] }] })
  await app.register(async (child) => {
    await child.register(swagger, { openapi: openapi31 })
    await child.register(sessionPlugin, { scheme: 'tenant', cookie: { name: '__Host-tenant' }, security: [{ tenant: [] }] } as never)
    child.get('/near', nothing)
    child.after(() => t.ok(child.hasDecorator('swagger')))
    child.addHook('onReady', async () => { t.same((child.swagger() as any).paths['/near'].get.security, [{ tenant: [] }]) })
  })
  await app.ready()
  t.equal((await app.inject('/near')).headers['www-authenticate'], 'Cookie cookie-name="__Host-tenant"')
})

t.test('HEAD routes, named or not, say what their GET routes say', async (t) => {
  for (const swaggerFirst of [true, false]) {
    const document = await documentOf({
      swaggerFirst,
      swagger: { openapi: openapi31, exposeHeadRoutes: true },
      routes: (app) => app
        .get('/named', { schema: { operationId: 'named', security: [{ session: [] }] } }, nothing)
        .post('/named', { schema: { operationId: 'another', security: [] } }, nothing)
        .get('/unnamed', guarded, nothing)
        .put('/unnamed', { schema: { operationId: 'undefined-head', security: [] } }, nothing)
        .head('/own', { schema: { operationId: 'own', security: [{ session: [] }] } }, nothing)
    })
    t.same(statuses(document.paths['/named'].head), ['200', '401', '503'])
    t.same(document.paths['/named'].head.security, [{ session: [] }])
    t.same(statuses(document.paths['/unnamed'].head), ['200', '401', '503'])
    t.same(document.paths['/named'].post.security, [])
    t.same(document.paths['/unnamed'].put.security, [])
    t.equal(document.paths['/own'].head.operationId, 'own-head')
    t.same(statuses(document.paths['/own'].head), ['200', '401', '503'])
    t.same(await faultsOf(document), [])
  }
})

t.test('frozen lists are documented too', async (t) => {
  const security = Object.freeze([Object.freeze({ session: Object.freeze([]) })])
  const document = await documentOf({ routes: (app) => app.get('/x', { schema: { security } }, nothing) })
  t.same(document.paths['/x'].get.security, [{ session: [] }])
  t.same(statuses(document.paths['/x'].get), ['200', '401', '503'])

  const app = await appOf({
    swagger: { openapi: openapi31, exposeHeadRoutes: true },
    routes: (app) => app.get('/x', { schema: { operationId: 'x', security } }, nothing)
  })
  t.throws(() => app.swagger(), { code: 'FST_SESSION_OPTIONS', message: /the `security` of HEAD \/x names "session" and is frozen.*`exposeHeadRoute: false`/ })
})

t.test('one route of several methods has the answers of each', async (t) => {
  const { paths } = await documentOf({
    routes: (app) => app.route({ method: ['GET', 'POST'], url: '/both', schema: { security: [{ session: [] }] }, handler: nothing })
  })
  t.same(statuses(paths['/both'].get), ['200', '401', '503'])
  t.same(statuses(paths['/both'].post), ['200', '401', '403', '503'])
})

t.test('methods that only OpenAPI 3.2 can describe', async (t) => {
  const { paths } = await documentOf({
    swagger: { openapi: { openapi: '3.2.0', info } },
    routes: (app) => {
      app.addHttpMethod('PROPFIND')
      app.route({ method: 'PROPFIND', url: '/dav', schema: { security: [{ session: [] }] }, handler: nothing })
      app.route({ method: 'PROPFIND', url: '/open', handler: nothing })
    }
  })
  t.same(statuses(paths['/dav'].additionalOperations.PROPFIND), ['200', '401', '403', '503'])
  t.same(statuses(paths['/open'].additionalOperations.PROPFIND), ['200'])
})

t.test('prefixes, stripped base paths, and contexts in contexts', async (t) => {
  const document = await documentOf({
    swagger: { openapi: { ...openapi31, servers: [{ url: '/api' }] } },
    routes: (app) => app.register(async (v1) => {
      v1.get('/me', guarded, nothing)
      await v1.register(async (deep) => { deep.get('/', guarded, nothing) }, { prefix: '/deep' })
    }, { prefix: '/api/v1' })
  })
  t.same(Object.keys(document.paths), ['/v1/me', '/v1/deep/'])
  for (const path of ['/v1/me', '/v1/deep/']) t.same(statuses(document.paths[path].get), ['200', '401', '503'], path)
})

t.test('a decorator of another name, and several documents in one app', async (t) => {
  const app = Fastify()
  await app.register(swagger, { openapi: openapi31, decorator: 'internal' })
  await app.register(sessionPlugin, { openapi: { decorator: 'internal' } })
  app.get('/me', guarded, nothing)
  await app.ready()
  t.same(statuses((app as any).internal().paths['/me'].get), ['200', '401', '503'])

  const two = Fastify()
  const documents: any[] = []
  await two.register(sessionPlugin)
  for (const prefix of ['/v1', '/v2']) {
    await two.register(async (version) => {
      await version.register(swagger, { openapi: openapi31 })
      version.get('/me', guarded, nothing)
      version.addHook('onReady', async () => { documents.push(version.swagger()) })
    }, { prefix })
  }
  await two.ready()
  t.same(documents.map(({ paths }) => Object.keys(paths)), [['/v1/me'], ['/v2/me']])
  for (const document of documents) t.same(await faultsOf(document), [])
  t.same(statuses(documents[1].paths['/v2/me'].get), ['200', '401', '503'])
})

t.test('one document cannot have two schemes of one name', async (t) => {
  const app = Fastify()
  await app.register(swagger, { openapi: openapi31 })
  for (const name of ['__Host-a', '__Host-b']) app.register(async (child) => { await child.register(sessionPlugin, { cookie: { name } }) })
  await t.rejects(async () => { await app.ready() }, {
    code: 'FST_SESSION_OPTIONS', message: /cannot tell two schemes "session" apart.*"__Host-a".*"__Host-b".*another `scheme`/
  })
})

t.test('without @fastify/swagger', async (t) => {
  const app = Fastify()
  await app.register(sessionPlugin, { openapi: { login: 'nowhere' } })
  app.get('/me', guarded, nothing)
  t.equal((await app.inject('/me')).statusCode, 401)
})

t.test('the document is complete for whoever asks for it as soon as it can be asked for', async (t) => {
  const complete = (app: ReturnType<typeof Fastify>) => async (): Promise<void> => {
    t.same(statuses((app.swagger() as any).paths['/me'].get), ['200', '401', '503'])
  }
  const first = Fastify()
  await first.register(swagger, { openapi: openapi31 })
  first.addHook('onReady', complete(first))
  await first.register(sessionPlugin)
  first.get('/me', guarded, nothing)
  await first.ready()

  const last = Fastify()
  await last.register(sessionPlugin)
  await last.register(swagger, { openapi: openapi31 })
  last.addHook('onReady', complete(last))
  last.get('/me', guarded, nothing)
  await last.ready()
})
