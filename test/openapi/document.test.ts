import t from 'tap'
import swagger from '@fastify/swagger'
import { Ajv } from 'ajv'
import Fastify from 'fastify'
import sessionPlugin, { MemoryStore, type SessionStore } from 'fastify-openapi-session'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { documentOf, faultsOf, info, nothing, openapi31, statuses } from './documents.js'

const roles = (): string[] => []

t.test('the scheme: a cookie by its real name, with how to sign in', async (t) => {
  const described = await documentOf({
    session: { openapi: { login: 'signIn', status: 'whoAmI', logout: 'signOut' } },
    routes: (app) => app
      .post('/login', { schema: { operationId: 'signIn', security: [{}, { session: [] }] } }, nothing)
      .get('/me', { schema: { operationId: 'whoAmI', security: [{ session: [] }] } }, nothing)
      .post('/logout', { schema: { operationId: 'signOut', security: [{ session: [] }] } }, nothing)
  })
  const { description, ...scheme } = described.components.securitySchemes.session
  t.same(scheme, { type: 'apiKey', in: 'cookie', name: '__Host-session', 'x-session': { login: 'signIn', status: 'whoAmI', logout: 'signOut' } })
  t.match(description, /`__Host-session`.*run the operation `signIn` \(`POST \/login`\).*run the operation `signOut` \(`POST \/logout`\)/)
  t.same(await faultsOf(described), [])
})

t.test('the scheme without named operations, and with the app\'s own words', async (t) => {
  const routes = (): void => {}
  const bare = (await documentOf({ session: { cookie: { name: 'sid', secure: false } }, routes })).components.securitySchemes.session
  t.equal(bare.name, 'sid')
  t.match(bare.description, /sign in to this site in this browser/)
  t.notMatch(bare.description, /sign out/)
  t.same(bare['x-session'], {})

  const own = (await documentOf({ session: { openapi: { description: 'Ours.' } }, routes })).components.securitySchemes.session
  t.equal(own.description, 'Ours.')

  const kept = (await documentOf({
    swagger: { openapi: { info, components: { securitySchemes: { session: { type: 'apiKey', in: 'header', name: 'wrong', description: 'Theirs.', 'x-theirs': 1 } as never } } } },
    session: { openapi: { description: 'Ours.' } },
    routes
  })).components.securitySchemes.session
  t.same(kept, { description: 'Theirs.', 'x-theirs': 1, type: 'apiKey', in: 'cookie', name: '__Host-session', 'x-session': {} })
})

t.test('each declaring operation tells what the plugin can answer, and no more', async (t) => {
  const session = { roles, verifiers: { csrf: () => true } }
  const swagger = { openapi: { ...openapi31, components: { securitySchemes: { csrf: { type: 'apiKey', in: 'header', name: 'x-csrf' } as const } } } }
  const cases: Array<[title: string, method: string, security: Array<Record<string, string[]>>, answers: string[]]> = [
    ['a required session', 'GET', [{ session: [] }], ['401', '503']],
    ['a required session, unsafe method', 'POST', [{ session: [] }], ['401', '403', '503']],
    ['an optional session', 'GET', [{ session: [] }, {}], ['503']],
    ['an optional session, unsafe method', 'PATCH', [{}, { session: [] }], ['403', '503']],
    ['a role', 'GET', [{ session: ['admin'] }], ['401', '403', '503']],
    ['a role or none', 'GET', [{ session: ['admin'] }, { session: [] }], ['401', '503']],
    ['an optional role', 'GET', [{ session: ['admin'] }, {}], ['503']],
    ['one role or another', 'GET', [{ session: ['admin'] }, { session: ['owner'] }], ['401', '403', '503']],
    ['a session and another scheme', 'GET', [{ session: [], csrf: [] }], ['401', '403', '503']],
    ['a session or another scheme', 'GET', [{ session: [] }, { csrf: [] }], ['401', '503']],
    ['another scheme only', 'GET', [{ csrf: [] }], []],
    ['nothing', 'POST', [], []]
  ]
  for (const [title, method, security, answers] of cases) {
    const document = await documentOf({ swagger, session, routes: (app) => app.route({ method, url: '/x', schema: { security }, handler: nothing }) })
    const operation = document.paths['/x'][method.toLowerCase()]
    t.same(statuses(operation), ['200', ...answers], title)
    t.same(operation.security, security, `${title}: as written`)
    t.same(await faultsOf(document), [], `${title}: valid`)
  }
})

