import { createPrivateKey, generateKeyPairSync, type JsonWebKey, sign } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { compileFunction } from 'node:vm'
import Fastify, { type FastifyInstance } from 'fastify'
import * as session from 'fastify-openapi-session'
import { Client, createClock } from 'fastify-openapi-session/testing'
import fp from 'fastify-plugin'
import * as openid from 'openid-client'
import t, { type Test } from 'tap'
import { createServer as createVite, type ProxyOptions } from 'vite'
import { temporaryDirectory } from '../support/servers-process.js'
import { textOf } from './markdown.js'
import { runBlock } from './recipe.js'

async function signedIn (app: FastifyInstance, data: Record<string, unknown>): Promise<Client> {
  const browser = new Client(app)
  browser.jar.take((await app.session.issue(data)).setCookie)
  return browser
}

t.test('current user: a disabled user is signed out by the next request, and a role that was taken away is gone at once', async (t) => {
  const { app, users } = await runBlock<{ users: Map<string, { roles: string[], disabled: boolean }> }>(t, 'docs/recipes/current-user.md', { names: 'app, users' })
  const browser = await signedIn(app, { userId: 'ada' })
  t.same((await browser.get('/me')).json(), { name: 'Ada' })
  t.equal((await browser.get('/admin')).body, 'Welcome, Ada')
  const user = users.get('ada') as { roles: string[], disabled: boolean }
  user.roles = []
  t.equal((await browser.get('/admin')).statusCode, 403)
  user.disabled = true
  t.equal((await browser.get('/me')).statusCode, 401)
  user.disabled = false
  t.equal((await browser.get('/me')).statusCode, 401, 'the session has ended')
})

/** An identity provider on the loopback interface, which confirms every sign-in, with the nonce that it was sent. */
async function provider (t: Test): Promise<{ issuer: string, authorize: (url: string) => URL }> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const codes = new Map<string, string>()
  let issuer = ''
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const token = (nonce: string): string => {
    const now = Math.floor(Date.now() / 1000)
    const text = `${encode({ alg: 'RS256', kid: 'k' })}.${encode({ iss: issuer, aud: 'shop', sub: 'ada', name: 'Ada', nonce, iat: now, exp: now + 60 })}`
    return `${text}.${sign('sha256', Buffer.from(text), createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))).toString('base64url')}`
  }
  const server = createServer(async (request, response) => {
    const answer = (body: object): void => { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)) }
    if (request.url === '/jwks') return answer({ keys: [{ ...publicKey.export({ format: 'jwk' }) as JsonWebKey, kid: 'k', alg: 'RS256', use: 'sig' }] })
    if (request.url !== '/token') return answer({ issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'] })
    let body = ''
    for await (const chunk of request) body += String(chunk)
    answer({ access_token: 'a', token_type: 'bearer', id_token: token(codes.get(new URLSearchParams(body).get('code') ?? '') ?? '') })
  })
  t.teardown(() => { server.close().closeAllConnections() })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    issuer,
    authorize (url) {
      const { searchParams } = new URL(url)
      codes.set('code', searchParams.get('nonce') ?? '')
      const back = new URL(searchParams.get('redirect_uri') ?? '')
      back.searchParams.set('code', 'code')
      back.searchParams.set('state', searchParams.get('state') ?? '')
      return back
    }
  }
}

