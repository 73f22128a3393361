import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { HTTPMethods } from 'fastify'
import Fastify from 'fastify'
import t from 'tap'
import { ask, guarded, managerOf, optional, plugin, reported, sessionOf, setCookies } from '../support/harness.js'
import { bootErrorOf, createWorld, tokenOf } from './support.js'

const SITES = ['same-origin', 'same-site', 'cross-site', 'none', undefined, 'junk', ''] as const
const ORIGINS = {
  same: 'http://localhost:80', upper: 'HTTP://LOCALHOST', other: 'https://evil.example', subdomain: 'http://sub.localhost', port: 'http://localhost:8080', null: 'null', absent: undefined,
  junk: 'not an origin', prefix: 'http://localhost.evil.example', empty: ''
} as const
const METHODS: HTTPMethods[] = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'MKCOL', 'SEARCH', 'PURGE', 'QUERY']

/** The algorithm of Go's net/http.CrossOriginProtection, written down as a table. */
function allowed (method: string, site: string | undefined, origin: keyof typeof ORIGINS): boolean {
  if (['GET', 'HEAD', 'OPTIONS'].includes(method)) return true
  if (site !== undefined && site !== '') return site === 'same-origin' || site === 'none'
  return ['absent', 'empty', 'same', 'upper'].includes(origin)
}

t.test('unsafe requests of other origins are refused for every method, Sec-Fetch-Site and Origin, the login included', async (t) => {
  const world = await createWorld(t)
  const { app } = world
  for (const method of ['TRACE', 'PROPFIND', 'MKCOL', 'SEARCH', 'PURGE', 'QUERY']) app.addHttpMethod(method, { hasBody: false })
  let entered = 0
  app.route({ method: METHODS, url: '/guarded', exposeHeadRoute: false, schema: guarded, handler: async () => ++entered })
  app.route({ method: METHODS, url: '/sign-in', exposeHeadRoute: false, schema: { security: [{}, { session: [] }] }, handler: async (request) => {
    entered++
    sessionOf(request).start({ userId: 'eve' })
  } })
  const ada = await world.signedIn()
  const wrong: string[] = []
  for (const method of METHODS) {
    for (const site of SITES) {
      for (const [name, origin] of Object.entries(ORIGINS) as Array<[keyof typeof ORIGINS, string | undefined]>) {
        const headers = { host: 'localhost', ...(site === undefined ? {} : { 'sec-fetch-site': site }), ...(origin === undefined ? {} : { origin }) }
        for (const url of ['/guarded', '/sign-in']) {
          const before = entered
          const response = await app.inject({ method: method as 'GET', url, headers: { ...headers, ...(url === '/guarded' ? { cookie: `__Host-session=${tokenOf(ada)}` } : {}) } })
          const expected = allowed(method, site, name)
          const is = response.statusCode === 200 && entered === before + 1
          const refused = response.statusCode === 403 && entered === before && setCookies(response).length === 0
          if (expected ? !is : !refused) wrong.push(`${method} ${url} ${site} ${origin}: ${response.statusCode}`)
        }
      }
    }
  }
  t.same(wrong, [], `${METHODS.length * SITES.length * Object.keys(ORIGINS).length * 2} requests`)
})

t.test('a cross-origin 403 names its cause, calls no store, sets no cookie, and is reported', async (t) => {
  const world = await createWorld(t)
  const ada = await world.signedIn()
  const before = await world.place.atRest()
  world.events.length = 0
  const response = await ada.inject({ method: 'POST', url: '/logout', headers: { origin: 'https://evil.example' } })
  t.match(response.json(), { statusCode: 403, code: 'FST_SESSION_CROSS_ORIGIN' })
  t.same(setCookies(response), [])
  t.equal(response.headers['vary'], 'Cookie')
  t.same(reported(world.events), ['rejected:cross-origin'])
  t.match(world.events, [{ detail: /^Origin: https:\/\/evil\.example, Sec-Fetch-Site: absent, Host: localhost:80 \(http\)\.$/ }])
  t.equal(await world.place.atRest(), before)
  t.equal((await ada.get('/me')).statusCode, 200)
})

