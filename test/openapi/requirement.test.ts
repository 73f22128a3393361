import t from 'tap'
import { documentMatrix } from 'fastify-openapi-session/testing'
import { MESSAGES } from '../../lib/errors.js'
import { errorsOf, requirementOf } from '../../lib/openapi/document/errors.js'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { appOf, documentOf, faultsOf, nothing, openapi30, openapi31, statuses } from './documents.js'

const roles = (): string[] => []

t.test('the document describes what is enforced, and not what became of the objects of the app', async (t) => {
  const security: Array<Record<string, string[]>> = [{ session: ['admin'] }]
  const schema: { security?: typeof security } = { security }
  const app = await appOf({
    session: { roles, security: [{ session: [] }] },
    routes: (app) => app.get('/x', { schema }, nothing)
  })
  security[0]?.['session']?.pop()
  security.push({})
  delete schema.security
  const { get } = (app.swagger() as any).paths['/x']
  t.same(get.security, [{ session: ['admin'] }])
  t.same(statuses(get), ['200', '401', '403', '503'])
  t.equal((await app.inject('/x')).statusCode, 401)
})

t.test('a default security holds for every method of a route that has other methods than OPTIONS', async (t) => {
  const app = await appOf({
    session: { security: [{ session: [] }] },
    routes: (app) => {
      app.all('/all', nothing)
      app.route({ method: ['GET', 'OPTIONS'], url: '/two', handler: nothing })
      app.options('/only', nothing)
      app.route({ method: ['OPTIONS'], url: '/listed', handler: nothing })
    }
  })
  const { paths } = app.swagger() as any
  for (const [url, method] of [['/all', 'options'], ['/all', 'get'], ['/two', 'options'], ['/two', 'get']] as const) {
    t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
    t.same(paths[url][method].security, [{ session: [] }])
    t.same(statuses(paths[url][method]), ['200', '401', '503'])
  }
  t.same(statuses(paths['/all'].post), ['200', '401', '403', '503'])
  for (const url of ['/only', '/listed']) {
    t.equal((await app.inject({ method: 'OPTIONS', url })).statusCode, 200, url)
    t.notOk('security' in paths[url].options)
    t.same(statuses(paths[url].options), ['200'])
  }
})

t.test('the examples of error responses are the messages that responses carry', async (t) => {
  const { components } = await documentOf({
    session: { roles },
    routes: (app) => app.post('/x', { schema: { security: [{ session: ['admin'] }] } }, nothing)
  })
  const shown = Object.values<any>(components.responses).flatMap(({ content }) =>
    Object.entries<any>(content['application/json'].examples).map(([code, { value: { message } }]) => [code, message]))
  const { FST_SESSION_CONFLICT: _, ...messages } = MESSAGES
  t.same(Object.fromEntries(shown), messages)
})

t.test('the responses of an operation are read off a requirement, for documents and for documentMatrix alike', (t) => {
  const scheme = { settings: { trustedOrigins: new Set() }, stored: {} } as never
  const errors = (security: Array<Record<string, string[]>>, method = 'GET') =>
    errorsOf(requirementOf(security, (name) => name === 'session'), method, [scheme])
  t.same(errors([{ bearer: [], session: ['admin'] }]), ['FST_SESSION_REQUIRED', 'FST_SESSION_FORBIDDEN', 'FST_SESSION_STORE'])
  t.same(errors([{ session: [] }, {}], 'POST'), ['FST_SESSION_CROSS_ORIGIN', 'FST_SESSION_STORE'])
  t.same(errors([]), ['FST_SESSION_STORE'])
  const { alternatives, sessions } = requirementOf([{ bearer: ['read'], session: [] }], (name) => name === 'session')
  t.same(alternatives.map((conditions) => conditions.map(({ scheme, scopes, verifier }) => [scheme, scopes, verifier === undefined])),
    [[['session', [], true], ['bearer', ['read'], false]]])
  t.same(sessions, ['session'])
  t.end()
})

t.test('documentMatrix finds a response that a requirement leads to and the document leaves out', async (t) => {
  const [matrix] = await documentMatrix({
    session: {},
    async build (parts) {
      const app = Fastify()
      await app.register(swagger, { openapi: openapi31 })
      await app.register(sessionPlugin, { ...parts, roles } as object)
      app.get('/x', { schema: { security: [{ session: ['admin'] }] } }, nothing)
      app.addHook('onReady', async () => {
        const { responses } = (app.swagger() as any).paths['/x'].get
        for (const status of ['401', '403']) delete responses[status]
      })
      return app
    }
  })
  await t.rejects(async () => { await matrix?.run() }, { message: /401 can be returned and is not documented\n.*403 can be returned and is not documented/ })
})

/** What the rules of OWASP for documents have to say about the schemas in `value`, by where they stand. */
function unlimited (value: any, place = '#'): string[] {
  if (typeof value !== 'object' || value === null) return []
  const has = (...keys: string[]): boolean => keys.some((key) => key in value)
  const { type } = value
  return [
    ...(type === 'string' && !has('maxLength', 'enum', 'const') ? [`${place}: string-limit`] : []),
    ...(type === 'string' && !has('format', 'pattern', 'enum', 'const') ? [`${place}: string-restricted`] : []),
    ...(type === 'integer' && !(has('minimum') && has('maximum')) ? [`${place}: integer-limit`] : []),
    ...(type === 'integer' && !has('format') ? [`${place}: integer-format`] : []),
    ...(type === 'array' && !has('maxItems') ? [`${place}: array-limit`] : []),
    ...(type === 'object' && !has('additionalProperties') ? [`${place}: additionalProperties`] : []),
    ...Object.entries(value).flatMap(([key, child]) => unlimited(child, `${place}/${key}`))
  ]
}

t.test('the schemas that are added have limits, as the OWASP rules for documents ask', async (t) => {
  for (const openapi of [openapi30, openapi31]) {
    const document = await documentOf({
      swagger: { openapi },
      session: { roles },
      routes: (app) => app.post('/x', { schema: { security: [{ session: ['admin'] }] } }, nothing)
    })
    t.same(await faultsOf(document), [])
    t.same(unlimited(document.components), [])
  }
})

t.test('real headers and bodies fit the limits', async (t) => {
  const app = await appOf({
    session: { roles },
    routes: (app) => {
      app.post('/in', { schema: { security: [{}, { session: [] }] } }, async (request) => { request.session.start({ cart: {} }) })
      app.post('/x', { schema: { security: [{ session: ['admin'] }] } }, nothing)
    }
  })
  const { components } = app.swagger() as any
  const fits = (schema: any, value: unknown): void => {
    t.match(String(value), new RegExp(schema.pattern ?? ''))
    t.ok(String(value).length <= (schema.maxLength ?? Infinity))
    if (schema.type === 'integer') t.ok(Number(value) >= schema.minimum && Number(value) <= schema.maximum)
  }
  const { headers, json } = await app.inject({ method: 'POST', url: '/x' })
  fits(components.responses.SessionRequired.headers['WWW-Authenticate'].schema, headers['www-authenticate'])
  const error = json()
  t.same(Object.keys(error).sort(), Object.keys(components.schemas.SessionError.properties).sort())
  for (const [name, schema] of Object.entries(components.schemas.SessionError.properties)) fits(schema, error[name])
  fits(components.responses.SessionUnavailable.headers['Retry-After'].schema, '5')
  fits(components.headers.SessionCookie.schema, (await app.inject({ method: 'POST', url: '/in' })).headers['set-cookie'])
})
