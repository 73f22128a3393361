import t from 'tap'
import type { SwaggerOptions } from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { cookieOf } from '../support/harness.js'
import { appOf, documentOf, faultsOf, nothing, openapi30, openapi31, statuses } from './documents.js'

const guarded = { schema: { security: [{ session: ['admin'] }] } }
const session = { roles: (): string[] => [] }

/** The document of one guarded, named route with a HEAD twin, by way of a `transform`. */
async function documentBy (options: SwaggerOptions): Promise<any> {
  const document = await documentOf({
    session,
    swagger: { openapi: openapi31, exposeHeadRoutes: true, ...options } as SwaggerOptions,
    routes: (app) => app.get('/x', { schema: { operationId: 'x', ...guarded.schema } }, nothing)
  })
  t.same(await faultsOf(document), [])
  t.notMatch(JSON.stringify(document), 'x-fastify-openapi-session')
  return document
}

t.test('a transform sees what the route requires', async (t) => {
  const seen: unknown[] = []
  const { paths } = await documentBy({
    transform ({ schema, url }) {
      seen.push(schema.security?.[0]?.['session'])
      return { schema: { ...schema, summary: 'Transformed' }, url: `/moved${url}` }
    }
  })
  t.ok(seen.length >= 2)
  for (const roles of seen) t.same(roles, ['admin'])
  for (const operation of [paths['/moved/x'].get, paths['/moved/x'].head]) {
    t.equal(operation.summary, 'Transformed')
    t.same(operation.security, [{ session: ['admin'] }])
    t.same(statuses(operation), ['200', '401', '403', '503'])
  }
})

t.test('a transform that copies loses nothing', async (t) => {
  const copies: Record<string, (schema: any) => any> = {
    deeply: (schema) => structuredClone(schema),
    'through JSON': (schema) => JSON.parse(JSON.stringify(schema)),
    'each requirement': (schema) => ({ ...schema, security: schema.security?.map((requirement: object) => ({ ...requirement })) }),
    'chosen keys': ({ operationId, security }) => ({ operationId, security })
  }
  for (const [title, copy] of Object.entries(copies)) {
    const { paths } = await documentBy({ transform: ({ schema, url }) => ({ schema: copy(schema), url }) })
    for (const method of ['get', 'head']) {
      t.same(paths['/x'][method].security, [{ session: ['admin'] }], `${title}: ${method}`)
      t.same(statuses(paths['/x'][method]), ['200', '401', '403', '503'], `${title}: ${method}`)
    }
  }
})

t.test('a transform that copies requirements and adds a scheme to them loses nothing', async (t) => {
  const { paths } = await documentBy({
    openapi: { ...openapi31, components: { securitySchemes: { gateway: { type: 'apiKey', in: 'header', name: 'x-gateway' } } } },
    transform: ({ schema, url }) => ({ schema: { ...schema, security: schema.security?.map((requirement) => ({ ...requirement, gateway: [] })) ?? [] }, url })
  })
  for (const method of ['get', 'head']) {
    t.same(paths['/x'][method].security, [{ session: ['admin'], gateway: [] }])
    t.same(Reflect.ownKeys(paths['/x'][method].security[0]), ['session', 'gateway'])
    t.same(statuses(paths['/x'][method]), ['200', '401', '403', '503'])
  }
})

t.test('what a transform takes away or adds on purpose stays so', async (t) => {
  const without = await documentBy({ transform: ({ schema, url }) => ({ schema: { operationId: schema.operationId as string }, url }) })
  t.notOk('security' in without.paths['/x'].get)
  t.same(statuses(without.paths['/x'].get), ['200'])
  const more = await documentBy({
    openapi: { ...openapi31, components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } } },
    transform: ({ schema, url }) => ({ schema: { ...schema, security: [...schema.security ?? [], { bearer: [] }] }, url })
  })
  t.same(more.paths['/x'].get.security, [{ session: ['admin'] }, { bearer: [] }])
})

t.test('a transform of one route, and none', async (t) => {
  const { paths } = await documentOf({
    swagger: { openapi: openapi31, transform: () => { throw new Error('replaced by those of the routes') } },
    routes: (app) => app
      .get('/one', { schema: { security: [{ session: [] }] }, config: { swaggerTransform: ({ schema, url }) => ({ schema: { ...schema, summary: 'One' }, url }) } }, nothing)
      .get('/none', { schema: { security: [{ session: [] }] }, config: { swaggerTransform: false } }, nothing)
  })
  t.equal(paths['/one'].get.summary, 'One')
  for (const path of ['/one', '/none']) t.same(statuses(paths[path].get), ['200', '401', '503'])
})