t.test('trusted origins match exactly, across sites as well', async (t) => {
  const world = await createWorld(t, undefined, { crossOrigin: { trusted: ['https://app.example', 'http://localhost:5173'] } })
  const ada = await world.signedIn()
  const post = async (headers: Record<string, string>): Promise<number> => (await ada.inject({ method: 'POST', url: '/do/touch', headers })).statusCode
  t.equal(await post({ origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }), 200)
  t.equal(await post({ origin: 'http://localhost:5173', 'sec-fetch-site': 'same-site' }), 200)
  for (const origin of ['https://app.example.evil', 'https://evil.app.example', 'http://app.example', 'https://app.example:444', 'https://APP.example', 'https://app.example/', 'null']) {
    t.equal(await post({ origin, 'sec-fetch-site': 'cross-site' }), 403, origin)
    t.equal(await post({ origin }), 403, origin)
  }
  t.equal(await post({ 'sec-fetch-site': 'cross-site' }), 403, 'trust needs an origin')
  for (const origin of ['*', 'app.example', 'https://app.example/', 'https://*.app.example', 'null', 'HTTPS://APP.EXAMPLE', '']) {
    t.equal((await bootErrorOf(t, { crossOrigin: { trusted: [origin] } })).code, 'FST_SESSION_OPTIONS', origin)
  }
})

t.test('the cross-origin check can be turned off, and applies if any scheme of the route has it', async (t) => {
  const off = await createWorld(t, undefined, { crossOrigin: false })
  t.equal((await off.visitor().inject({ method: 'POST', url: '/login', payload: { userId: 'ada' }, headers: { origin: 'https://evil.example' } })).statusCode, 200)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { crossOrigin: false })
  await app.register(plugin, { scheme: 'admin', cookie: { name: '__Host-admin' } })
  app.post('/either', { schema: { security: [{ session: [] }, { admin: [] }, {}] } as never }, async () => 'in')
  app.post('/one', { schema: optional }, async () => 'in')
  const headers = { origin: 'https://evil.example' }
  t.equal((await app.inject({ method: 'POST', url: '/either', headers })).statusCode, 403)
  t.equal((await app.inject({ method: 'POST', url: '/one', headers })).statusCode, 200)
})

t.test('config.session.crossOrigin trusts origins on its own route only', async (t) => {
  const trusting = (trusted: unknown): { schema: typeof optional, config: never } => ({ schema: optional, config: { session: { crossOrigin: { trusted } } } as never })
  const world = await createWorld(t)
  world.app.post('/from-provider', trusting(['https://login.example']), async () => 'in')
  const post = async (url: string, origin: string): Promise<number> =>
    (await world.app.inject({ method: 'POST', url, headers: { origin, 'sec-fetch-site': 'cross-site' } })).statusCode
  t.equal(await post('/from-provider', 'https://login.example'), 200)
  t.equal(await post('/logout', 'https://login.example'), 403)
  for (const origin of ['https://login.example.evil', 'https://login.example:444', 'http://login.example', 'null']) t.equal(await post('/from-provider', origin), 403, origin)
  for (const wrong of ['https://login.example', ['login.example'], ['https://login.example/'], ['*']]) {
    t.match(await bootErrorOf(t, {}, (app) => { app.post('/from-provider', trusting(wrong), async () => 'in') }),
      { code: 'FST_SESSION_OPTIONS', message: /POST \/from-provider: config\.session\.crossOrigin\.trusted(: .* is not an origin| must be a list of origins)/ }, JSON.stringify(wrong))
  }
})

t.test('an upgrade counts as an unsafe request, whatever its method', async (t) => {
  const world = await createWorld(t)
  const ada = await world.signedIn()
  const upgrade = { connection: 'upgrade', upgrade: 'websocket' }
  t.equal((await ada.get('/me', { ...upgrade, origin: 'https://evil.example' })).statusCode, 403)
  t.equal((await ada.get('/me', { ...upgrade, 'sec-fetch-site': 'cross-site' })).statusCode, 403)
  t.equal((await ada.get('/me', { ...upgrade, origin: 'http://localhost:80' })).statusCode, 200)
  t.equal((await ada.get('/me', { origin: 'https://evil.example' })).statusCode, 200, 'a plain GET is read only')
})

t.test('a request without Host, as HTTP/1.0 allows, has no origin of its own', async (t) => {
  const world = await createWorld(t)
  const address = await world.app.listen({ port: 0, host: '127.0.0.1' })
  const ask = async (lines: string[]): Promise<string> => {
    const socket = connect({ port: Number(new URL(address).port), host: '127.0.0.1' })
    socket.end(`${lines.join('\r\n')}\r\n\r\n`)
    return (await text(socket)).split('\r\n')[0] as string
  }
  t.match(await ask(['POST /logout HTTP/1.0', 'Origin: http://evil.example', 'Content-Length: 0']), /403/)
  t.match(await ask(['POST /logout HTTP/1.0', 'Origin: file://', 'Content-Length: 0']), /403/)
  t.match(await ask(['POST /logout HTTP/1.0', 'Origin: null', 'Content-Length: 0']), /403/)
  t.match(await ask(['POST /logout HTTP/1.0', 'Origin: http://undefined', 'Content-Length: 0']), /403/)
  t.match(await ask(['POST /logout HTTP/1.0', 'Content-Length: 0']), /200/)
  t.match(await ask(['POST /logout HTTP/1.1', 'Host:', 'Origin: file://', 'Content-Length: 0', 'Connection: close']), /403/)
})

