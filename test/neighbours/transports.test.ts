import { once } from 'node:events'
import { connect, type ClientHttp2Session } from 'node:http2'
import awsLambda from '@fastify/aws-lambda'
import express from '@fastify/express'
import httpProxy from '@fastify/http-proxy'
import middie from '@fastify/middie'
import Fastify, { type FastifyInstance } from 'fastify'
import { FastifySSEPlugin } from 'fastify-sse-v2'
import sessionPlugin from 'fastify-openapi-session'
import { CookieJar } from 'fastify-openapi-session/testing'
import t, { type Test } from 'tap'
import { addStory, browse, makeApp, signedIn, visit, withName } from './support.js'

t.test('fastify-sse-v2: commit() before the first event, and a stream in a session', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(FastifySSEPlugin)
  addStory(app)
  app.get('/events', { schema: signedIn }, async (request, reply) => {
    request.session.data['reads'] = 1
    const setCookie = await request.session.commit()
    if (setCookie !== undefined) reply.header('set-cookie', setCookie)
    reply.sse((async function * () {
      yield { data: `hello ${String(request.session.data['name'])}` }
      await request.session.update((data) => { data['reads'] = 2 })
      yield { event: 'end', data: String(request.session.data['reads']) }
    })())
  })
  app.get('/reads', { schema: signedIn }, async (request) => request.session.data['reads'])
  const browser = await browse(app)
  t.equal((await browser.get('/events')).status, 401)
  await visit(t, browser, async () => {
    const { body, headers } = await browser.get('/events')
    t.match(headers.get('content-type'), 'text/event-stream')
    t.match(body, /data: hello ada\n\n.*event: end\ndata: 2\n\n/s)
    t.equal((await browser.get('/reads')).body, '2')
  })
})

t.test('@fastify/http-proxy: only users pass, the server behind learns the name, and never the cookie', async (t) => {
  const { app: upstream } = makeApp(t)
  upstream.get('/*', async ({ headers: { cookie, 'x-user': user } }) => ({ cookie, user }))
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  addStory(app)
  const { url } = await browse(upstream)
  await app.register(async (child) => {
    child.addHook('onRoute', (route) => { route.schema = { ...route.schema, ...signedIn } })
    await child.register(httpProxy, {
      upstream: url,
      prefix: '/api',
      replyOptions: {
        rewriteRequestHeaders: ({ session }, { cookie: _cookie, ...headers }) => ({ ...headers, 'x-user': String(session.get('name')) })
      }
    })
  })
  const browser = await browse(app)
  t.equal((await browser.get('/api/orders')).status, 401)
  await visit(t, browser, async () => {
    t.same((await browser.get('/api/orders', { 'x-user': 'root' })).json, { user: 'ada' })
  })
})

t.test('@fastify/express: Express handles its own paths, and finds the session by its cookie', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(express)
  addStory(app)
  app.use('/legacy', (request, response) => {
    app.session.fromCookie(request.headers.cookie).then(
      (session) => session === undefined ? response.status(401).json({ error: 'sign in' }) : response.json({ name: session.data['name'] }),
      () => response.status(503).json({ error: 'try again' })
    )
  })
  const browser = await browse(app)
  t.equal((await browser.get('/legacy')).status, 401)
  await visit(t, browser, async () => { t.same((await browser.get('/legacy')).json, { name: 'ada' }) })
  t.equal((await browser.get('/legacy')).status, 401)
})

for (const first of ['@fastify/middie', 'the session plugin']) {
  t.test(`@fastify/middie: middleware keeps its headers, and finds the session by its cookie, with ${first} registered first`, async (t) => {
    const { app } = makeApp(t)
    const addMiddleware = async (): Promise<void> => {
      await app.register(middie)
      app.use((_request, response, next) => {
        response.setHeader('vary', 'Origin')
        response.setHeader('set-cookie', 'seen=1')
        next()
      })
      app.use('/legacy', (request, response) => {
        app.session.fromCookie(request.headers.cookie).then((session) => {
          response.statusCode = session === undefined ? 401 : 200
          response.end(session?.data['name'])
        }, () => response.writeHead(503).end())
      })
    }
    if (first === '@fastify/middie') await addMiddleware()
    await app.register(sessionPlugin, withName)
    if (first !== '@fastify/middie') await addMiddleware()
    addStory(app)
    const browser = await browse(app)
    t.equal((await browser.get('/me')).headers.get('vary'), first === '@fastify/middie' ? 'Origin, Cookie' : 'Cookie', 'a refusal has what was added before it')
    t.equal((await browser.get('/legacy')).status, 401)
    await visit(t, browser, async () => {
      t.equal((await browser.get('/me')).headers.get('vary'), 'Origin, Cookie')
      t.equal((await browser.get('/legacy')).body, 'ada')
      t.equal(browser.jar.get('seen'), '1')
    })
    t.equal((await browser.get('/legacy')).status, 401)
  })
}

/** Signs in, asks and signs out through `send`, which returns status and Set-Cookie headers. */
async function visitBy (t: Test, send: (method: string, path: string, cookie: string | undefined, body?: string) => Promise<{ status: number, setCookie: string[] }>): Promise<void> {
  const jar = new CookieJar()
  const status = async (method: string, path: string, body?: string): Promise<number> => {
    const answer = await send(method, path, jar.header(path), body)
    jar.take(answer.setCookie)
    return answer.status
  }
  t.equal(await status('GET', '/me'), 401)
  t.equal(await status('POST', '/login', '{"name":"ada"}'), 200)
  t.match(jar.header(), '__Host-session=')
  t.equal(await status('GET', '/me'), 200)
  t.equal(await status('POST', '/logout', '{}'), 200)
  t.equal(jar.header(), undefined)
  t.equal(await status('GET', '/me'), 401)
}

t.test('HTTP/2: a login, a request and a logout', async (t) => {
  const app = Fastify({ http2: true, forceCloseConnections: true }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(sessionPlugin, withName)
  addStory(app)
  const client: ClientHttp2Session = connect(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(() => { client.close() })
  await visitBy(t, async (method, path, cookie, body) => {
    const stream = client.request({ ':method': method, ':path': path, ...(cookie !== undefined && { cookie }), ...(body !== undefined && { 'content-type': 'application/json' }) })
    stream.end(body)
    const [headers] = await once(stream, 'response')
    stream.resume()
    await once(stream, 'end')
    return { status: headers[':status'], setCookie: headers['set-cookie'] ?? [] }
  })
})

for (const version of ['1.0', '2.0'] as const) {
  t.test(`@fastify/aws-lambda: a login, a request and a logout by events of version ${version}`, async (t) => {
    const { app } = makeApp(t)
    await app.register(sessionPlugin, withName)
    addStory(app)
    const handler = awsLambda(app)
    await app.ready()
    await visitBy(t, async (method, path, cookie, body) => {
      const common = { version, headers: { 'content-type': 'application/json', ...(version === '1.0' && cookie !== undefined && { cookie }) }, ...(body !== undefined && { body }) }
      const event = version === '1.0'
        ? { ...common, httpMethod: method, path }
        : { ...common, rawPath: path, requestContext: { http: { method } }, ...(cookie !== undefined && { cookies: cookie.split('; ') }) }
      const { statusCode, headers, multiValueHeaders, cookies } = await handler(event, {}) as any
      return { status: statusCode, setCookie: [cookies ?? multiValueHeaders?.['set-cookie'] ?? headers['set-cookie'] ?? []].flat() }
    })
  })
}
