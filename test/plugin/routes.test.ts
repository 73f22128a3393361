import t from 'tap'
import { randomBytes } from 'node:crypto'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import cors from '@fastify/cors'
import websocket from '@fastify/websocket'
import sessionPlugin from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import { ProbeStore } from '../support/probe-store.js'
import { ask, bootError, guarded, makeApp, optional } from '../support/harness.js'
import { anySession, setUp, Visitor } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

t.test('routes declared before the plugin are guarded as well', async (t) => {
  const { app } = makeApp(t)
  app.get('/before', { schema: guarded }, async (request) => request.session.data.userId)
  app.get('/strange', { schema: { security: [{ nobody: [] }] } }, async () => t.fail('entered'))
  void app.register(async (child) => {
    child.get('/before', { schema: guarded }, async (request) => request.session.data.userId)
  }, { prefix: '/child' })
  await app.after()
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId })
  const client = new Client(app)
  for (const url of ['/before', '/child/before']) t.equal((await client.get(url)).statusCode, 401, url)
  const strange = await client.get('/strange')
  t.match(strange.json(), { statusCode: 500, code: 'FST_SESSION_OPTIONS', message: /route GET \/strange: no session and no verifier is registered/ }, 'the request is refused')
  client.jar.take((await app.session.issue(ada)).setCookie)
  for (const url of ['/before', '/child/before']) t.equal((await client.get(url)).body, 'ada', url)
  t.equal((await client.get('/strange')).statusCode, 500)
})

t.test('the HEAD route of a guarded GET is guarded, and that of an open one touches no store', async (t) => {
  const { app, store, client } = await setUp(t)
  app.get('/guarded', { schema: guarded }, async () => 'ok')
  app.get('/open', async () => 'ok')
  t.equal((await client.inject({ method: 'HEAD', url: '/guarded' })).statusCode, 401)
  client.jar.take((await app.session.issue(ada)).setCookie)
  store.take()
  t.equal((await client.inject({ method: 'HEAD', url: '/open' })).statusCode, 200)
  t.same(store.take(), [])
  const head = await client.inject({ method: 'HEAD', url: '/guarded' })
  t.equal(head.statusCode, 200)
  t.equal(head.headers.vary, 'Cookie')
  t.same(store.take(), ['read'])
})

t.test('routes are guarded under prefixes, in nested contexts, for several methods and without a trailing slash', async (t) => {
  const { app, client } = await setUp(t)
  await app.register(async (one) => {
    one.get('/', { schema: guarded }, async () => 'one')
    await one.register(async (two) => {
      two.route({ method: ['GET', 'PUT'], url: '/two', schema: guarded, handler: async () => 'two' })
    }, { prefix: '/deep' })
  }, { prefix: '/one' })
  const asked = [['GET', '/one'], ['GET', '/one/'], ['GET', '/one/deep/two'], ['PUT', '/one/deep/two']] as const
  for (const [method, url] of asked) t.equal((await client.inject({ method, url })).statusCode, 401, `${method} ${url}`)
  client.jar.take((await app.session.issue(ada)).setCookie)
  for (const [method, url] of asked) t.equal((await client.inject({ method, url })).statusCode, 200, `${method} ${url}`)
})

t.test('routes that share one options object are kept apart', async (t) => {
  const { app, client } = await setUp(t)
  const config = {}
  app.get('/open', { config, schema: optional }, async () => 'ok')
  app.get('/guarded', { config, schema: guarded }, async () => 'ok')
  app.get('/free', { config }, async () => 'ok')
  t.equal((await client.get('/open')).statusCode, 200)
  t.equal((await client.get('/guarded')).statusCode, 401)
  t.equal((await client.get('/free')).headers.vary, undefined)
})