t.test('a Host with the default port is the same origin, and a malformed Host matches no origin', async (t) => {
  const world = await createWorld(t)
  const ask = async (host: string, origin: string): Promise<number> => (await world.app.inject({ method: 'POST', url: '/logout', headers: { host, origin } })).statusCode
  t.equal(await ask('shop.example:443', 'https://shop.example'), 200)
  t.equal(await ask('Shop.Example', 'https://shop.example'), 200)
  t.equal(await ask('[::1]:3000', 'http://[::1]:3000'), 200)
  for (const host of ['shop.example:80', 'shop.example:444', 'evil', 'shop.example.evil', 'a b', '[', 'x@', ':']) t.equal(await ask(host, 'https://shop.example'), 403, host)
})

t.test('the :authority of an HTTP/2 request is its host', async (t) => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(plugin, {})
  app.post('/post', { schema: optional }, async () => 'in')
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const session = connectHttp2(address)
  t.teardown(() => session.close())
  const ask = async (headers: Record<string, string>): Promise<number> => await new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': '/post', ...headers })
    stream.on('response', (answer) => resolve(Number(answer[':status']))).on('error', reject).resume().end()
  })
  t.equal(await ask({ origin: address }), 200)
  t.equal(await ask({ origin: 'https://evil.example' }), 403)
  t.equal(await ask({}), 200)
})

t.test('headers of a proxy count only with trustProxy', async (t) => {
  const world = await createWorld(t)
  const ada = await world.signedIn()
  const forged = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-for': '127.0.0.1', forwarded: 'host=evil.example' }
  t.equal((await ada.inject({ method: 'POST', url: '/do/touch', headers: { ...forged, origin: 'https://evil.example' } })).statusCode, 403)
  t.equal((await ada.inject({ method: 'POST', url: '/do/touch', headers: { ...forged, origin: 'http://localhost:80' } })).statusCode, 200)
  const [plain = ''] = setCookies(await world.visitor().post('/login', { userId: 'ada' }))
  const [behind = ''] = setCookies(await world.visitor().inject({ method: 'POST', url: '/login', payload: { userId: 'ada' }, headers: forged }))
  t.equal(behind.replace(/=[^;]*/, ''), plain.replace(/=[^;]*/, ''), 'the cookie is the same')
  const asked = await createWorld(t, undefined, {}, { trustProxy: true })
  const bob = await asked.signedIn()
  t.equal((await bob.inject({ method: 'POST', url: '/do/touch', headers: { 'x-forwarded-host': 'shop.example', origin: 'https://shop.example' } })).statusCode, 200)
  t.equal((await bob.inject({ method: 'POST', url: '/do/touch', headers: { 'x-forwarded-host': 'shop.example', origin: 'https://evil.example' } })).statusCode, 403)
})

t.test('a Secure cookie that a browser will drop is reported once, with the cause', async (t) => {
  const sent = (headers: Record<string, string>, count = 3) => async (world: Awaited<ReturnType<typeof createWorld>>): Promise<string[]> => {
    for (let i = 0; i < count; i++) await world.visitor().inject({ method: 'POST', url: '/login', payload: { userId: 'ada' }, headers })
    return world.log.map(({ msg }) => msg)
  }
  const plain = await sent({ host: 'shop.example' })(await createWorld(t))
  t.equal(plain.length, 1, 'once')
  t.match(plain[0], /plain http.*browsers drop it/)
  const proxied = await sent({ host: 'shop.example', 'x-forwarded-proto': 'https' })(await createWorld(t))
  t.equal(proxied.length, 1, 'once')
  t.match(proxied[0], /X-Forwarded-Proto: https.*trustProxy/, 'a proxy that nobody told Fastify about')
  t.same(await sent({ host: 'shop.example', 'x-forwarded-proto': 'https' })(await createWorld(t, undefined, {}, { trustProxy: true })), [])
  t.match((await sent({ host: 'shop.example', 'x-forwarded-proto': 'http' })(await createWorld(t, undefined, {}, { trustProxy: true })))[0], /plain http/)
  for (const host of ['localhost', 'localhost:3000', 'shop.localhost', '127.0.0.1:80', '[::1]:80']) t.same(await sent({ host })(await createWorld(t)), [], host)
  t.same(await sent({ host: 'shop.example' })(await createWorld(t, undefined, { cookie: { secure: false } })), [])
})

t.test('app.session.issue and requests that a server sends pass the cross-origin check', async (t) => {
  const world = await createWorld(t)
  const { cookie } = await managerOf(world.app).issue({ userId: 'ada' })
  t.equal((await ask(world.app, 'POST /do/touch', cookie)).statusCode, 200)
})