t.test('OpenID Connect: the callback signs in with another cookie, and a callback that another browser began does not', async (t) => {
  const { issuer, authorize } = await provider(t)
  const before = { ...process.env }
  Object.assign(process.env, { OIDC_ISSUER: issuer, OIDC_CLIENT: 'shop', OIDC_SECRET: 'secret', SITE: 'http://localhost:3000' })
  t.teardown(() => { for (const name of ['OIDC_ISSUER', 'OIDC_CLIENT', 'OIDC_SECRET', 'SITE']) if (before[name] === undefined) delete process.env[name] })
  // A provider on the loopback interface has no TLS.
  const discovery: typeof openid.discovery = async (url, id, secret) => await openid.discovery(url, id, secret, undefined, { execute: [openid.allowInsecureRequests] })
  const { app } = await runBlock(t, 'docs/recipes/oidc.md', { modules: { 'openid-client': { ...openid, discovery } } })

  const browser = new Client(app)
  t.equal((await browser.get('/')).statusCode, 401)
  const guest = await browser.get('/login')
  const guestCookie = browser.jar.get('__Host-session')
  const back = authorize(String(guest.headers.location))
  t.equal(back.origin + back.pathname, 'http://localhost:3000/callback')

  t.equal((await new Client(app).get(back.pathname + back.search)).headers.location, '/login', 'a browser that began nothing')
  const other = new Client(app)
  await other.get('/login')
  t.equal((await other.get(back.pathname + back.search)).statusCode, 400, 'a browser that began something else')
  t.equal((await other.get('/')).statusCode, 401)

  const callback = await browser.inject({ url: back.pathname + back.search, headers: { 'sec-fetch-site': 'cross-site' } })
  t.equal(callback.headers.location, '/')
  t.not(browser.jar.get('__Host-session'), guestCookie)
  t.same((await browser.get('/')).json(), { name: 'Ada' })
  t.match((await app.session.list('ada')).sessions[0]?.data, { userId: 'ada', attempt: undefined }, 'nothing is left of the attempt')
})

t.test('single-page app on another origin: its page may sign in, with the headers of CORS, and no other page', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/spa.md', { block: 1 })
  const from = (origin: string): Record<string, string> => ({ origin, 'sec-fetch-site': 'cross-site' })
  const browser = new Client(app)
  const login = await browser.post('/login', {}, from('https://app.example'))
  t.match(login, { statusCode: 200, headers: { 'access-control-allow-origin': 'https://app.example', 'access-control-allow-credentials': 'true', 'set-cookie': /SameSite=None/ } })
  t.same((await browser.get('/me', from('https://app.example'))).json(), { name: 'ada' })
  const refused = await new Client(app).get('/me', from('https://app.example'))
  t.match(refused, { statusCode: 401, headers: { 'access-control-allow-origin': 'https://app.example' } }, 'the page can read the refusal')
  t.equal((await browser.post('/login', {}, from('https://evil.example'))).statusCode, 403)
})

t.test('single-page app behind the proxy of Vite: a request without Fetch Metadata is of the same origin', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/behind-a-proxy.md')
  const api = await app.listen({ port: 0, host: '127.0.0.1' })
  const [, config = ''] = /\*\*vite\.config\.ts\*\*\n\n```ts\n(.*?)^```/ms.exec(textOf('docs/recipes/spa.md')) ?? []
  const written = compileFunction(config.replace(/^import .*$/m, '').replace('export default', 'return'), ['defineConfig']) as (define: (config: object) => object) => { server: { proxy: Record<string, ProxyOptions> } }
  const { server: { proxy } } = written((value) => value)
  const rewrite = (path: string): string => path.replace('/api', '')
  const vite = await createVite({
    configFile: false, root: temporaryDirectory(t, 'vite'), logLevel: 'silent',
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null, proxy: { '/api': { ...proxy['/api'], target: api, rewrite } } }
  })
  t.teardown(() => vite.close())
  await vite.listen()
  const origin = `http://127.0.0.1:${((vite.httpServer as Server).address() as AddressInfo).port}`
  const post = async (from: string): Promise<number> => (await fetch(`${origin}/api/cart`, { method: 'POST', headers: { origin: from } })).status
  t.equal(await post(origin), 200)
  t.equal(await post('http://evil.example'), 403)
})