t.test('a role is asked in the order of the requirement: what was not asked yet does not help another alternative', async (t) => {
  const app = Fastify()
  await app.register(swagger, { openapi: openapi31 })
  await app.register(sessionPlugin, { roles })
  await app.register(sessionPlugin, { scheme: 'tenant', roles, cookie: { name: '__Host-tenant' } } as never)
  const get = (url: string, ...security: Array<Record<string, string[]>>): unknown => app.get(url, { schema: { security } }, nothing)
  get('/first', { session: ['admin'], tenant: [] }, { tenant: [] })
  get('/enough', { session: ['admin'], tenant: [] }, { session: [] })
  get('/second', { session: [], tenant: ['owner'] }, { tenant: [] })
  await app.ready()
  const document = app.swagger() as any
  t.same(statuses(document.paths['/first'].get), ['200', '401', '403', '503'])
  t.same(statuses(document.paths['/enough'].get), ['200', '401', '503'])
  t.same(statuses(document.paths['/second'].get), ['200', '401', '503'])
  t.same(Object.keys(document.components.securitySchemes), ['session', 'tenant'])
  t.same(Object.keys(document.components.responses.SessionRequired.headers['WWW-Authenticate'].examples), ['session', 'tenant'])
  t.match(document.components.headers.SessionCookie.description, '`__Host-session` or `__Host-tenant`')
})

t.test('without the cross-origin check, unsafe methods give no 403', async (t) => {
  const document = await documentOf({
    session: { crossOrigin: false },
    routes: (app) => app.post('/x', { schema: { security: [{ session: [] }] } }, nothing)
  })
  t.same(statuses(document.paths['/x'].post), ['200', '401', '503'])
})

t.test('a sealed cookie has no store that could be down', async (t) => {
  const document = await documentOf({
    session: { store: sealedCookie({ keys: [makeKey()] }) },
    routes: (app) => app.get('/x', { schema: { security: [{ session: [] }] } }, nothing)
  })
  t.same(statuses(document.paths['/x'].get), ['200', '401'])
})

t.test('the responses are the real ones', async (t) => {
  const store: SessionStore = new MemoryStore()
  const app = Fastify()
  await app.register(swagger, { openapi: openapi31 })
  await app.register(sessionPlugin, { roles, store })
  app.post('/x', { schema: { security: [{ session: ['admin'] }] } }, nothing)
  await app.ready()
  const cookie = (await app.session.issue({ cart: {} })).cookie
  const crossSite = { 'sec-fetch-site': 'cross-site' }
  const answers = [await app.inject({ method: 'POST', url: '/x' }), await app.inject({ method: 'POST', url: '/x', headers: { cookie } }),
    await app.inject({ method: 'POST', url: '/x', headers: { cookie, ...crossSite } })]
  store.read = async () => { throw new Error('down') }
  answers.push(await app.inject({ method: 'POST', url: '/x', headers: { cookie } }))
  t.same(answers.map(({ statusCode }) => statusCode), [401, 403, 403, 503])

  const { components, paths } = app.swagger() as any
  const isError = new Ajv({ formats: { int32: true } }).compile(components.schemas.SessionError)
  for (const { statusCode, headers, body } of answers) {
    const name = paths['/x'].post.responses[statusCode].$ref.replace('#/components/responses/', '')
    const { schema, examples } = components.responses[name].content['application/json']
    t.equal(schema.$ref, '#/components/schemas/SessionError')
    t.ok(isError(JSON.parse(body)), `${statusCode}: ${body}`)
    const error = JSON.parse(body)
    t.match({ ...examples[error.code].value, message: '' }, { ...error, message: '' }, `${statusCode}: the example`)
    for (const header of Object.keys(components.responses[name].headers ?? {})) t.ok(headers[header.toLowerCase()], `${statusCode}: ${header}`)
  }
  t.match(answers[0]?.headers['www-authenticate'], components.responses.SessionRequired.headers['WWW-Authenticate'].examples.session.value)
})
