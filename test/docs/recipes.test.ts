import { once } from 'node:events'
import { get } from 'node:http'
import { PassThrough } from 'node:stream'
import { compileFunction } from 'node:vm'
import fastifyWebsocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import sessionPlugin, { MemoryStore } from 'fastify-openapi-session'
import t from 'tap'
import ts from 'typescript'
import { createGate } from '../support/gate.js'
import { ProbeStore } from '../support/probe-store.js'
import { textOf } from './markdown.js'

type Socket = import('ws').WebSocket

/** The app of a recipe, whose code runs as it stands: `app` is what it gets from Fastify, and its sessions are kept in `store`. */
async function run (page: string, app: FastifyInstance, store: ProbeStore): Promise<void> {
  const modules: Record<string, unknown> = {
    fastify: () => app,
    'fastify-openapi-session': fp(async (app: FastifyInstance, options: object) => { await app.register(sessionPlugin, { ...options, store }) }),
    '@fastify/websocket': fastifyWebsocket
  }
  const block = /^```ts\n(.*?)^```$/ms.exec(textOf(page))?.[1] as string
  const { outputText } = ts.transpileModule(block, { compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.CommonJS } })
  const code = compileFunction(`return (async () => { ${outputText} })()`, ['require', 'exports'])
  await code((name: string) => ({ __esModule: true, default: modules[name] }), {})
}

t.test('WebSocket: a store that is down while a message comes ends neither the connection nor the process', async (t) => {
  const store = new ProbeStore(new MemoryStore())
  const log = new PassThrough()
  const app = Fastify({ logger: { level: 'error', stream: log } })
  t.teardown(() => app.close())
  await run('docs/recipes/websocket.md', app, store)
  await app.ready()
  const { cookie } = await app.session.issue({ userId: 'ada', cart: {} })
  const { injectWS } = app as unknown as { injectWS: (path: string, context: object) => Promise<Socket> }
  const socket = await injectWS('/chat', { headers: { host: 'localhost', cookie } })
  t.teardown(() => { socket.terminate() })
  const rejected = new Promise<never>((_resolve, reject) => { process.once('unhandledRejection', reject) })
  store.before = () => { throw new Error('the store is down') }
  socket.send('hello')
  const [line] = await Promise.race([once(log, 'data'), rejected]) as [Buffer]
  t.match(JSON.parse(String(line)), { level: 50, err: { code: 'FST_SESSION_STORE' } })
  const touch = createGate()
  store.before = touch.pass
  socket.send('hello again')
  await touch.reached
  touch.open()
  t.equal(socket.readyState, socket.OPEN)
})

t.test('server-sent events: a client that leaves while the session is stored leaves no watch behind', async (t) => {
  const store = new ProbeStore(new MemoryStore())
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const left = createGate()
  const ends = new Promise<void>((resolve) => {
    app.addHook('onRoute', (route) => {
      const { handler } = route
      route.handler = async function (request, reply) {
        reply.raw.once('close', left.open)
        await handler.call(this, request, reply)
        resolve()
      }
    })
  })
  await run('docs/recipes/sse.md', app, store)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { cookie } = await app.session.issue({ userId: 'ada', cart: {} })
  const storing = createGate()
  store.before = async ({ method }) => method === 'update' && await storing.pass()
  const request = get(`${url}/events`, { headers: { cookie } }).on('error', () => {})
  await storing.reached
  request.destroy()
  await left.pass()
  const looks = new Promise<string>((resolve) => { store.before = ({ method }) => method === 'read' && resolve('looks for the session') })
  storing.open()
  t.equal(await Promise.race([ends, looks]), undefined)
})

t.test('server-sent events: app.close() ends a stream that a client reads, and waits for nothing else', async (t) => {
  const app = Fastify()
  await run('docs/recipes/sse.md', app, new ProbeStore(new MemoryStore()))
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { cookie } = await app.session.issue({ userId: 'ada', cart: {} })
  const response = await fetch(`${url}/events`, { headers: { cookie } })
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  t.match(String(Buffer.from((await reader.read()).value as Uint8Array)), 'data: hello')
  await app.close()
  t.equal((await reader.read()).done, true)
})