t.test('hidden and untagged routes stay out', async (t) => {
  const { paths } = await documentOf({
    swagger: { openapi: openapi31, hideUntagged: true, hiddenTag: 'secret' },
    routes: (app) => app
      .get('/shown', { schema: { ...session, tags: ['a'], security: [{ session: [] }] } }, nothing)
      .get('/untagged', { schema: { security: [{ session: [] }] } }, nothing)
      .get('/secret', { schema: { tags: ['secret'], security: [{ session: [] }] } }, nothing)
      .get('/hidden', { schema: { tags: ['a'], hide: true, security: [{ session: [] }] } }, nothing)
  })
  t.same(Object.keys(paths), ['/shown'])
  t.same(statuses(paths['/shown'].get), ['200', '401', '503'])
})

t.test('transformObject comes first, and what it writes is kept', async (t) => {
  const document = await documentBy({
    transformObject (seen) {
      const document = structuredClone((seen as { openapiObject: any }).openapiObject)
      document.info.title = 'Theirs'
      document.paths['/x'].get.responses['403'] = { description: 'Theirs' }
      document.paths['/x'].get.responses['302'] = { $ref: '#/components/responses/Moved' }
      document.components.responses = { Moved: { description: 'Moved', headers: { location: { schema: { type: 'string' } } } } }
      return document
    }
  })
  t.equal(document.info.title, 'Theirs')
  const { get, head } = document.paths['/x']
  t.same(statuses(get), ['200', '302', '401', '403', '503'])
  t.same(get.responses['403'], { description: 'Theirs' })
  t.same(get.responses['302'], { description: 'Moved', headers: { location: { schema: { type: 'string' } }, 'Set-Cookie': { $ref: '#/components/headers/SessionCookie' } } })
  t.same(get.security, [{ session: ['admin'] }])
  t.same(head.security, [{ session: ['admin'] }])
})

t.test('a response that stands in another file cannot be added to', async (t) => {
  const elsewhere = { $ref: 'responses.json#/Moved' }
  const { paths } = await documentOf({
    swagger: {
      openapi: openapi31,
      transformObject (seen) {
        const { openapiObject } = seen as { openapiObject: any }
        openapiObject.paths['/x'].get.responses['302'] = elsewhere
        return openapiObject
      }
    },
    routes: (app) => app.get('/x', { schema: { security: [{ session: [] }] } }, nothing)
  })
  t.same(paths['/x'].get.responses['302'], elsewhere)
})

t.test('zod routes by fastify-type-provider-zod', async (t) => {
  const User = z.object({ id: z.string(), name: z.string() })
  z.globalRegistry.add(User, { id: 'User' })
  for (const openapi of [openapi30, openapi31]) {
    const app = await appOf({
      swagger: { openapi, transform: jsonSchemaTransform, transformObject: jsonSchemaTransformObject, exposeHeadRoutes: true },
      session: { roles: () => ['admin'], security: [{ session: [] }] },
      routes (app) {
        app.setValidatorCompiler(validatorCompiler)
        app.setSerializerCompiler(serializerCompiler)
        const zod = app.withTypeProvider<ZodTypeProvider>()
        zod.post('/login', { schema: { security: [{}, { session: [] }], body: z.object({ name: z.string() }), response: { 200: User } } }, async (request) => {
          request.session.start({ cart: {} })
          return { id: '1', name: request.body.name }
        })
        zod.get('/user', { schema: { operationId: 'user', security: [{ session: ['admin'] }], response: { 200: User } } }, async () => ({ id: '1', name: 'Ada', secret: 'no' }))
        zod.get('/default', async () => 'x')
      }
    })
    const document = app.swagger() as any
    t.same(await faultsOf(document), [])
    t.same(statuses(document.paths['/user'].get), ['200', '401', '403', '503'])
    t.same(statuses(document.paths['/user'].head), ['200', '401', '403', '503'])
    t.same(statuses(document.paths['/default'].get), ['200', '401', '503'])
    t.same(document.paths['/user'].get.responses['200'].content['application/json'].schema, { $ref: '#/components/schemas/User' })
    const login = await app.inject({ method: 'POST', url: '/login', body: { name: 'Ada' } })
    const cookie = cookieOf(login)
    t.same((await app.inject({ url: '/user', headers: { cookie } })).json(), { id: '1', name: 'Ada' })
    t.equal((await app.inject('/user')).statusCode, 401)
    t.equal((await app.inject({ method: 'POST', url: '/login', body: {} })).statusCode, 400)
  }
  z.globalRegistry.remove(User)
})