t.test('documentation behind the login: pages redirect, the document and its scripts are guarded, and the API keeps its 401', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/docs-behind-login.md')
  const guest = new Client(app)
  for (const path of ['/docs', '/docs/json', '/docs/yaml', '/docs/static/swagger-ui.css', '/reference', '/reference/openapi.json']) {
    const response = await guest.get(path)
    t.match(response.headers.location, `/login?next=${encodeURIComponent(path)}`, path)
  }
  t.equal((await guest.get('/orders')).statusCode, 401)
  const user = await signedIn(app, { userId: 'grace', roles: [] })
  t.equal((await user.get('/docs')).statusCode, 403)
  t.equal((await user.get('/orders')).statusCode, 200)
  const staff = await signedIn(app, { userId: 'ada', roles: ['staff'] })
  const document = (await staff.get('/docs/json')).json<{ paths: object }>()
  t.same(Object.keys(document.paths), ['/orders'])
  t.equal((await staff.get('/docs/')).statusCode, 200)
  t.equal((await staff.get('/reference/')).statusCode, 200)
})

t.test('remember me: the session survives the end of the browser only if the user asked for it', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/remember-me.md')
  for (const [form, kept] of [['name=ada', 401], ['name=ada&remember=on', 200]] as const) {
    const browser = new Client(app)
    await browser.inject({ method: 'POST', url: '/login', payload: form, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
    t.equal((await browser.get('/payments')).statusCode, 200)
    browser.jar.restart()
    t.equal((await browser.get('/me')).statusCode, kept, form)
  }
})

t.test('sign out everywhere: a new password ends all other sessions and the old cookie of this one', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/sign-out-everywhere.md')
  const [phone, laptop] = [await signedIn(app, { userId: 'ada', device: 'phone' }), await signedIn(app, { userId: 'ada', device: 'laptop' })]
  t.same((await phone.get('/sessions')).json<Array<{ device: string, current: boolean }>>().map(({ device, current }) => `${device} ${current}`).sort(), ['laptop false', 'phone true'])
  const copy = phone.jar.header() as string
  t.equal((await phone.inject({ method: 'PUT', url: '/password' })).statusCode, 200)
  t.equal((await laptop.get('/sessions')).statusCode, 401)
  t.equal((await app.inject({ url: '/sessions', headers: { cookie: copy } })).statusCode, 401)
  t.equal((await phone.get('/sessions')).statusCode, 200)
  await signedIn(app, { userId: 'ada' })
  t.same((await phone.inject({ method: 'DELETE', url: '/sessions' })).json(), { ended: 1 })
})

t.test('confirm it is you: an old login gets 401 and goes on after it was confirmed', async (t) => {
  const clock = createClock()
  const plugin = fp(async (app: FastifyInstance, options: object) => { await app.register(session.default, { ...options, now: clock.now }) })
  const { app } = await runBlock(t, 'docs/recipes/step-up.md', { modules: { 'fastify-openapi-session': { ...session, default: plugin } } })
  const browser = await signedIn(app, { userId: 'ada', cart: 7 })
  clock.advance(301_000)
  const old = await browser.inject({ method: 'DELETE', url: '/account' })
  t.match(old, { statusCode: 401, headers: { 'www-authenticate': /insufficient_user_authentication/ } })
  t.equal((await browser.post('/confirm', { password: 'wrong' })).statusCode, 401)
  t.equal((await browser.post('/confirm', { password: 'lovelace' })).statusCode, 200)
  t.match((await app.session.list('ada')).sessions[0]?.data, { cart: 7 })
  t.equal((await browser.inject({ method: 'DELETE', url: '/account' })).statusCode, 204)
})

t.test('support acts as a user: with the rights of the user, and back', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/impersonation.md')
  const support = await signedIn(app, { userId: 'grace', roles: ['support'] })
  const before = support.jar.get('__Host-session')
  t.equal((await support.post('/act/end')).statusCode, 409)
  t.equal((await support.post('/users/ada/act')).statusCode, 200)
  t.not(support.jar.get('__Host-session'), before)
  t.same((await support.get('/me')).json(), { userId: 'ada', actorId: 'grace', roles: [] })
  t.equal((await support.post('/users/bob/act')).statusCode, 403, 'not from one user to the next')
  t.equal((await support.post('/act/end')).statusCode, 200)
  t.same((await support.get('/me')).json(), { userId: 'grace', roles: ['support'] })
  const user = await signedIn(app, { userId: 'ada' })
  t.equal((await user.post('/users/bob/act')).statusCode, 403)
})

