/** The mistakes of a first hour with the plugin: what happened, and what to write instead, is in a message. */
import t from 'tap'
import swagger from '@fastify/swagger'
import expressSession from 'express-session'
import Fastify, { type FastifyInstance } from 'fastify'
import sessionPlugin, { MemoryStore, optional, required, SessionError } from 'fastify-openapi-session'
import { fromExpressStore } from 'fastify-openapi-session/express'
import { FileStore } from 'fastify-openapi-session/file'
import { adoptCookies, adoptExpressSessions } from 'fastify-openapi-session/migration'
import { RedisStore } from 'fastify-openapi-session/redis'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { SqlStore } from 'fastify-openapi-session/sql'
import { sessionUi } from 'fastify-openapi-session/swagger-ui'
import { bootError, guarded, makeApp, optional as optionalRoute } from '../support/harness.js'
import { anySession, setUp } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

t.test('a misspelt option of a function of the API is refused with the right name', async (t) => {
  const { app, client } = await setUp(t, { principal: (data) => data.userId })
  const { session } = app
  const { id } = await session.issue(ada)
  const refused = (message: RegExp): { code: string, message: RegExp } => ({ code: 'FST_SESSION_OPTIONS', message })
  const calls: Array<[() => unknown, RegExp]> = [
    [() => session.issue(ada, { persistant: true } as never), /^there is no option persistant of a session that starts: did you mean persistent\?$/],
    [() => session.issue(ada, { maxAge: 60_000 } as never), /^there is no option maxAge of a session that starts: write \{ persistent: true, absoluteTimeout \} in seconds$/],
    [() => session.find(id, { tuch: true } as never), /option tuch of find\(\): did you mean touch\?$/],
    [() => session.list('ada', { limt: 5 } as never), /option limt of list\(\): did you mean limit\?$/],
    [() => session.revokeAll('ada', { excpet: id } as never), /option excpet of revokeAll\(\): did you mean except\?$/],
    [() => session.watch(id, { signl: AbortSignal.abort() } as never), /option signl of watch\(\): did you mean signal\?$/]
  ]
  for (const [call, message] of calls) await t.rejects(async () => await call(), refused(message))
  t.ok(await session.find(id), 'nothing was revoked')
  t.throws(() => sessionUi({}, { role: '/roles' } as never), refused(/option role of sessionUi\(\), in its second argument: did you mean roles\?$/))

  const stores: Array<[() => unknown, RegExp]> = [
    [() => new MemoryStore({ maxSession: 5 } as never), /^there is no option maxSession of MemoryStore: did you mean maxSessions\?$/],
    [() => new FileStore({ directry: '.' } as never), /option directry of FileStore: did you mean directory\?$/],
    [() => new RedisStore({ ttl: 60 } as never), /option ttl of RedisStore: the names are client, prefix, timeout, maxPending, now$/],
    [() => new SqlStore({ tabel: 'x' } as never), /option tabel of SqlStore: /],
    [() => fromExpressStore(new expressSession.MemoryStore(), { timout: 5 } as never), /option timout of fromExpressStore\(\), in its second argument: did you mean timeout\?$/],
    [() => sealedCookie({ key: makeKey() } as never), /option key of sealedCookie\(\): did you mean keys\?$/],
    [() => adoptCookies({ cookiename: 'sid' } as never), /option cookiename of adoptCookies\(\): did you mean cookieName\?$/],
    [() => adoptExpressSessions({ secrets: 'x' } as never), /option secrets of adoptExpressSessions\(\): did you mean secret\?$/]
  ]
  for (const [make, message] of stores) t.throws(make, refused(message))

  app.post('/', { schema: optionalRoute }, async (request) => { request.session.start(ada, { persistant: true } as never) })
  t.match((await client.post('/')).json(), { statusCode: 500, code: 'FST_SESSION_OPTIONS', message: /option persistant/ })
})

