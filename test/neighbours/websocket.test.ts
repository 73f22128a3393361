import { once } from 'node:events'
import httpProxy from '@fastify/http-proxy'
import websocket from '@fastify/websocket'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { WebSocket } from 'ws'
import { addStory, type Browser, browse, makeApp, signedIn, visit, withName } from './support.js'

/** Opens a socket as a browser does. Resolves its first message, or the status of a refusal. */
async function greeting (browser: Browser, path: string): Promise<string | number> {
  const cookie = browser.jar.header()
  const socket = new WebSocket(`${browser.url.replace('http', 'ws')}${path}`, { headers: cookie === undefined ? {} : { cookie } })
  const message = once(socket, 'message').then(([data]) => String(data))
  const refusal = once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number)
  message.catch(() => {})
  refusal.catch(() => {})
  try {
    return await Promise.race([message, refusal])
  } finally {
    socket.terminate()
  }
}

t.test('@fastify/websocket: guarded before the upgrade', async (t) => {
  const { app } = makeApp(t)
  await app.register(websocket)
  await app.register(sessionPlugin, withName)
  addStory(app)
  app.get('/chat', { websocket: true, schema: signedIn }, (socket, request) => { socket.send(`hello ${String(request.session.data['name'])}`) })
  const browser = await browse(app)
  t.equal(await greeting(browser, '/chat'), 401)
  await visit(t, browser, async () => { t.equal(await greeting(browser, '/chat'), 'hello ada') })
  t.equal(await greeting(browser, '/chat'), 401)
})

t.test('@fastify/http-proxy with websocket: guarded before the upgrade, and the server behind never gets the cookie', async (t) => {
  const { app: upstream } = makeApp(t)
  await upstream.register(websocket)
  upstream.get('/chat', { websocket: true }, (socket, { headers }) => { socket.send(JSON.stringify([headers.cookie, headers['x-user']])) })
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  addStory(app)
  const { url } = await browse(upstream)
  await app.register(async (child) => {
    child.addHook('onRoute', (route) => { route.schema = { ...route.schema, ...signedIn } })
    await child.register(httpProxy, {
      upstream: url,
      prefix: '/behind',
      websocket: true,
      wsClientOptions: {
        rewriteRequestHeaders: ({ cookie: _cookie, ...headers }: Record<string, unknown>, { session }: { session: { get (key: string): unknown } }) =>
          ({ ...headers, 'x-user': session.get('name') })
      } as never
    })
  })
  const browser = await browse(app)
  t.equal(await greeting(browser, '/behind/chat'), 401)
  await visit(t, browser, async () => { t.equal(await greeting(browser, '/behind/chat'), '[null,"ada"]') })
  t.equal(await greeting(browser, '/behind/chat'), 401)
})
