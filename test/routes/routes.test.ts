import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import sessionPlugin, { type SessionOptions } from 'fastify-openapi-session'
import { operations, sessionRoutes, type SessionRoutesOptions } from 'fastify-openapi-session/routes'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { Client, CookieJar, createClock, documentMatrix } from 'fastify-openapi-session/testing'
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import t, { type Test } from 'tap'

const ada = { username: 'ada', password: 'lovelace' }
const check: SessionRoutesOptions['check'] = async ({ username, password }) => password === 'lovelace' ? { userId: username } : undefined

interface Setup {
  readonly session?: Partial<SessionOptions<'session'>>
  readonly routes?: Partial<SessionRoutesOptions> & { prefix?: string }
  readonly before?: (app: FastifyInstance) => Promise<unknown>
  readonly fastify?: FastifyServerOptions
}

async function make ({ session, routes, before, fastify }: Setup = {}): Promise<FastifyInstance> {
  const app = Fastify(fastify)
  await before?.(app)
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'Shop', version: '1.0.0' } } })
  await app.register(sessionPlugin, { principal: (data) => data.userId as string | undefined, openapi: operations, ...session })
  await app.register(sessionRoutes, { check, ...routes })
  return app
}

async function client (t: Test, setup?: Setup): Promise<Client> {
  const app = await make(setup)
  t.teardown(() => app.close())
  return new Client(app)
}

async function signedIn (app: FastifyInstance, body: object = ada): Promise<Client> {
  const browser = new Client(app)
  await browser.post('/login', body)
  return browser
}

t.test('the routes sign in, say who is signed in, and sign out', async (t) => {
  const browser = await client(t, { session: { roles: () => ['clerk'] }, routes: { prefix: '/auth' } })
  t.equal((await browser.get('/auth/me')).statusCode, 401)
  t.equal((await browser.post('/auth/login', ada)).statusCode, 204)
  t.same((await browser.get('/auth/me')).json(), { principal: 'ada', roles: ['clerk'] })
  t.equal((await browser.post('/auth/logout')).statusCode, 204)
  t.equal((await browser.get('/auth/me')).statusCode, 401)
  t.equal((await browser.post('/auth/logout')).statusCode, 204, 'also without a session')
})

t.test('the options principal and roles get frozen data in the routes as well', async (t) => {
  const given: object[] = []
  const ask = (data: Record<string, unknown>): string => {
    given.push(data)
    return data['userId'] as string
  }
  const app = await make({ session: { principal: ask, roles: (data) => [ask(data)] } })
  t.teardown(() => app.close())
  const browser = await signedIn(app)
  given.length = 0
  t.same((await browser.get('/me')).json(), { principal: 'ada', roles: ['ada'] })
  t.ok(given.length >= 2 && given.every(Object.isFrozen))
})

t.test('a wrong password is a 401 of its own code, with a challenge and without a cookie', async (t) => {
  const browser = await client(t)
  const response = await browser.post('/login', { ...ada, password: 'wrong' })
  t.match(response.json(), { statusCode: 401, code: 'FST_SESSION_CREDENTIALS', message: 'Unknown user name or wrong password.' })
  t.match(response.headers, { 'www-authenticate': 'Cookie cookie-name="__Host-session"' })
  t.equal(response.headers['set-cookie'], undefined)
  t.equal((await browser.post('/login', {})).statusCode, 400)
})

t.test('what check refuses by undefined, null or false is a 401', async (t) => {
  for (const refusal of [undefined, null, false] as const) {
    const browser = await client(t, { routes: { check: () => refusal } })
    t.match(await browser.post('/login', ada), { statusCode: 401 }, String(refusal))
  }
})

t.test('a page that asks who is signed in keeps no idle session alive', async (t) => {
  const clock = createClock()
  const app = await make({ session: { now: clock.now, idleTimeout: 1800 } })
  t.teardown(() => app.close())
  const browser = new Client(app, new CookieJar(clock.now))
  await browser.post('/login', ada)
  const statuses: number[] = []
  for (let n = 0; n < 3; n++) {
    clock.advance(700_000)
    statuses.push((await browser.get('/me')).statusCode)
  }
  t.same(statuses, [200, 200, 401])
})

t.test('a failed login leaves the session that was there alive', async (t) => {
  const browser = await client(t)
  await browser.post('/login', ada)
  t.equal((await browser.post('/login', { ...ada, password: 'wrong' })).statusCode, 401)
  t.equal((await browser.get('/me')).statusCode, 200)
})