t.test('a route that an onRoute hook gives the config of another route stops the boot, and any other config keeps it guarded', async (t) => {
  for (const [give, refused] of [[(other: object) => other, true], [(other: object) => ({ ...other }), true], [() => ({}), false], [() => undefined, false]] as const) {
    const { app } = await setUp(t)
    let other: object = {}
    app.addHook('onRoute', (route) => {
      if (route.url === '/open') other = route.config as object
      else route.config = give(other) as never
    })
    app.get('/open', async () => 'in')
    app.get('/guarded', { schema: guarded }, async () => 'in')
    if (refused) await t.rejects(async () => { await app.ready() }, { code: 'FST_SESSION_OPTIONS', message: /\/guarded: an onRoute hook gave it the config of route [A-Z]+ \/open/ })
    else t.equal((await app.inject('/guarded')).statusCode, 401)
  }
})

t.test('a plugin registered in a context guards that context and nothing else', async (t) => {
  const { app } = makeApp(t)
  const store = new ProbeStore()
  const client = new Client(app)
  await app.register(async (inside) => {
    await inside.register(sessionPlugin, { schema: Visitor, store })
    inside.get('/in', { schema: guarded }, async (request) => request.session.data.userId)
    await inside.register(async (deep) => {
      deep.get('/deep', { schema: guarded }, async (request) => request.session.data.userId)
    })
    const { setCookie } = await inside.session.issue(ada)
    client.jar.take(setCookie)
  })
  app.get('/out', async (request) => String('session' in request))
  t.equal((await client.get('/in')).body, 'ada')
  t.equal((await client.get('/deep')).body, 'ada')
  store.take()
  t.equal((await client.get('/out')).body, 'false')
  t.same(store.take(), [])
  t.notOk(app.hasDecorator('session'))
})

t.test('a route outside that names the session does not stand open: the boot says so', async (t) => {
  const refusal = (method: string): RegExp => new RegExp(`route ${method} /out names the session "session", which is registered in another context and does not guard it: wrap the plugin that registers it in fastify-plugin`)
  const { app } = makeApp(t)
  await app.register(async (inside) => { await inside.register(sessionPlugin) })
  app.get('/out', { schema: guarded }, async () => 'open')
  await t.rejects(async () => { await app.ready() }, { code: 'FST_SESSION_OPTIONS', message: refusal('GET') })

  const { app: beside } = makeApp(t)
  await beside.register(async (outer) => { await outer.register(async (inside) => { await inside.register(sessionPlugin) }) })
  await beside.register(async (other) => { other.post('/out', { schema: optional }, async () => 'open') })
  await t.rejects(async () => { await beside.ready() }, { code: 'FST_SESSION_OPTIONS', message: refusal('POST') })

  const { app: before } = makeApp(t)
  await before.register(async (other) => { other.get('/sibling', { schema: guarded }, async () => 'open') })
  before.get('/out', { schema: guarded }, async () => 'open')
  before.get('/plain', async () => 'open')
  let parsed = 0
  before.addHook('preParsing', async () => { parsed++ })
  before.post('/body', { schema: guarded }, async () => 'open')
  before.register(async (inside) => { await inside.register(sessionPlugin) })
  for (const url of ['/out', '/sibling']) {
    const { statusCode, body } = await before.inject(url)
    t.equal(statusCode, 500, 'one that was there before is refused when it is asked for')
    t.match(body, /names the session \\"session\\", which is registered in another context/)
  }
  t.equal((await before.inject({ method: 'POST', url: '/body', payload: {} })).statusCode, 500)
  t.equal(parsed, 0, 'before its body is read')
  t.equal((await before.inject('/plain')).body, 'open')
  t.equal((await before.inject('/nowhere')).statusCode, 404)

  const { app: twice } = makeApp(t)
  for (const prefix of ['/a', '/b']) {
    await twice.register(async (inside) => {
      await inside.register(sessionPlugin, { cookie: { secure: false, path: prefix, name: prefix.slice(1) } })
      inside.get('/in', { schema: guarded }, async () => 'in')
    }, { prefix })
  }
  twice.get('/out', { schema: { security: [{ apiKey: [] }] } }, async () => 'of another plugin')
  await twice.register(async (other) => {
    await other.register(sessionPlugin as never, { scheme: 'api', cookie: { name: 'api', secure: false }, verifiers: { session: () => false } } as never)
    other.get('/verified', { schema: guarded }, async () => 'in')
  })
  t.equal((await twice.inject('/a/in')).statusCode, 401, 'each context guards its own')
  t.equal((await twice.inject('/b/in')).statusCode, 401)
  t.equal((await twice.inject('/out')).statusCode, 200)
  t.equal((await twice.inject('/verified')).statusCode, 401, 'the name may be that of another scheme elsewhere')
})

