import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import Fastify from 'fastify'
import sessionPlugin, { type SessionOptions } from 'fastify-openapi-session'
import { sealedCookie } from 'fastify-openapi-session/sealed'
import { createClock } from 'fastify-openapi-session/testing'
import { Type } from '@sinclair/typebox'
import { ProbeStore } from '../support/probe-store.js'
import { chain } from '../../lib/awaitable.js'
import { createGate } from '../support/gate.js'
import { ask, bootError, makeApp, stopTimers } from '../support/harness.js'
import { anySession, setUp, Visitor } from './support.js'

/** Options that stop the boot, and what the sentence has to say. */
const refusals: ReadonlyArray<[options: object, complaint: RegExp]> = [
  [{ idleTimeOut: 5 }, /^there is no option idleTimeOut: did you mean idleTimeout\?$/],
  [{ idelTimeout: 5 }, /^there is no option idelTimeout: did you mean idleTimeout\?$/],
  [{ rols: () => [] }, /^there is no option rols: did you mean roles\?$/],
  [{ unheard: 'x' }, /^there is no option unheard: docs\/options\.md describes the options$/],
  // What people bring from other session plugins.
  [{ secret: 'x' }, /^there is no option secret: no secret is needed.*take it out.*sealedCookie\(\{ keys \}\)$/],
  [{ key: 'x' }, /^there is no option key: no secret is needed/],
  [{ saveUninitialized: false }, /^there is no option saveUninitialized: a session is saved when its data change or start\(\) is called, never before; take it out$/],
  [{ resave: false }, /^there is no option resave: .*take it out$/],
  [{ rolling: true }, /^there is no option rolling: each request restarts the idle timeout.*touch: false/],
  [{ cookieName: 'sid' }, /^there is no option cookieName: write cookie: \{ name: \.\.\. \}$/],
  [{ sessionName: 'sid' }, /^there is no option sessionName: write scheme/],
  [{ genid: () => 'x' }, /^there is no option genid: ids are random/],
  [{ maxAge: 5 }, /^there is no option maxAge: write idleTimeout and absoluteTimeout, in seconds/],
  [{ expires: 5 }, /^there is no option expires: write idleTimeout/],
  [{ sameSite: 'lax' }, /^there is no option sameSite: write cookie: \{ sameSite: \.\.\. \}$/],
  [{ httpOnly: true }, /^there is no option httpOnly: write cookie/],
  [{ unset: 'destroy' }, /^there is no option unset: session\.destroy\(\) ends/],
  [{ constructor: 'x' }, /^there is no option constructor: docs/],
  ...[{ name: 'sid' }, [null], ['sid'], [{ path: '/x' }], [{ name: undefined }]].map((previous): [object, RegExp] =>
    [{ cookie: { previous } }, /^cookie\.previous must be a list of the former cookies with their names, such as \[\{ name: "sid" \}\]$/]),
  [{ cookie: { previous: [{ name: 'my sid' }] } }, /^cookie: .*name.* my sid, so no browser would accept it$/],
  [{ cookie: { previous: [{ name: 'sid', pth: '/app' }] } }, /no option cookie\.previous\[\]\.pth: did you mean path\?$/],
  [{ crossOrigin: { trust: [] } }, /^there is no option crossOrigin\.trust: did you mean trusted\?$/],
  [{ openapi: { logIn: 'x' } }, /^there is no option openapi\.logIn: did you mean login\?$/],
  [{ scheme: '' }, /scheme must be a name of letters/],
  [{ scheme: 'my session' }, /scheme must be a name of letters/],
  [{ scheme: 5 }, /scheme must be a name of letters/],
  [{ schema: { type: 'string' } }, /schema must be the schema of an object.*z\.object.*Type\.Object/],
  [{ schema: Type.Object({ at: Type.Date({ default: new Date(0) }) }) }, /schema has a Date \(at properties\.at\), but session data are JSON/],
  [{ schema: null }, /schema must be the schema of an object/],
  [{ schema: { userId: { type: 'string' } } }, /schema is not a JSON Schema that Ajv accepts \(strict mode: unknown keyword: "userId"\)/],
  [{ schema: Type.Object({ mail: Type.Array(Type.String({ format: 'email' })) }) }, /schema uses the format "email".*FormatRegistry\.Set\("email"/],
  [{ store: null }, /store must be a SessionStore, such as new MemoryStore\(\)/],
  [{ store: 'memory' }, /store must be a SessionStore/],
  [{ store: { get () {}, set () {}, destroy () {} } }, /fromExpressStore\(store\), from fastify-openapi-session\/express/],
  [{ store: { create () {}, read () {} } }, /store has no touch, update, delete, list, deleteAll/],
  [{ cookie: 'sid' }, /cookie must be an object/],
  [{ cookie: null }, /cookie must be an object/],
  [{ cookie: { httpOnly: false } }, /no option cookie\.httpOnly: the cookie is always HttpOnly/],
  [{ cookie: { maxAge: 5 } }, /no option cookie\.maxAge: use absoluteTimeout/],
  [{ cookie: { samesite: 'lax' } }, /no option cookie\.samesite: did you mean sameSite\?$/],
  [{ cookie: { priority: 'high' } }, /no option cookie\.priority: the names are name, path/],
  [{ cookie: { name: 'my session' } }, /cookie\.name "my session" is not a cookie name/],
  [{ cookie: { name: '' } }, /cookie\.name "" is not a cookie name/],
  [{ cookie: { name: 'sid', path: 'app' } }, /cookie\.path "app" must start with "\/"/],
  [{ cookie: { name: 'sid', path: '/;x' } }, /cookie\.path "\/;x"/],
  [{ cookie: { name: 'sid', path: 5 } }, /cookie\.path 5/],
  [{ cookie: { sameSite: 'Lax' } }, /cookie\.sameSite "Lax" must be "lax", "strict" or "none"/],
  [{ cookie: { secure: 'auto' } }, /cookie\.secure must be true or false/],
  [{ cookie: { partitioned: 'yes' } }, /cookie\.partitioned must be true or false/],
  [{ cookie: { persistent: 'yes' } }, /cookie\.persistent must be true or false/],
  [{ cookie: { name: 'sid', domain: 'a..b' } }, /cookie: .*domain/],
  [{ cookie: { name: 'sid', domain: 'https://example.com' } }, /cookie\.domain "https:\/\/example\.com" is not a host name/],
  [{ cookie: { domain: 'example.com' } }, /"__Host-session" needs secure: true, path: "\/" and no domain/],
  [{ cookie: { name: '__host-x', path: '/app' } }, /"__host-x" needs secure: true, path: "\/" and no domain/],
  [{ cookie: { name: '__Host-x', secure: false } }, /"__Host-x" needs secure: true/],
  [{ cookie: { name: '__Secure-x', secure: false } }, /"__Secure-x" needs secure: true/],
  [{ cookie: { name: '__Http-x', secure: false } }, /"__Http-x" needs secure: true/],
  [{ cookie: { name: '__Host-Http-x', path: '/app' } }, /"__Host-Http-x" needs secure: true, path: "\/" and no domain/],
  [{ cookie: { secure: false, sameSite: 'none' } }, /sameSite "none" needs cookie\.secure: true/],
  [{ cookie: { secure: false, partitioned: true } }, /cookie\.partitioned needs cookie\.secure: true/],
  [{ idleTimeout: 0 }, /idleTimeout must be a positive number of seconds/],
  [{ idleTimeout: '30m' }, /idleTimeout must be a positive number of seconds/],
  [{ absoluteTimeout: -1 }, /absoluteTimeout must be a positive number of seconds/],
  [{ absoluteTimeout: Infinity }, /absoluteTimeout must be a positive number of seconds/],
  [{ idleTimeout: 0.0001 }, /idleTimeout must be a positive number of seconds/],
  [{ absoluteTimeout: Number.MAX_SAFE_INTEGER }, /absoluteTimeout must be a positive number of seconds/],
  [{ storeTimeout: 3_000_000 }, /storeTimeout must be at most 24 days, in seconds/],
  [{ cookie: { name: 5 } }, /cookie\.name 5 is not a cookie name/],
  [{ verifiers: { 'an api key': () => true } }, /verifiers: "an api key" is not a name of a security scheme/],
  [{ storeTimeout: NaN }, /storeTimeout must be a positive number of seconds/],
  [{ idleTimeout: 100, absoluteTimeout: 50 }, /idleTimeout \(100 s\) is longer than absoluteTimeout \(50 s\)/],
  [{ idleTimeout: 30 * 60 * 1000 }, /idleTimeout \(1800000 s\) is longer than absoluteTimeout \(43200 s\) .*: write both in seconds, not milliseconds/],
  [{ maxSize: 0 }, /maxSize must be a whole number above 0/],
  [{ maxSize: 1.5 }, /maxSize must be a whole number above 0/],
  [{ principal: () => 'x', maxPerPrincipal: 0 }, /maxPerPrincipal must be a whole number above 0/],
  [{ maxPerPrincipal: 5 }, /maxPerPrincipal needs the option principal/],
  [{ principal: 'userId' }, /principal must be a function/],
  [{ roles: ['admin'] }, /roles must be a function/],
  [{ verify: true }, /verify must be a function/],
  [{ user: {} }, /user must be a function/],
  [{ migrate: {} }, /migrate must be a function/],
  [{ onEvent: 'log' }, /onEvent must be a function/],
  [{ now: 5 }, /now must be a function/],
  [{ security: { session: [] } }, /security must be a list of requirements/],
  [{ verifiers: true }, /verifiers must be an object/],
  [{ verifiers: { bearer: true } }, /verifiers\.bearer must be a function/],
  [{ verifiers: { session: () => true } }, /verifiers\.session: "session" is this session itself/],
  [{ crossOrigin: true }, /crossOrigin must be \{ trusted: \[\.\.\.\] \}/],
  [{ crossOrigin: null }, /crossOrigin must be/],
  [{ crossOrigin: { trust: [] } }, /no option crossOrigin\.trust/],
  [{ crossOrigin: { trusted: 'https://shop.example' } }, /crossOrigin\.trusted must be a list of origins/],
  [{ crossOrigin: { trusted: ['https://shop.example/'] } }, /"https:\/\/shop\.example\/" is not an origin/],
  [{ crossOrigin: { trusted: ['https://*.example'] } }, /is not an origin/],
  [{ crossOrigin: { trusted: ['shop.example'] } }, /is not an origin/],
  [{ crossOrigin: { trusted: ['null'] } }, /is not an origin/],
  [{ openapi: 'docs' }, /openapi must be an object/],
  [{ openapi: { signin: 'x' } }, /no option openapi\.signin: the names are description, login/],
  [{ openapi: { login: '' } }, /openapi\.login must be text/],
  [{ openapi: { login: 5 } }, /openapi\.login must be text/],
  [{ openapi: { headers: 'RateLimit' } }, /openapi\.headers must be an object such as \{ RateLimit/],
  [{ openapi: { headers: { RateLimit: 'left' } } }, /openapi\.headers must be an object/]
]

for (const [options, complaint] of refusals) {
  t.test(`refused: ${complaint.source.slice(0, 60)} ${Object.keys(options)[0]}`, async (t) => {
    const app = Fastify()
    t.teardown(() => app.close())
    const error = await bootError(() => app.register(sessionPlugin, options as SessionOptions<'session'>))
    t.equal(error.code, 'FST_SESSION_OPTIONS')
    t.match(error.message, complaint)
  })
}

t.test('names that requests or the app have already are refused', async (t) => {
  for (const scheme of ['body', 'query', 'params', 'headers', 'raw', 'log', 'id', 'ip', 'url', 'server', 'routeOptions', 'route', 'get', 'inject', 'constructor', '__proto__', 'taken', 'onRequestOnly']) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.decorate('taken', 1)
    app.decorateRequest('onRequestOnly', null)
    const error = await bootError(() => app.register(sessionPlugin, { scheme } as never))
    t.match(error, { code: 'FST_SESSION_OPTIONS', message: `request.${scheme} or app.${scheme} exists already` }, scheme)
  }
})

t.test('the same session twice is refused with a sentence that says so, in an inner context too', async (t) => {
  const refusal = { code: 'FST_SESSION_OPTIONS', message: /^the session "session" is registered already, .*: register the plugin once for each session\. A second session needs .*scheme: "admin"/ }
  for (const options of [{}, { cookie: { name: 'other' } }]) {
    const one = await setUp(t)
    t.match(await bootError(() => one.app.register(sessionPlugin, options)), refusal)
    const two = await setUp(t)
    t.match(await bootError(() => two.app.register(async (inner) => { await inner.register(sessionPlugin, options) })), refusal)
  }
})

t.test('two sessions on one cookie are refused, in an inner context too', async (t) => {
  const one = await setUp(t)
  t.match(await bootError(() => one.app.register(sessionPlugin, { scheme: 'admin' })),
    { code: 'FST_SESSION_OPTIONS', message: /"session" and "admin" both use the cookie "__Host-session"/ })
  const two = await setUp(t)
  t.match(await bootError(() => two.app.register(async (inner) => { await inner.register(sessionPlugin, { scheme: 'admin' }) })),
    { code: 'FST_SESSION_OPTIONS', message: /both use the cookie/ })
})

t.test('the defaults are a __Host- cookie, half an hour of idle time and any data', async (t) => {
  const { app } = makeApp(t)
  const { now } = createClock()
  await app.register(sessionPlugin, { now })
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async (request) => {
    const session = anySession(request)
    session.start({ anything: { goes: true } } as never)
    return { idle: session.expiresAt - now() }
  })
  const response = await app.inject('/')
  t.match(response.headers['set-cookie'], /^__Host-session=[\w-]{22}\.[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  t.equal(response.json().idle, 1_800_000, 'half an hour')
})

t.test('the defaults are twelve hours of life, a mebibyte of data and two seconds for a store call', async (t) => {
  const { app } = makeApp(t)
  const store = new ProbeStore()
  await app.register(sessionPlugin, { store })
  app.post('/remember', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => { session.start({} as never, { persistent: true }) })
  app.get('/', { schema: { security: [{ session: [] }] } }, async () => 'in')
  t.match((await app.inject({ method: 'POST', url: '/remember' })).headers['set-cookie'], /; Max-Age=43200;/, 'twelve hours at the most')

  const fits = 2 ** 20 - '{"text":""}'.length
  const { cookie } = await app.session.issue({ text: 'x'.repeat(fits) } as never)
  await t.rejects(app.session.issue({ text: 'x'.repeat(fits + 1) } as never), { code: 'FST_SESSION_TOO_LARGE' }, 'a mebibyte of data')

  const asked = createGate()
  store.before = () => asked.pass()
  const pass = stopTimers(t)
  let status: number | undefined
  const response = ask(app, '/', cookie).then(({ statusCode }) => { status = statusCode })
  await asked.reached
  pass(1.9)
  await turn()
  t.equal(status, undefined)
  pass(0.2)
  await response
  t.equal(status, 503, 'two seconds for a call of the store')
})

t.test('an absolute timeout below the default idle timeout shortens that', async (t) => {
  const { app } = await setUp(t, { absoluteTimeout: 60 })
  const { id } = await app.session.issue({ roles: [], cart: {} })
  const info = await app.session.find(id)
  t.equal(info && info.expiresAt - info.createdAt, 60_000)
})

t.test('the options accept prefixes of cookie names and origins of apps that browsers know', async (t) => {
  for (const name of ['__Http-session', '__Host-Http-session', '__Secure-session', '__host-session']) {
    const { app } = await setUp(t, { cookie: { name } })
    t.ok((await app.session.issue({ roles: [], cart: {} })).setCookie.startsWith(`${name}=`))
  }
  const origins = ['capacitor://localhost', 'tauri://localhost', 'chrome-extension://abcdefghijklmnop', 'https://shop.example:8443']
  const { app } = await setUp(t, { crossOrigin: { trusted: origins } })
  app.post('/', { schema: { security: [{ session: [] }, {}] } }, async () => 'in')
  for (const origin of origins) t.equal((await app.inject({ method: 'POST', url: '/', headers: { origin, 'sec-fetch-site': 'cross-site' } })).statusCode, 200)
})

t.test('maxPerPrincipal is 100 by default where the store counts, and holds for any store where it is set', async (t) => {
  for (const [counts, maxPerPrincipal, left] of [[true, undefined, 100], [false, undefined, 102], [true, 2, 2], [false, 2, 2]] as const) {
    const store = new ProbeStore()
    const create = store.create.bind(store)
    if (!counts) store.create = (id, record) => chain(create(id, record), (created) => created !== false)
    const limit = maxPerPrincipal === undefined ? {} : { maxPerPrincipal }
    const { app } = await setUp(t, { store, principal: (data) => data.userId, now: Date.now, ...limit })
    for (let n = 0; n < 102; n++) await app.session.issue({ userId: 'ada', roles: [], cart: {} })
    t.equal(await app.session.revokeAll('ada'), left)
  }
})

t.test('a login lists the sessions of its principal only above maxPerPrincipal, or where the store does not count', async (t) => {
  for (const counts of [true, false]) {
    const store = new ProbeStore()
    const create = store.create.bind(store)
    if (!counts) store.create = (id, record) => chain(create(id, record), (created) => created !== false)
    const { app } = await setUp(t, { store, principal: (data) => data.userId, maxPerPrincipal: 2 })
    const logins = []
    for (const userId of ['ada', 'ada', 'ada', 'bob', undefined]) {
      await app.session.issue({ ...(userId !== undefined && { userId }), roles: [], cart: {} })
      logins.push(store.take().join(' '))
    }
    const below = counts ? 'create' : 'create list'
    t.same(logins, [below, below, 'create list update list update', below, 'create'])
  }
})

t.test('with secure: false the default name has no prefix', async (t) => {
  const { app } = await setUp(t, { cookie: { secure: false } })
  t.match((await app.session.issue({ roles: [], cart: {} })).setCookie, /^session=[\w-]{22}\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
})

t.test('a cookie is expired with the same attributes with which it was set', async (t) => {
  const { app, client } = await setUp(t, {
    cookie: { name: '__Secure-sid', path: '/app', domain: 'example.com', sameSite: 'none', partitioned: true, persistent: true }, absoluteTimeout: 3600
  })
  app.post('/app/in', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => { session.start({ roles: [], cart: {} }) })
  app.post('/app/out', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => { session.destroy() })
  const attributes = 'Domain=example.com; Path=/app'
  const flags = 'HttpOnly; Secure; Partitioned; SameSite=None'
  const login = await client.post('/app/in')
  t.match(login.headers['set-cookie'], new RegExp(`^__Secure-sid=[\\w-]{22}\\.[\\w-]{43}; Max-Age=3600; ${attributes}; ${flags}$`))
  const logout = await client.post('/app/out')
  t.equal(logout.headers['set-cookie'], `__Secure-sid=; Max-Age=0; ${attributes}; Expires=Thu, 01 Jan 1970 00:00:00 GMT; ${flags}`)
})

t.test('options of Fastify\'s register are let through', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, { prefix: '/x', logLevel: 'warn', schema: Visitor })
  t.ok(app.hasDecorator('session'))
})

t.test('sealed cookies take the place of a store', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, { schema: Visitor, store: sealedCookie({ keys: [new Uint8Array(32).map((_, index) => index * 7)] }) })
  t.match((await app.session.issue({ roles: [], cart: {} })).cookie, /^__Host-session=[\w-]{60,}$/)
  const { session } = app
  const calls = {
    list: () => session.list('ada'),
    find: () => session.find('A'.repeat(22)),
    update: () => session.update('A'.repeat(22), () => {}),
    watch: () => session.watch('A'.repeat(22), { signal: new AbortController().signal }),
    revoke: () => session.revoke('A'.repeat(22)),
    revokeAll: () => session.revokeAll('ada')
  }
  for (const [name, call] of Object.entries(calls)) {
    await t.rejects(async () => await call(), { code: 'FST_SESSION_OPTIONS', message: new RegExp(`app\\.session\\.${name}\\(\\) needs a store`) }, name)
  }
})