t.test('a page of another origin can neither sign in nor sign out', async (t) => {
  const browser = await client(t)
  await browser.post('/login', ada)
  for (const [method, url] of [['POST', '/login'], ['POST', '/logout'], ['DELETE', '/sessions'], ['DELETE', '/sessions/x']] as const) {
    const response = await browser.inject({ method, url, headers: { 'sec-fetch-site': 'cross-site' }, ...url === '/login' && { payload: ada } })
    t.equal(response.json<{ code: string }>().code, 'FST_SESSION_CROSS_ORIGIN', `${method} ${url}`)
  }
  t.equal((await browser.get('/me')).statusCode, 200)
})

t.test('a user sees the own sessions, ends one, and ends all others', async (t) => {
  const app = await make({ routes: { check: async ({ username, device }) => ({ userId: username, device }), describe: ({ data }) => ({ device: data.device }) } })
  t.teardown(() => app.close())
  const [phone, laptop, tablet] = [await signedIn(app, { ...ada, device: 'phone' }), await signedIn(app, { ...ada, device: 'laptop' }), await signedIn(app, { ...ada, device: 'tablet' })]
  const { sessions } = (await phone.get('/sessions')).json<{ sessions: Array<Record<string, unknown>> }>()
  t.same(sessions.map(({ device, current }) => `${String(device)} ${String(current)}`).sort(), ['laptop false', 'phone true', 'tablet false'])
  for (const key of ['createdAt', 'authenticatedAt', 'expiresAt']) t.match(sessions[0]?.[key], /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  const id = sessions.find(({ device }) => device === 'laptop')?.id as string
  t.equal((await phone.inject({ method: 'DELETE', url: `/sessions/${id}` })).statusCode, 204)
  t.equal((await laptop.get('/me')).statusCode, 401)
  t.same((await phone.inject({ method: 'DELETE', url: '/sessions' })).json(), { ended: 1 })
  t.equal((await tablet.get('/me')).statusCode, 401)
  t.equal((await phone.get('/me')).statusCode, 200)
})

t.test('a user who ends the own session is signed out, with the cookie', async (t) => {
  const browser = await client(t)
  await browser.post('/login', ada)
  const { sessions } = (await browser.get('/sessions')).json<{ sessions: Array<{ id: string }> }>()
  t.equal((await browser.inject({ method: 'DELETE', url: `/sessions/${sessions[0]?.id}` })).statusCode, 204)
  t.equal(browser.jar.get('__Host-session'), undefined)
})

t.test('a user cannot end the session of another user, and does not learn of it', async (t) => {
  const app = await make()
  t.teardown(() => app.close())
  const grace = await signedIn(app, { ...ada, username: 'grace' })
  const { sessions: [other] } = (await grace.get('/sessions')).json<{ sessions: [{ id: string }] }>()
  const browser = await signedIn(app)
  const [theirs, unknown] = [await browser.inject({ method: 'DELETE', url: `/sessions/${other.id}` }), await browser.inject({ method: 'DELETE', url: '/sessions/unknown' })]
  t.same([theirs.statusCode, theirs.body], [unknown.statusCode, unknown.body])
  t.equal((await grace.get('/me')).statusCode, 200)
})

t.test('pages of the list follow each other by the cursor', async (t) => {
  const app = await make({ session: { maxPerPrincipal: 300 } })
  t.teardown(() => app.close())
  const browser = await signedIn(app)
  for (let n = 1; n < 300; n++) await app.session.issue({ userId: 'ada' })
  const pages: Array<{ sessions: Array<{ id: string }>, cursor?: string }> = []
  let url: string | undefined = '/sessions'
  while (url !== undefined) {
    const page: (typeof pages)[number] = (await browser.get(url)).json()
    pages.push(page)
    url = page.cursor && `/sessions?cursor=${encodeURIComponent(page.cursor)}`
  }
  t.ok(pages.length > 1, `${pages.length} pages`)
  t.equal(new Set(pages.flatMap(({ sessions }) => sessions).map(({ id }) => id)).size, 300)
  t.equal((await browser.get('/sessions?cursor=made-up')).statusCode, 200)
  t.equal((await browser.get('/sessions?cursor=%00')).statusCode, 400, 'no database would take it')
})

t.test('logins are limited where @fastify/rate-limit is registered', async (t) => {
  const browser = await client(t, { before: async (app) => { await app.register(rateLimit, { global: false }) } })
  const statuses: number[] = []
  for (let n = 0; n < 12; n++) statuses.push((await browser.post('/login', { ...ada, password: 'wrong' })).statusCode)
  t.same(statuses, [...Array.from({ length: 10 }, () => 401), 429, 429])
})

t.test('a login whose limit is turned off is not limited, and its document has no 429', async (t) => {
  for (const [config, expected] of [[{ rateLimit: false }, undefined], [{ rateLimit: { max: 20 } }, {}], [{}, {}]] as const) {
    const app = await make({ before: async (app) => { await app.register(rateLimit, { global: false }) }, routes: { routes: { login: { config } } } })
    t.teardown(() => app.close())
    const browser = new Client(app)
    const statuses = new Set<number>()
    for (let n = 0; n < 22; n++) statuses.add((await browser.post('/login', { ...ada, password: 'wrong' })).statusCode)
    t.same([...statuses], expected === undefined ? [401] : [401, 429], JSON.stringify(config))
    const { paths } = app.swagger() as any
    t.match(paths['/login'].post.responses[429], expected, JSON.stringify(config))
  }
})

t.test('errors have the form that the app\'s error handler gives them', async (t) => {
  const browser = await client(t, {
    before: async (app) => {
      app.setErrorHandler((error: { statusCode?: number, message: string }, _request, reply) =>
        reply.code(error.statusCode ?? 500).send({ error: { title: error.message } }))
    }
  })
  const [wrong, unfit] = [await browser.post('/login', { ...ada, password: 'wrong' }), await browser.post('/login', {})]
  t.same([wrong.statusCode, wrong.json()], [401, { error: { title: 'Unknown user name or wrong password.' } }])
  t.same([unfit.statusCode, unfit.json()], [400, { error: { title: "body must have required property 'username'" } }])
})

t.test('each route can be left out or replaced', async (t) => {
  const app = await make({
    session: { openapi: { login: 'signIn' } },
    routes: {
      routes: {
        logout: false,
        list: false,
        login: { url: '/sign-in', schema: { operationId: 'signIn' } },
        me: { handler: async () => ({ name: 'somebody' }) }
      }
    }
  })
  t.teardown(() => app.close())
  const browser = new Client(app)
  t.equal((await browser.post('/sign-in', ada)).statusCode, 204)
  t.same((await browser.get('/me')).json(), { name: 'somebody' })
  t.equal((await browser.post('/logout')).statusCode, 404)
  t.equal((await browser.get('/sessions')).statusCode, 404)
  t.equal((await browser.get('/sign-in')).statusCode, 404)
})

t.test('the body, the lifetime and the answer to "who am I" are the app\'s', async (t) => {
  const clock = createClock()
  const app = await make({
    session: { now: clock.now, user: (data) => ({ name: `user ${String(data.userId)}` }) },
    routes: {
      body: { type: 'object', required: ['pin'], properties: { pin: { type: 'integer' }, remember: { type: 'boolean' } } },
      check: ({ pin }) => pin === 7 ? { userId: 'ada' } : null,
      lifetime: ({ remember }) => ({ persistent: remember === true }),
      me: (request) => ({ name: request.session.user.name })
    }
  })
  t.teardown(() => app.close())
  const browser = new Client(app, new CookieJar(clock.now))
  t.equal((await browser.post('/login', { pin: 'seven' })).statusCode, 400)
  t.equal((await browser.post('/login', { pin: 8 })).statusCode, 401)
  await browser.post('/login', { pin: 7, remember: true })
  browser.jar.restart()
  t.same((await browser.get('/me')).json(), { name: 'user ada' })
})

t.test('with sealed cookies there are no routes that list or revoke', async (t) => {
  const browser = await client(t, { session: { store: sealedCookie({ keys: [makeKey()] }) } })
  await browser.post('/login', ada)
  t.equal((await browser.get('/me')).statusCode, 200)
  t.equal((await browser.get('/sessions')).statusCode, 404)
})

t.test('an app whose compilers take schemas of Zod has the routes, too, in its document as well', async (t) => {
  const browser = await client(t, {
    before: async (app) => {
      app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
    }
  })
  t.match((await browser.post('/login', {})).json(), { statusCode: 400, code: 'FST_ERR_VALIDATION' })
  t.match((await browser.post('/login', { ...ada, password: '?' })).json(), { statusCode: 401, code: 'FST_SESSION_CREDENTIALS', error: 'Unauthorized', message: /password/ })
  t.equal((await browser.post('/login', ada)).statusCode, 204)
  t.same((await browser.get('/me')).json(), { principal: 'ada', roles: [] })
  const app = Fastify()
  t.teardown(() => app.close())
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'Shop', version: '1.0.0' } }, transform: jsonSchemaTransform })
  await app.register(sessionPlugin, { principal: (data) => data.userId as string | undefined, openapi: operations })
  await app.register(sessionRoutes, { check })
  await app.ready()
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: object }> } }>> }
  t.match(paths['/login']?.post?.requestBody?.content['application/json']?.schema, { required: ['username', 'password'] })
})

