/** The rules of Spectral for the OWASP API Security Top 10 (2023), for documents that this package adds to. */
import swagger from '@fastify/swagger'
import spectral from '@stoplight/spectral-core'
import owasp from '@stoplight/spectral-owasp-ruleset'
import Fastify, { type FastifyInstance } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { info, nothing } from '../openapi/documents.js'

// Spectral applies only some of its rules to 3.2.
const versions = ['3.0.3', '3.1.0']

/** What the rules ask of every response, and what only the app can know: how it limits requests, and to which origins it answers. */
const ofTheApp = {
  'Access-Control-Allow-Origin': { description: 'Of @fastify/cors', schema: { type: 'string', maxLength: 100, format: 'uri' } },
  'RateLimit-Limit': { description: 'Of @fastify/rate-limit', schema: { type: 'integer', format: 'int32', minimum: 0, maximum: 1000 } },
  'RateLimit-Reset': { description: 'Of @fastify/rate-limit', schema: { type: 'integer', format: 'int32', minimum: 0, maximum: 3600 } }
}

/** Returns the findings as `rule: place`. */
async function findings (document: object): Promise<string[]> {
  const linter = new spectral.Spectral()
  linter.setRuleset(owasp as never)
  return (await linter.run(JSON.parse(JSON.stringify(document)))).map(({ code, path }) => `${code}: ${path.join('.')}`)
}

async function documentOf (openapi: string, routes: (app: FastifyInstance) => void, session?: object): Promise<object> {
  const app = Fastify()
  await app.register(swagger, {
    openapi: {
      openapi,
      info,
      servers: [{ url: 'https://api.shop.test', 'x-internal': 'false' } as never],
      components: { headers: ofTheApp as never }
    }
  })
  if (session !== undefined) await app.register(sessionPlugin, session)
  routes(app)
  await app.ready()
  await app.close()
  return app.swagger()
}

t.test('an app that documents its limits and its CORS headers has no finding', async (t) => {
  const text = { type: 'string', maxLength: 100, pattern: '^[a-z]+$' }
  const response = { description: 'A response', headers: ofTheApp, content: { 'application/json': { schema: text } } }
  const responses = Object.fromEntries([200, 400, 401, 403, 429, 500, 503].map((status) => [status, status === 429
    ? { ...response, headers: { ...ofTheApp, 'Retry-After': ofTheApp['RateLimit-Reset'] } }
    : response]))
  const security = [{ session: ['admin'] }]
  for (const openapi of versions) {
    const document = await documentOf(openapi, (app) => {
      app.get('/orders', { schema: { operationId: 'orders', security, response: responses } }, nothing)
      app.post('/orders', { schema: { operationId: 'order', security, response: responses } }, nothing)
    }, { roles: () => [] })
    t.same(await findings(document), [], openapi)
    t.match(document, { components: { securitySchemes: { session: {} } }, paths: { '/orders': { get: { responses: { 200: { headers: { 'Set-Cookie': {} } } } } } } })
  }
})

t.test('in an app that documents nothing, the additions lack only the headers of other plugins', async (t) => {
  for (const openapi of versions) {
    const routes = (schema: object) => (app: FastifyInstance): void => { app.get('/orders', { schema }, nothing).post('/orders', { schema }, nothing) }
    const without = await findings(await documentOf(openapi, routes({})))
    const added = (await findings(await documentOf(openapi, routes({ security: [{ session: ['admin'] }] }), { roles: () => [] }))).filter((finding) => !without.includes(finding))
    t.same(new Set(added.map((finding) => finding.split(': ')[0])), new Set(['owasp:api4:2023-rate-limit', 'owasp:api8:2023-define-cors-origin']), openapi)
  }
})