t.test('a login with a limit: guesses of one password from many addresses are stopped, and live sessions stay', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/rate-limited-login.md')
  const attempt = async (name: string, remoteAddress: string, password = 'wrong') => await app.inject({ method: 'POST', url: '/login', payload: { name, password }, remoteAddress })
  const right = await attempt('ada', '127.0.0.9', 'lovelace')
  const statuses: number[] = []
  for (let n = 0; n < 6; n++) statuses.push((await attempt(n % 2 === 0 ? 'ada' : ' ADA', `127.0.1.${n}`)).statusCode)
  t.same(statuses, [401, 401, 401, 401, 429, 429], 'the account, after five attempts')
  const last = await attempt('ada', '127.0.2.1', 'lovelace')
  t.match(last.headers, { 'retry-after': /^\d+$/ })
  t.equal((await attempt('grace', '127.0.2.1', 'lovelace')).statusCode, 200, 'another account')
  const many: number[] = []
  for (let n = 0; n < 21; n++) many.push((await attempt(`user${n}`, '127.0.3.1')).statusCode)
  t.same(many.slice(-2), [401, 429], 'the client, after twenty attempts')
  t.equal((await app.session.fromCookie(String(right.headers['set-cookie']).split(';', 1).join()))?.principal, 'ada')
})

t.test('behind a proxy: the origin is compared with the host and the scheme that the browser used', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/behind-a-proxy.md')
  const post = async (headers: Record<string, string>, remoteAddress = '127.0.0.1') => await app.inject({
    method: 'POST', url: '/cart', remoteAddress, headers: { host: '127.0.0.1:3000', origin: 'https://shop.example', ...headers }
  })
  const forwarded = { 'x-forwarded-host': 'shop.example', 'x-forwarded-proto': 'https', 'x-forwarded-for': '192.0.2.7' }
  t.same((await post(forwarded)).json(), { origin: 'https://shop.example' })
  t.match((await post({})).json(), { code: 'FST_SESSION_CROSS_ORIGIN', message: /Host: 127\.0\.0\.1:3000/ })
  t.equal((await post(forwarded, '192.0.2.8')).statusCode, 403, 'from a client that is not the proxy')
})

t.test('subdomains: a login on one is a login on the other, and a cookie from before the change still counts', async (t) => {
  const { app, admin, store } = await runBlock<{ admin: FastifyInstance, store: session.MemoryStore }>(t, 'docs/recipes/subdomains.md', { names: 'app, admin, store' })
  t.teardown(() => admin.close())
  const response = await app.inject({ method: 'POST', url: '/login', headers: { host: 'api.shop.example', origin: 'https://shop.example' } })
  t.match(response.headers['set-cookie'], /^__Secure-session=.*Domain=shop\.example/)
  const cookie = String(response.headers['set-cookie']).split(';', 1).join()
  t.same((await admin.inject({ url: '/me', headers: { cookie } })).json(), { userId: 'ada' })
  t.equal((await app.inject({ method: 'POST', url: '/login', headers: { host: 'api.shop.example', origin: 'https://users.example' } })).statusCode, 403)
  const before = Fastify()
  t.teardown(() => before.close())
  await before.register(session.default, { store, principal: (data) => data.userId as string | undefined })
  const { cookie: old } = await before.session.issue({ userId: 'grace' })
  t.match(old, /^__Host-session=/)
  t.same((await admin.inject({ url: '/me', headers: { cookie: old } })).json(), { userId: 'grace' })
})

