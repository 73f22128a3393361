/** The rules of Spectral for the OWASP API Security Top 10 (2023), for documents that this package adds to. */
import swagger from '@fastify/swagger'
import spectral from '@stoplight/spectral-core'
import owasp from '@stoplight/spectral-owasp-ruleset'
import Fastify, { type FastifyInstance, type FastifySchema } from 'fastify'
import sessionPlugin, { required } from 'fastify-openapi-session'
import sessionRoutes, { operations } from 'fastify-openapi-session/routes'
import t from 'tap'
import { buildApp } from '../../example/app.js'
import { info, nothing } from '../openapi/documents.js'

// Spectral applies only some of its rules to 3.2.
const versions = ['3.0.3', '3.1.0', '3.2.0']

/** What the rules ask of every response, and what only the app can know: how it limits requests, and to which origins it answers. */
const headers = {
  'Access-Control-Allow-Origin': { description: 'Of @fastify/cors', schema: { type: 'string', maxLength: 100, format: 'uri' } },
  'RateLimit-Limit': { description: 'Of @fastify/rate-limit', schema: { type: 'integer', format: 'int32', minimum: 0, maximum: 1000 } },
  'RateLimit-Reset': { description: 'Of @fastify/rate-limit', schema: { type: 'integer', format: 'int32', minimum: 0, maximum: 3600 } }
}

/** The rules for the headers above. */
const OF_HEADERS = /^owasp:(api4:2023-rate-limit|api8:2023-define-cors-origin): /

/** The rules that ask for responses which an operation does not have. */
const OF_ABSENT = /^owasp:(api4:2023-rate-limit-responses-429|api8:2023-define-error-(responses-401|responses-500|validation)): /

/** Returns the findings as `rule: place`. */
async function findings (document: object): Promise<string[]> {
  const linter = new spectral.Spectral()
  linter.setRuleset(owasp as never)
  return (await linter.run(JSON.parse(JSON.stringify(document)))).map(({ code, path }) => `${code}: ${path.join('.')}`)
}

async function documentOf (openapi: string, routes: (app: FastifyInstance) => unknown, session?: object): Promise<object> {
  const app = Fastify()
  await app.register(swagger, {
    openapi: { openapi, info, servers: [{ url: 'https://api.shop.test', 'x-internal': 'false' } as never] }
  })
  if (session !== undefined) await app.register(sessionPlugin, session)
  await routes(app)
  await app.ready()
  await app.close()
  return app.swagger()
}

const guarded = { roles: () => [], openapi: { headers } }
const ready = { principal: () => 'ada', openapi: { ...operations, headers } }

for (const openapi of versions) {
  t.test(`OpenAPI ${openapi}: an app that documents its limits and its CORS headers has no finding`, async (t) => {
    const text = { type: 'string', maxLength: 100, pattern: '^[a-z]+$' }
    const response = { description: 'A response', headers, content: { 'application/json': { schema: text } } }
    const responses = Object.fromEntries([200, 400, 429, 500].map((status) => [status, status === 429
      ? { ...response, headers: { ...headers, 'Retry-After': headers['RateLimit-Reset'] } }
      : response]))
    const schema = { security: required('session', 'admin'), response: responses }
    const document = await documentOf(openapi, (app) => {
      app.get('/orders', { schema: { operationId: 'orders', ...schema } }, nothing)
      app.post('/orders', { schema: { operationId: 'order', ...schema } }, nothing)
    }, guarded)
    t.same(await findings(document), [])
    t.match(document, { paths: { '/orders': { post: { responses: { 200: { headers: { 'Set-Cookie': {} } }, 401: {}, 403: {}, 503: {} } } } } })
  })

  t.test(`OpenAPI ${openapi}: in an app that documents nothing, the additions with the option headers cause no finding`, async (t) => {
    const routes = (schema: FastifySchema) => (app: FastifyInstance): void => { app.get('/orders', { schema }, nothing).post('/orders', { schema }, nothing) }
    const without = await findings(await documentOf(openapi, routes({})))
    const added = async (session: object): Promise<string[]> =>
      (await findings(await documentOf(openapi, routes({ security: required('session', 'admin') }), session))).filter((finding) => !without.includes(finding))
    t.same(await added(guarded), [])
    t.same((await added({ roles: () => [] })).filter((finding) => !OF_HEADERS.test(finding)), [], 'without the option, only those headers are missed')
  })

  t.test(`OpenAPI ${openapi}: the ready routes lack only responses that they do not have`, async (t) => {
    const document = await documentOf(openapi, (app) => app.register(sessionRoutes, { check: () => undefined }), ready)
    t.match(document, { paths: { '/login': { post: {} }, '/sessions': { get: {} } } })
    t.same((await findings(document)).filter((finding) => !OF_ABSENT.test(finding)), [])
  })
}

t.test('in the example, what is added has no finding, except that it lacks headers of other plugins', async (t) => {
  const app = await buildApp()
  t.teardown(async () => { await app.close() })
  await app.ready()
  const found = (await findings(app.swagger())).filter((finding) => / components\.(headers|responses\.Session|schemas\.Session|securitySchemes)/.test(finding))
  t.same(found.filter((finding) => !OF_HEADERS.test(finding)), [])
  t.ok(found.length > 0)
})
