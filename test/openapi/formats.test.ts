import t from 'tap'
import { createRequire } from 'node:module'
import swaggerUi from '@fastify/swagger-ui'
import { yamlWriter } from '../../lib/openapi/swagger/index.js'
import { appOf, faultsOf, info, nothing, openapi31, statuses } from './documents.js'

const { parse, stringify } = createRequire(createRequire(import.meta.url).resolve('@fastify/swagger'))('yaml') as {
  parse (text: string): any
  stringify (value: unknown, options: object): string
}
const guarded = { schema: { security: [{ session: [] }] } }

t.test('YAML says what JSON says, whichever is asked for first', async (t) => {
  for (const yamlFirst of [true, false]) {
    const app = await appOf({ routes: (app) => app.get('/me', guarded, nothing) })
    const yaml = yamlFirst ? app.swagger({ yaml: true }) : undefined
    const json = app.swagger()
    t.same(parse(yaml ?? app.swagger({ yaml: true })), json)
    t.equal(app.swagger({ yaml: true }), stringify(json, { strict: false }), 'written as @fastify/swagger writes it')
    t.same(statuses((json as any).paths['/me'].get), ['200', '401', '503'])
  }
})

t.test('Swagger UI serves the same document, as JSON and as YAML', async (t) => {
  const app = await appOf({
    swagger: { openapi: openapi31 },
    routes: async (app) => {
      await app.register(swaggerUi, { routePrefix: '/docs' })
      app.get('/me', guarded, nothing)
    }
  })
  const json = (await app.inject('/docs/json')).json()
  t.same(json, app.swagger())
  t.same(Object.keys(json.paths), ['/me'])
  t.same(parse((await app.inject('/docs/yaml')).body), json)
  await app.close()
})

t.test('where @fastify/swagger cannot be found, YAML is JSON, which it may be', async (t) => {
  const write = yamlWriter('file:///nowhere/bundle.js')
  t.same(parse(write({ a: [1] })), { a: [1] })
  t.equal(write({ a: [1] }), '{\n  "a": [\n    1\n  ]\n}\n')
})

t.test('Swagger 2.0 cannot describe cookies: the log has one warning, the document is valid, and the routes are guarded', async (t) => {
  const warnings: string[] = []
  const stream = { write: (line: string): void => { if (JSON.parse(line).level === 40) warnings.push(JSON.parse(line).msg) } }
  const app = await appOf({
    fastify: { logger: { level: 'warn', stream } },
    swagger: { swagger: { info, securityDefinitions: { key: { type: 'apiKey', in: 'header', name: 'x-key' } } } },
    session: { security: [{ session: [] }], verifiers: { key: () => false } },
    routes: (app) => app
      .get('/me', guarded, nothing)
      .get('/either', { schema: { security: [{ session: [] }, { key: [] }] } }, nothing)
      .get('/both', { schema: { security: [{ session: [], key: [] }] } }, nothing)
      .get('/key', { schema: { security: [{ key: [] }] } }, nothing)
      .get('/default', nothing)
  })
  const document = app.swagger() as any
  app.swagger()
  t.equal(document.swagger, '2.0')
  t.same(await faultsOf(document), [])
  t.same(Object.values(document.paths).map(({ get: { security } }: any) => security), [[], [{ key: [] }], [], [{ key: [] }], []])
  t.same(Object.keys(document.securityDefinitions), ['key'])
  t.notMatch(JSON.stringify(document), 'session')
  t.same(parse(app.swagger({ yaml: true })), document)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /Swagger 2\.0 cannot describe sessions.*option `openapi`/)
  t.equal((await app.inject('/me')).statusCode, 401)
  await app.close()
})

t.test('also one that says next to nothing', async (t) => {
  for (const document of [{ openapi: '3.1.0', info }, { openapi: '3.0.3', info, paths: { '/me': { get: { security: [{ session: [] }] } } } }]) {
    const app = await appOf({ swagger: { mode: 'static', specification: { document: document as never } }, routes: (app) => app.get('/me', guarded, nothing) })
    t.equal(app.swagger(), document)
    t.equal((await app.inject('/me')).statusCode, 401)
  }
})

t.test('a document that was written by hand stays as it is', async (t) => {
  const document = { openapi: '3.0.3', info, security: [{ session: [] }], paths: { '/me': { get: { security: [{ session: [] }], responses: { 200: { description: 'ok' } } } } } }
  const app = await appOf({
    swagger: { mode: 'static', specification: { document } },
    routes: (app) => app.get('/me', guarded, nothing)
  })
  t.equal(app.swagger(), document)
  t.same(parse(app.swagger({ yaml: true })), document)
  t.same(Object.keys(document), ['openapi', 'info', 'security', 'paths'])
})