t.test('deploy: two versions of the schema serve the same sessions, forth and back', async (t) => {
  const { buildApp } = await runBlock<{ buildApp: (store?: session.SessionStore) => Promise<FastifyInstance> }>(t, 'docs/recipes/deploy.md', { names: 'app, buildApp' })
  for (const signal of ['SIGTERM', 'SIGINT']) process.removeListener(signal, process.listeners(signal as 'SIGTERM').at(-1) as () => void)
  const store = new session.MemoryStore()
  const version = async (schema: object): Promise<FastifyInstance> => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(session.default, { store, schema, principal: (data: Record<string, unknown>) => data.userId as string } as never)
    app.get('/me', { schema: { security: [{ session: [] }] } }, async (request) => request.session.data)
    app.post('/visit', { schema: { security: [{ session: [] }] } }, async (request) => { request.session.data.visits = Number(request.session.data.visits ?? 0) + 1 })
    return app
  }
  const properties = { userId: { type: 'string' }, visits: { type: 'integer' } }
  const [before, after, strict] = [
    await version({ type: 'object', required: ['userId'], properties }),
    await version({ type: 'object', required: ['userId', 'theme'], properties: { ...properties, theme: { type: 'string', default: 'light' } } }),
    await version({ type: 'object', required: ['userId', 'email'], properties: { ...properties, email: { type: 'string' } } })
  ]
  const { cookie } = await before.session.issue({ userId: 'ada' })
  const visit = async (app: FastifyInstance): Promise<number> => (await app.inject({ method: 'POST', url: '/visit', headers: { cookie } })).statusCode
  t.same([await visit(before), await visit(after), await visit(before), await visit(after)], [200, 200, 200, 200])
  t.match((await after.inject({ url: '/me', headers: { cookie } })).json(), { userId: 'ada', visits: 4, theme: 'light' })
  t.equal(await visit(strict), 401, 'a new required property')
  t.equal(await visit(before), 200, 'which the other version does not suffer from')
  const app = await buildApp(store)
  t.teardown(() => app.close())
  t.equal((await app.inject('/health')).statusCode, 200)
})

t.test('monitoring: what happens is counted by type and reason', async (t) => {
  const counted: object[] = []
  const metrics = { getMeter: () => ({ createCounter: () => ({ add: (_by: number, attributes: object) => counted.push(attributes) }) }) }
  const { app } = await runBlock(t, 'docs/recipes/monitoring.md', { modules: { '@opentelemetry/api': { metrics } } })
  const browser = await signedIn(app, { userId: 'ada' })
  await browser.get('/me')
  await app.inject('/me')
  const [{ id }] = (await app.session.list('ada')).sessions as unknown as [{ id: string }]
  await app.inject({ url: '/me', headers: { cookie: `__Host-session=${id}.${'A'.repeat(43)}` } })
  t.match(counted, [
    { type: 'created', reason: 'issue', scheme: 'session' }, { type: 'rejected', reason: 'unauthenticated' },
    { type: 'rejected', reason: 'stale-secret' }, { type: 'rejected', reason: 'unauthenticated' }
  ])
})

t.test('personal data: a user reads what is stored and erases it, in all browsers', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/personal-data.md')
  const [phone, laptop] = [await signedIn(app, { userId: 'ada', device: 'phone' }), await signedIn(app, { userId: 'ada', device: 'laptop' })]
  t.same((await phone.get('/account/data')).json<Array<{ data: { device: string } }>>().map(({ data }) => data.device).sort(), ['laptop', 'phone'])
  t.equal((await phone.inject({ method: 'DELETE', url: '/account' })).statusCode, 204)
  t.equal(phone.jar.get('__Host-session'), undefined)
  t.equal((await laptop.get('/account/data')).statusCode, 401)
  t.same((await app.session.list('ada')).sessions, [])
})

t.test('localhost: outside of production the cookie works over plain HTTP, under the name without the prefix', async (t) => {
  const { app } = await runBlock(t, 'docs/recipes/local-https.md')
  const line = String((await app.inject('/')).headers['set-cookie'])
  t.match(line, /^session=/)
  t.notMatch(line, 'Secure')
})