t.test('required() and optional() are about the session "session" by default', (t) => {
  t.same([required(), optional()], [[{ session: [] }], [{ session: [] }, {}]])
  t.end()
})

t.test('an assignment to session.user is refused where the option user gives its value', async (t) => {
  const { app, client } = await setUp(t, { user: () => ({ name: 'Ada' }) })
  app.get('/', { schema: guarded }, async (request) => { Object.assign(request.session, { user: { name: 'Eve' } }) })
  const { id, setCookie } = await app.session.issue(ada)
  client.jar.take(setCookie)
  t.match((await client.get('/')).json(), { statusCode: 500, code: 'FST_SESSION_OPTIONS', message: /^session\.user is the result of the option user.*: write session\.start\(\{ userId \}\), or session\.set\("user", \.\.\.\)/ })
  t.same((await app.session.find(id))?.data, ada)
})

t.test('a read of a session that the route does not declare is logged at debug, once per route', async (t) => {
  const { app, log, client } = await setUp(t)
  app.addHook('onResponse', async (request) => { anySession(request).get('a') })
  app.get('/cart', async (request) => ({ user: (request.session as { userId?: string }).userId ?? null }))
  app.get('/me', async (request) => ({ user: anySession(request).user ?? null }))
  app.get('/declared', { schema: guarded }, async () => 'in')
  for (const url of ['/cart', '/cart', '/me', '/declared', '/nowhere', '/nowhere']) await client.get(url)
  const lines = log.filter(({ msg }) => /was read and is undefined/.test(msg))
  t.same(lines.map(({ level }) => level), [20, 20, 20])
  t.match(lines.map(({ msg }) => msg), [
    /^request\.session\.userId was read and is undefined\. GET \/cart does not declare the session "session": add security: \[\{ session: \[\] \}\]/,
    /^request\.session\.user was read and is undefined\. GET \/me does not declare/,
    /^request\.session\.a was read/
  ])
})

t.test('an error names the place of its page: an address that exists, or a file of the package', (t) => {
  t.equal(new SessionError('FST_SESSION_STORE', 'down').help, 'node_modules/fastify-openapi-session/docs/errors.md#fst_session_store')
  t.end()
})

t.test('a login that requires the session itself stops the boot', async (t) => {
  const boot = async (register: (app: FastifyInstance) => unknown, options: object = {}): Promise<unknown> => {
    const { app } = makeApp(t)
    await app.register(swagger, { openapi: { info: { title: 'Test', version: '1' } } })
    await app.register(sessionPlugin, { openapi: { login: 'login' }, verifiers: { bearer: () => true }, principal: () => undefined, ...options } as never)
    register(app)
    return await bootError(async () => { await app.ready() })
  }
  const login = (security?: unknown) => (app: FastifyInstance) => app.post('/login', { schema: { operationId: 'login', ...security !== undefined && { security } } as never }, async () => 'in')
  const refusal = { code: 'FST_SESSION_OPTIONS', message: /the operation "login", which `openapi\.login` names, requires the session "session" itself, .*: write schema: \{ security: \[\{\}, \{ "session": \[\] \}\] \}/ }
  t.match(await boot(login(required('session'))), refusal)
  t.match(await boot(login([{ session: [] }, { session: [], bearer: [] }])), refusal)
  t.match(await boot(login(), { security: [{ session: [] }] }), refusal, 'by the default security')
  for (const security of [optional('session'), [{ session: [] }, { bearer: [] }], [], undefined]) {
    await t.rejects(boot(login(security)), /the app started/, JSON.stringify(security))
  }
  await t.rejects(boot(login(required('session')), { principal: undefined }), /the app started/, 'a session of a guest lets the login in')
})

t.test('register without an await and options of another plugin leave one error each', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.register(sessionPlugin, { resave: false } as never)
  t.match(await bootError(async () => { await app.ready() }), { code: 'FST_SESSION_OPTIONS', message: /^there is no option resave/ })
})
