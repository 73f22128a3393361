import t, { type Test } from 'tap'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { appOf, documentOf, faultsOf, nothing, openapi30, openapi31, statuses } from './documents.js'

type Transform = NonNullable<FastifyDynamicSwaggerOptions['transform']>

/** Freezes or seals an object and everything in it that is not a function. */
function fix (value: unknown, how: (object: object) => unknown, seen = new Set<unknown>()): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  for (const key of Reflect.ownKeys(value)) fix(Reflect.get(value, key), how, seen)
  how(value)
}

/** Changes each schema, each requirement and each list of roles that it can get hold of. */
const vandal: Transform = ({ schema, url, route }) => {
  for (const requirement of schema.security ?? []) {
    for (const name of Reflect.ownKeys(requirement)) {
      const roles: unknown = Reflect.get(requirement, name)
      if (Array.isArray(roles)) roles.push('another')
      Reflect.deleteProperty(requirement, name)
    }
  }
  Reflect.set(schema.security ?? [], 'length', 0)
  Reflect.set(schema, 'security', [{}])
  Reflect.set(route, 'schema', { security: [{}] })
  return { schema, url }
}

const transforms: Record<string, Transform> = {
  'freezes what it gets': ({ schema, url, route }) => {
    fix(schema, Object.freeze)
    Object.freeze(route)
    return { schema, url }
  },
  'seals what it gets': ({ schema, url, route }) => {
    fix(schema, Object.seal)
    Object.seal(route)
    return { schema, url }
  },
  'prevents extensions of what it gets': ({ schema, url, route }) => {
    fix(schema, Object.preventExtensions)
    Object.preventExtensions(route)
    return { schema, url }
  },
  'changes what it gets': vandal,
  throws: () => { throw new Error('their transform failed') },
  'throws undefined': () => { throw undefined }
}

interface Subject {
  readonly app: FastifyInstance
  /** The objects of the app itself. */
  readonly objects: object[]
  readonly routes: RouteOptions[]
}

const either = [{ session: ['admin'] }, { session: [] }]

/** An app with a guarded route in each form, on which no request has come yet. */
async function subject (options: FastifyDynamicSwaggerOptions, operationId?: string): Promise<Subject> {
  const routes: RouteOptions[] = []
  const own = { ...(operationId !== undefined && { operationId }), security: structuredClone(either) }
  const app = await appOf({
    swagger: { openapi: openapi31, ...options },
    session: { roles: () => [], security: [{ session: [] }] },
    routes: (app) => {
      app.addHook('onRoute', (route) => { routes.push(route) })
      app.get('/own', { schema: own }, nothing).get('/default', nothing).post('/both', { schema: { ...own, operationId: 'both' } }, nothing)
    }
  })
  return { app, routes, objects: [own, own.security, ...own.security, ...own.security.map(({ session }) => session)] }
}

const describe = (object: object): unknown => [Object.isFrozen(object), Object.getOwnPropertyDescriptors(object)]

async function isGuarded (t: Test, app: FastifyInstance): Promise<void> {
  for (const [method, url] of [['GET', '/own'], ['HEAD', '/own'], ['GET', '/default'], ['POST', '/both']] as const) {
    t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
  }
}

t.test('every route stays guarded, whatever a transform does to what it receives', async (t) => {
  for (const [title, transform] of Object.entries(transforms)) {
    for (const openapi of [openapi30, openapi31]) {
      const { app } = await subject({ openapi, transform })
      for (const yaml of [false, true]) {
        try { app.swagger({ yaml } as never) } catch {}
      }
      t.comment(title)
      await isGuarded(t, app)
    }
  }
})

t.test('the objects of the app are as they were after a document was made, or could not be made', async (t) => {
  for (const [title, transform] of Object.entries(transforms)) {
    const { app, objects, routes } = await subject({ transform })
    const before = objects.map(describe)
    const schemas = routes.map(({ schema, config }) => [schema, config])
    try { app.swagger() } catch {}
    t.same(objects.map(describe), before, title)
    for (const [index, { schema, config }] of routes.entries()) {
      t.equal(schema, schemas[index]?.[0], `${title}: the schema of a route object`)
      t.equal(config, schemas[index]?.[1], `${title}: the config of a route object`)
    }
  }
})

t.test('a transform that freezes, seals or changes what it receives has a complete document all the same', async (t) => {
  for (const [title, transform] of Object.entries(transforms)) {
    if (title.startsWith('throws')) continue
    const { app } = await subject({ transform })
    const document = app.swagger() as any
    t.same(await faultsOf(document), [], title)
    if (transform === vandal) continue
    t.same(document.paths['/own'].get.security, either, title)
    t.same(document.paths['/default'].get.security, [{ session: [] }], title)
    t.same(statuses(document.paths['/both'].post), ['200', '401', '403', '503'], title)
    t.equal(app.swagger(), document, `${title}: once more`)
  }
})

t.test('HEAD routes with an operationId leave nothing hidden behind, or give one sentence that names the route', async (t) => {
  for (const [title, transform] of Object.entries(transforms)) {
    const { app, objects } = await subject({ transform, exposeHeadRoutes: true }, 'own')
    const before = objects.map((object) => Object.keys(object))
    let error: any
    try { app.swagger() } catch (thrown) { error = thrown }
    // @fastify/swagger itself hands the objects of the app to the transform here.
    if (transform !== vandal) t.same(objects.map((object) => Object.keys(object)), before, title)
    if (title.startsWith('freezes') || title.startsWith('seals')) {
      t.match(error, { code: 'FST_SESSION_OPTIONS', message: /the `security` of HEAD \/own names "session" and is frozen/ }, title)
    }
    await isGuarded(t, app)
  }
})

