import t from 'tap'
import { Type } from '@sinclair/typebox'
import type { RouteOptions } from 'fastify'
import { appOf, nothing, openapi31 } from './documents.js'

t.test('routes keep their schema, serializer and validator, before and after the document was made', async (t) => {
  const security = [{ session: [] as string[] }, {}]
  const schema = { security, body: Type.Object({ n: Type.Number() }), response: { 200: Type.Object({ n: Type.Number() }) } }
  const text = JSON.stringify(schema)
  const seen: unknown[] = []
  const options: RouteOptions[] = []
  const app = await appOf({
    session: { security: [{ session: [] }] },
    swagger: { openapi: openapi31, exposeHeadRoutes: true },
    routes: (app) => {
      app.addHook('onRoute', (route) => { options.push(route) })
      app.post('/n', { schema }, async (request) => {
        seen.push(request.routeOptions.schema)
        return { n: 1, secret: 2 }
      })
      app.get('/plain', { schema: { security: [] } }, async (request) => ({ schema: request.routeOptions.schema, config: request.routeOptions.config }))
      app.get('/default', nothing)
    }
  })
  const configs = options.map(({ config }) => config)
  const exchange = async (): Promise<unknown[]> => [
    (await app.inject({ method: 'POST', url: '/n', body: { n: 1 } })).json(),
    (await app.inject({ method: 'POST', url: '/n', body: { n: 'x' } })).statusCode,
    (await app.inject('/plain')).json(),
    (await app.inject('/default')).statusCode
  ]
  const before = await exchange()
  t.same(before.slice(0, 2), [{ n: 1 }, 400])
  app.swagger()
  app.swagger({ yaml: true })
  t.same(await exchange(), before)

  t.equal(seen.length, 2)
  for (const each of seen) t.equal(each, schema)
  t.equal(JSON.stringify(schema), text)
  t.same(Object.keys(schema), ['security', 'body', 'response'])
  t.equal(schema.security, security)
  t.same(Object.getOwnPropertyDescriptor(security[0], 'session'), { value: [], writable: true, enumerable: true, configurable: true })
  for (const [index, route] of options.entries()) {
    t.equal(route.config, configs[index])
    t.notOk(route.schema !== undefined && 'x-fastify-openapi-session' in route.schema)
  }
  const plain = options.find(({ url, method }) => url === '/default' && method === 'GET') as RouteOptions
  t.equal(plain.schema, undefined)
})

t.test('the document is made once', async (t) => {
  const app = await appOf({ routes: (app) => app.get('/me', { schema: { security: [{ session: [] }] } }, nothing) })
  t.equal(app.swagger(), app.swagger())
  t.equal(app.swagger({ yaml: true }), app.swagger({ yaml: true }))
})