t.test('a response schema of the app leaves out what it does not name, whatever the compilers of the app are', async (t) => {
  const all: Array<(app: FastifyInstance) => unknown> = [
    (app) => app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler),
    (app) => app.setValidatorCompiler(() => () => true),
    (app) => app.setSerializerCompiler(serializerCompiler),
    () => {}
  ]
  for (const compilers of all) {
    const browser = await client(t, {
      before: async (app) => { compilers(app) },
      routes: {
        check: ({ username }) => ({ userId: username, mail: 'ada@example.com' }),
        me: (request) => request.session.data,
        routes: { me: { schema: { response: { 200: { type: 'object', properties: { userId: { type: 'string' } } } } } } }
      }
    })
    await browser.post('/login', ada)
    t.same((await browser.get('/me')).json(), { userId: 'ada' })
  }
})

t.test('each of two schemes has routes of its own, with cookies of their own', async (t) => {
  const app = await make()
  t.teardown(() => app.close())
  const named = Object.entries({ login: 'staffLogin', logout: 'staffLogout', me: 'staffMe', list: 'staffList', revoke: 'staffRevoke', revokeOthers: 'staffRevokeOthers' })
  const scheme = { scheme: 'staff', cookie: { name: '__Host-staff' }, principal: (data: Record<string, unknown>) => data.userId as string | undefined, openapi: { login: 'staffLogin' } }
  await app.register(sessionPlugin, scheme as never)
  await app.register(sessionRoutes, { prefix: '/staff', scheme: 'staff' as never, check, routes: Object.fromEntries(named.map(([route, operationId]) => [route, { schema: { operationId } }])) })
  const browser = new Client(app)
  await browser.post('/staff/login', { ...ada, username: 'grace' })
  t.same((await browser.get('/staff/me')).json(), { principal: 'grace', roles: [] })
  t.equal((await browser.get('/me')).statusCode, 401)
  await browser.post('/login', ada)
  t.same((await browser.get('/me')).json(), { principal: 'ada', roles: [] })
  t.same((await browser.get('/staff/me')).json(), { principal: 'grace', roles: [] })
  t.equal((await browser.get('/staff/sessions')).json<{ sessions: object[] }>().sessions.length, 1)
})