t.test('a HEAD route that a transform freezes after the first attempt gives the sentence too', async (t) => {
  let calls = 0
  const { app } = await subject({
    exposeHeadRoutes: true,
    transform: ({ schema, url, route }) => {
      if (route.method === 'HEAD' && ++calls > 1) fix(schema.security, Object.freeze)
      return { schema, url }
    }
  }, 'own')
  t.throws(() => app.swagger(), { code: 'FST_SESSION_OPTIONS', message: /the `security` of HEAD \/own names "session"/ })
  await isGuarded(t, app)
})

t.test('frozen HEAD routes are documented if the app defines the scheme', async (t) => {
  const security = Object.freeze([Object.freeze({ session: Object.freeze([]) })])
  const { paths } = await documentOf({
    swagger: {
      openapi: { ...openapi31, components: { securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: '__Host-session' } } } },
      exposeHeadRoutes: true
    },
    routes: (app) => app.get('/x', { schema: { operationId: 'x', security } }, nothing)
  })
  for (const method of ['get', 'head']) {
    t.same(paths['/x'][method].security, [{ session: [] }])
    t.same(statuses(paths['/x'][method]), ['200', '401', '503'])
  }
})

t.test('a request that a transform sends is judged like any other', async (t) => {
  for (const operationId of ['own', undefined]) {
    const answers: Array<Promise<number | undefined>> = []
    const made: FastifyInstance[] = []
    const { app } = await subject({
      exposeHeadRoutes: true,
      transform: ({ schema, url }) => {
        // With a callback, the request starts at once.
        for (const url of ['/own', '/default']) {
          answers.push(new Promise((resolve) => { made[0]?.inject(url, (_error, response) => resolve(response?.statusCode)) }))
        }
        return { schema, url }
      }
    }, operationId)
    made.push(app)
    app.swagger()
    t.ok(answers.length > 0)
    for (const answer of answers) t.equal(await answer, 401)
  }
})

t.test('a transform may ask for the document itself', async (t) => {
  for (const freeze of [false, true]) {
    const made: FastifyInstance[] = []
    let inner: any
    const { app } = await subject({
      transform: ({ schema, url, route }) => {
        if (freeze) Object.freeze(route)
        const ask = made.pop()
        if (ask !== undefined) inner = ask.swagger()
        return { schema, url }
      }
    })
    made.push(app)
    const outer = app.swagger() as any
    for (const { paths } of [inner, outer]) {
      t.same(paths['/own'].get.security, either)
      t.same(statuses(paths['/default'].get), ['200', '401', '503'])
    }
    t.notMatch(JSON.stringify([inner, outer]), 'x-fastify-openapi-session')
    await isGuarded(t, app)
  }
})

t.test('a route object that is frozen or sealed before the document is made is guarded and documented', async (t) => {
  for (const fixed of [Object.freeze, Object.seal]) {
    const app = Fastify()
    await app.register(swagger, { openapi: openapi31 })
    await app.register(sessionPlugin, { security: [{ session: [] }] })
    const routes: RouteOptions[] = []
    app.addHook('onRoute', (route) => { routes.push(route) })
    app.get('/fixed', { schema: { security: [{ session: [] }] } }, nothing).get('/default', nothing)
    await app.ready()
    for (const route of routes) fixed(route)
    const { paths } = app.swagger() as any
    for (const url of ['/fixed', '/default']) {
      t.same(statuses(paths[url].get), ['200', '401', '503'], url)
      t.equal((await app.inject(url)).statusCode, 401, url)
    }
  }
})

t.test('a schema that a later onRoute hook gives a route is documented', async (t) => {
  const { paths } = await documentOf({
    swagger: { openapi: openapi31, exposeHeadRoutes: true },
    routes: (app) => {
      app.addHook('onRoute', (route) => { route.schema = { ...route.schema, operationId: `${String(route.method)} ${route.url}`, security: [{ session: [] }] } })
      app.get('/late', nothing)
    }
  })
  t.equal(paths['/late'].get.operationId, 'GET /late')
  for (const method of ['get', 'head']) t.same(statuses(paths['/late'][method]), ['200', '401', '503'])
})

t.test('a change of the finished document opens no route, not even one from before the plugin', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const securitySchemes = { session: { type: 'apiKey', in: 'cookie', name: '__Host-session' } } as const
  await app.register(swagger, { openapi: { ...openapi31, components: { securitySchemes } } })
  app.get('/early', { schema: { security: [{ session: ['admin'] }] } }, nothing)
  await app.register(sessionPlugin, { roles: () => [] })
  app.get('/late', { schema: { security: [{ session: ['admin'] }] } }, nothing)
  await app.ready()
  for (const { get } of Object.values(app.swagger().paths as Record<string, any>)) {
    get.security[0].session.length = 0
    delete get.security[0].session
    get.security.length = 0
  }
  const { cookie } = await app.session.issue({})
  for (const url of ['/early', '/late']) {
    t.equal((await app.inject(url)).statusCode, 401, url)
    t.equal((await app.inject({ url, headers: { cookie } })).statusCode, 403, url)
  }
})

t.test('a document holds no requirement object of the app', async (t) => {
  const security = [{ session: ['admin'] }]
  for (const openapi of [openapi30, openapi31]) {
    const { paths } = await documentOf({
      swagger: { openapi, exposeHeadRoutes: true },
      session: { roles: () => [] },
      routes: (app) => app.get('/x', { schema: { operationId: 'x', security } }, nothing)
    })
    for (const method of ['get', 'head']) {
      t.not(paths['/x'][method].security, security)
      t.not(paths['/x'][method].security[0], security[0])
      t.not(paths['/x'][method].security[0].session, security[0]?.session)
    }
  }
})