t.test('two apps in one process may have one server', async (t) => {
  const server = createServer()
  t.teardown(() => { server.close() })
  for (let app = 0; app < 2; app++) {
    const { app } = makeApp(t, { serverFactory: () => server } as never)
    await app.register(sessionPlugin)
    await app.ready()
    t.ok(app.session)
  }
})

t.test('404s never touch the store', async (t) => {
  const { app, client, store } = await setUp(t, { security: [{ session: [] }] })
  app.setNotFoundHandler(async (request, reply) => reply.code(404).send({ message: request.session.exists }))
  client.jar.take((await app.session.issue(ada)).setCookie)
  store.take()
  const response = await client.get('/nowhere')
  t.equal(response.statusCode, 404)
  t.equal(response.json().message, false)
  t.equal(response.headers.vary, undefined)
  t.same(store.take(), [])
})

t.test('the default security:', async (t) => {
  await t.test('covers the routes that have none of their own', async (t) => {
    const { app, client, store } = await setUp(t, { security: [{ session: [] }] })
    app.get('/default', async (request) => anySession(request).data.userId)
    app.get('/described', { schema: { summary: 'no security here' } as never }, async (request) => anySession(request).data.userId)
    app.get('/open', { schema: { security: [] } }, async () => 'open')
    app.get('/optional', { schema: optional }, async (request) => request.session.exists)
    t.equal((await client.get('/default')).statusCode, 401)
    t.equal((await client.get('/described')).statusCode, 401)
    t.equal((await client.get('/optional')).json(), false)
    client.jar.take((await app.session.issue(ada)).setCookie)
    store.take()
    t.equal((await client.get('/open')).body, 'open')
    t.same(store.take(), [])
    t.equal((await client.get('/default')).body, 'ada')
    t.equal((await client.get('/described')).body, 'ada')
  })

  await t.test('leaves out routes whose sole method is OPTIONS, and no others', async (t) => {
    const { app, client } = await setUp(t, { security: [{ session: [] }] })
    app.options('/alone', async () => 'allowed')
    app.all('/all', async () => t.fail('entered'))
    app.route({ method: ['GET', 'OPTIONS'], url: '/both', handler: async () => 'both' })
    t.equal((await client.inject({ method: 'OPTIONS', url: '/alone' })).statusCode, 200)
    for (const url of ['/both', '/all']) {
      t.equal((await client.inject({ method: 'OPTIONS', url })).statusCode, 401)
      t.equal((await client.inject({ method: 'GET', url })).statusCode, 401)
    }
  })

  await t.test('is checked at boot like any other', async (t) => {
    const { app } = await setUp(t, { security: [{ nobody: [] }] })
    app.get('/x', async () => '')
    t.match(await bootError(() => app.ready()), { code: 'FST_SESSION_OPTIONS', message: /route GET \/x: no session and no verifier is registered for the security scheme "nobody"/ })
  })

  await t.test('of an inner context goes before that of an outer one', async (t) => {
    const { app, client } = await setUp(t, { security: [{ session: [] }] })
    await app.register(async (inner) => {
      await inner.register(sessionPlugin, { scheme: 'admin', cookie: { name: '__Host-admin' }, security: [{ admin: [] }, {}] })
      inner.get('/inner', async (request) => request.admin.exists)
    })
    app.get('/outer', async () => 'outer')
    t.equal((await client.get('/inner')).json(), false)
    t.equal((await client.get('/outer')).statusCode, 401)
  })

  await t.test('can be given once in an instance', async (t) => {
    const { app } = await setUp(t, { security: [{ session: [] }] })
    const error = await bootError(() => app.register(sessionPlugin, { scheme: 'admin', cookie: { name: '__Host-admin' }, security: [{ admin: [] }] }))
    t.match(error, { code: 'FST_SESSION_OPTIONS', message: /"session" and "admin" both have a default security/ })
  })
})