t.test('the boot stops with a sentence if an option is wrong', async (t) => {
  const app = (): FastifyInstance => {
    const made = Fastify()
    t.teardown(() => made.close())
    return made
  }
  await t.rejects(async () => await app().register(sessionRoutes, { check }), { code: 'FST_SESSION_OPTIONS', message: /before the session plugin/ })
  const without = app()
  await without.register(sessionPlugin)
  await t.rejects(async () => await without.register(sessionRoutes, { check }), { code: 'FST_SESSION_OPTIONS', message: /option principal/ })
  const checkless = app()
  await checkless.register(sessionPlugin, { principal: () => 'ada' })
  await t.rejects(async () => await checkless.register(sessionRoutes, {} as never), { code: 'FST_SESSION_OPTIONS', message: /option check/ })
  const other = app()
  await other.register(sessionPlugin, { principal: () => 'ada' })
  await t.rejects(async () => await other.register(sessionRoutes, { check, scheme: 'admin' as never }), { code: 'FST_SESSION_OPTIONS', message: /admin/ })
  for (const [options, message] of [[{ chek: check }, /chek of sessionRoutes: did you mean check\?/], [{ routes: { logn: false } }, /routes\.logn: did you mean login\?/]] as const) {
    const misspelt = app()
    await misspelt.register(sessionPlugin, { principal: () => 'ada' })
    await t.rejects(async () => await misspelt.register(sessionRoutes, { check, ...options } as never), { code: 'FST_SESSION_OPTIONS', message })
  }
})

const matrix = await documentMatrix({
  // Few enough attempts, that the limit is reached by the last request.
  build: async ({ store, now }) => await make({ session: { store, now }, routes: { routes: { login: { config: { rateLimit: { max: 11 } } } } }, before: async (app) => { await app.register(rateLimit, { global: false }) } }),
  session: { userId: 'ada' },
  requests: {
    login: [{ body: ada }, { body: {} }, { body: { ...ada, password: 'wrong' } }, { body: ada }],
    revokeSession: [(_app, session) => ({ params: { id: session.id } }), { params: { id: 'unknown' } }]
  }
})

t.test('the routes answer what the document says of them, and nothing else', async (t) => {
  t.same(matrix.map(({ name }) => name), [
    'POST /login (login)', 'POST /logout (logout)', 'GET /me (me)', 'GET /sessions (listSessions)',
    'DELETE /sessions (revokeOtherSessions)', 'DELETE /sessions/{id} (revokeSession)'
  ])
  for (const { name, run } of matrix) await t.test(name, async (t) => { t.ok((await run()).length >= 6) })
})