t.test('CORS preflights never touch the store, whichever plugin came first', async (t) => {
  for (const first of [true, false]) {
    const { app } = makeApp(t)
    const store = new ProbeStore()
    if (first) await app.register(cors, { origin: 'https://shop.example', credentials: true, methods: ['GET', 'PUT'] })
    await app.register(sessionPlugin, { schema: Visitor, store, security: [{ session: [] }], crossOrigin: { trusted: ['https://shop.example'] } })
    if (!first) await app.register(cors, { origin: 'https://shop.example', credentials: true, methods: ['GET', 'PUT'] })
    app.put('/x', { schema: guarded }, async () => 'ok')
    const { cookie } = await app.session.issue(ada)
    store.take()
    const headers = { origin: 'https://shop.example', cookie }
    const preflight = await app.inject({ method: 'OPTIONS', url: '/x', headers: { ...headers, 'access-control-request-method': 'PUT' } })
    t.equal(preflight.statusCode, 204)
    t.equal(preflight.headers['access-control-allow-origin'], 'https://shop.example')
    t.same(store.take(), [])
    const put = await app.inject({ method: 'PUT', url: '/x', headers })
    t.equal(put.statusCode, 200)
    t.equal(put.headers['access-control-allow-credentials'], 'true')
    t.match(put.headers.vary, /Cookie/)
    t.match(put.headers.vary, /Origin|Cookie/)
    t.same(store.take(), ['read'])
  }
})

t.test('a WebSocket is guarded before the upgrade', async (t) => {
  const { app } = makeApp(t)
  await app.register(websocket)
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId, store: new ProbeStore() })
  await app.register(async (child) => {
    child.get('/chat', { websocket: true, schema: guarded }, (socket, request) => {
      socket.send(`hello ${request.session.data.userId}`)
    })
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  /** The first message of the server, or the status with which it refused. */
  const open = async (headers: Record<string, string>): Promise<string> => await new Promise((resolve, reject) => {
    const handshake = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') }
    const opening = request({ agent: false, host: '127.0.0.1', port, path: '/chat', headers: { ...handshake, ...headers } })
    opening.on('error', reject)
    opening.on('response', (response) => { response.resume(); resolve(String(response.statusCode)) })
    opening.on('upgrade', (response, socket, head) => {
      // One short text frame from a server: two bytes and the text (RFC 6455, 5.2).
      const read = (frame: Buffer): void => { socket.destroy(); resolve(frame.subarray(2).toString()) }
      if (head.length > 0) read(head)
      else socket.once('data', read)
    })
    opening.end()
  })
  const { cookie } = await app.session.issue(ada)
  t.equal(await open({}), '401')
  t.equal(await open({ cookie: '__Host-session=junk' }), '401')
  t.equal(await open({ cookie }), 'hello ada')
  // A page of another origin may open a WebSocket with this browser's cookies: there is no preflight for it.
  t.equal(await open({ cookie, origin: 'https://evil.example' }), '403')
  t.equal(await open({ cookie, origin: `http://127.0.0.1:${port}` }), 'hello ada')
})

t.test('the session is there from the onRequest hook on', async (t) => {
  const { app } = makeApp(t)
  const seen: boolean[] = []
  app.addHook('onRequest', async (request) => {
    seen.push(request.session.exists)
    if (request.url === '/early') String(anySession(request).data)
  })
  await app.register(sessionPlugin, { schema: Visitor })
  const { cookie } = await app.session.issue(ada)
  app.addHook('onRequest', async (request) => { seen.push(request.session.exists) })
  app.get('/early', { schema: optional }, async () => '')
  app.get('/late', { schema: optional }, async () => '')
  t.match((await app.inject('/early')).json(), { code: 'FST_SESSION_NOT_DECLARED', message: /after this plugin's onRequest hook/ })
  seen.length = 0
  t.equal((await ask(app, '/late', cookie)).statusCode, 200)
  t.same(seen, [false, true])
})
