import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import fastifySse from '@fastify/sse'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createGate } from '../support/gate.js'
import { backends } from './backends.js'
import type { Backend } from './place.js'
import { breakable } from './failing.js'
import { ask, cookieOf, guarded, managerOf, optional, reported, sessionOf, setCookies } from '../support/harness.js'
import { alone, COOKIE, createWorld, onEach, stored, type World } from './support.js'

type Socket = import('ws').WebSocket

/** A request over a real connection, answered as soon as its headers are there. */
async function open (t: Test, url: string, cookie: string): Promise<IncomingMessage> {
  const request = get(url, { headers: { cookie, accept: 'text/event-stream' } })
  t.teardown(() => { request.destroy() })
  const [response] = await once(request, 'response') as [IncomingMessage]
  return response.on('error', () => {})
}

onEach(t, 'commit() saves for a hijacked reply, and returns the Set-Cookie header', async (t, backend) => {
  const world = await createWorld(t, backend)
  world.app.post('/raw', { schema: optional }, async (request, reply) => {
    const session = sessionOf(request)
    session.start({ userId: 'ada' })
    const line = await session.commit()
    reply.hijack()
    reply.raw.writeHead(200, { 'set-cookie': line ?? [] }).end('raw')
  })
  const client = world.visitor()
  const response = await client.post('/raw')
  t.equal(response.body, 'raw')
  t.equal(setCookies(response).length, 1)
  t.equal((await client.get('/me')).statusCode, 200)
  t.same(reported(world.events), ['created:start'])
})

alone.test('a hijacked reply without commit() saves nothing, and an event says so', async (t) => {
  const world = await createWorld(t)
  world.app.post('/raw', { schema: optional }, (request, reply) => {
    sessionOf(request).start({ userId: 'ada' })
    reply.hijack()
    reply.raw.end('raw')
  })
  t.equal((await world.visitor().post('/raw')).body, 'raw')
  t.equal(await world.place.count(), 0)
  t.match(world.events, [{ type: 'discarded', reason: 'after-commit', detail: /hijacked: await session.commit\(\) before the first byte/ }])
})

onEach(t, 'a stream is saved and its cookie set before the first byte, and what an object is changed to after that is reported', async (t, backend) => {
  const world = await createWorld(t, backend)
  const gate = createGate()
  world.app.post('/stream', { schema: optional }, async (request, reply) => {
    const session = sessionOf(request)
    session.start({ userId: 'ada' })
    const { data } = session
    async function * body (): AsyncGenerator<string> {
      yield 'first '
      gate.open()
      data.late = true
      yield 'last'
    }
    return reply.type('text/plain').send(Readable.from(body()))
  })
  const client = world.visitor()
  const response = await client.post('/stream')
  t.equal(response.body, 'first last')
  t.equal(response.headers['cache-control'], 'no-store')
  t.same((await client.get('/me')).json(), { userId: 'ada', roles: [] }, 'the late change is not there')
  t.same(reported(world.events), ['created:start', 'discarded:after-commit'])
})

/** What changes a session, and cannot be saved once the response has begun. */
const changes: Record<string, (session: ReturnType<typeof sessionOf>) => unknown> = {
  start: (session) => session.start({ userId: 'eve' }),
  renew: (session) => session.renew(),
  destroy: (session) => session.destroy(),
  set: (session) => session.set('late', true),
  unset: (session) => session.unset('userId'),
  regenerate: (session) => session.regenerate(['userId']),
  data: (session) => { session.data.late = true }
}

/** The codes that the late changes of a session fail with. */
async function refusals (session: ReturnType<typeof sessionOf>): Promise<string[]> {
  return await Promise.all(Object.values(changes).map(async (change) => {
    try {
      await change(session)
      return 'nothing'
    } catch (error) {
      return (error as { code?: string }).code ?? (error as Error).name
    }
  }))
}

const REFUSED = [...Object.keys(changes).slice(1).map(() => 'FST_SESSION_TOO_LATE'), 'TypeError']

onEach(t, 'a change of a session after its response has begun fails at the line that makes it, and update() saves all the same', async (t, backend) => {
  const world = await createWorld(t, backend)
  const found: Record<string, string[]> = {}
  world.app.get('/hijacked', { schema: guarded }, async (request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200).write('x')
    found['hijacked'] = await refusals(sessionOf(request))
    if (!backend.sealed) await sessionOf(request).update((data: any) => { data.hijacked = true })
    reply.raw.end()
  })
  world.app.get('/stream', { schema: guarded }, async (request, reply) => {
    async function * body (): AsyncGenerator<string> {
      yield 'x'
      found['stream'] = await refusals(sessionOf(request))
      if (!backend.sealed) await sessionOf(request).update((data: any) => { data.stream = true })
      yield 'y'
    }
    return reply.type('text/plain').send(Readable.from(body()))
  })
  const ada = await world.signedIn()
  for (const how of ['hijacked', 'stream']) {
    const response = await ada.get(`/${how}`)
    t.equal(response.statusCode, 200)
    t.same(found[how], REFUSED, how)
    t.same(setCookies(response), [])
  }
  const saved = backend.sealed ? {} : { hijacked: true, stream: true }
  t.same((await ada.get('/me')).json(), { userId: 'ada', roles: [], ...saved })
  t.same(reported(world.events), ['created:start'])
})

/** Event streams by @fastify/sse that end when the session does. */
async function withEvents (t: Test, world: World): Promise<string> {
  await world.app.register(fastifySse as never)
  const sse: object = { sse: 'only' }
  world.app.route({ method: 'GET', url: '/events', schema: guarded, ...sse, handler: async (request, reply: any) => {
    const session = sessionOf(request)
    session.data.seen = true
    const line = await session.commit()
    if (line !== undefined) reply.header('set-cookie', line)
    reply.header('cache-control', 'no-store')
    reply.sse.keepAlive()
    await reply.sse.send({ data: 'hello' })
    const closed = new AbortController()
    reply.sse.onClose(() => closed.abort())
    void managerOf(world.app).watch(session.id, { signal: closed.signal, every: 0.02 }).then((ended) => ended && reply.sse.close())
  } })
  const address = await world.app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => { world.app.server.closeAllConnections() })
  return `${address}/events`
}

onEach(t, '@fastify/sse: commit() before the first event, and the stream ends with the session', async (t, backend) => {
  const world = await createWorld(t, backend)
  const url = await withEvents(t, world)
  const { cookie, id } = await managerOf(world.app).issue({ userId: 'ada' })
  const response = await open(t, url, cookie)
  t.equal(response.statusCode, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const [chunk] = await once(response, 'data') as [Buffer]
  t.match(chunk.toString(), /hello/)
  t.match((await managerOf(world.app).find(id))?.data, { seen: true })
  const ended = once(response, 'end')
  await managerOf(world.app).revoke(id)
  await ended
  t.equal((await ask(world.app, '/me', cookie)).statusCode, 401)
}, stored)

alone.test('@fastify/sse is guarded like any route', async (t) => {
  const world = await createWorld(t)
  const url = await withEvents(t, world)
  const response = await open(t, url, `${COOKIE}=${'A'.repeat(43)}`)
  t.equal(response.statusCode, 401)
  t.equal(response.headers['www-authenticate'], `Cookie cookie-name="${COOKIE}"`)
  response.resume()
})

interface Chat {
  readonly connect: (headers: Record<string, string>) => Promise<Socket>
  readonly opened: () => number
}

/** WebSockets by @fastify/websocket that end when the session does; `type`d messages do something. */
async function withSockets (app: FastifyInstance, every = 0.02): Promise<Chat> {
  let opened = 0
  // The injected sockets do not end each other: the server's would wait half a minute for it.
  await app.register(fastifyWebsocket, { options: { closeTimeout: 50 } as object })
  app.get('/chat', { websocket: true, schema: guarded } as never, ((socket: Socket, request: any) => {
    opened++
    const session = sessionOf(request)
    const closed = new AbortController()
    socket.on('close', () => closed.abort())
    void managerOf(app).watch(session.id, { signal: closed.signal, every }).then((ended) => ended && socket.close(1008, 'signed out'))
    socket.on('message', async (message) => {
      const text = String(message)
      if (text === 'touch') await managerOf(app).find(session.id, { touch: true })
      if (text === 'write') await session.update((data: any) => { data.said = (data.said ?? 0) + 1 }).catch(({ code }) => { socket.send(code) })
      socket.send(text === 'change' ? JSON.stringify(await refusals(session)) : `did ${text}`)
    })
  }) as never)
  await app.ready()
  return {
    opened: () => opened,
    connect: async (headers) => await (app as unknown as { injectWS: (path: string, context: object) => Promise<Socket> }).injectWS('/chat', { headers: { host: 'localhost', ...headers } })
  }
}

onEach(t, '@fastify/websocket: guarded before the upgrade, also against the pages of others', async (t, backend) => {
  const world = await createWorld(t, backend)
  const chat = await withSockets(world.app)
  const { cookie } = await managerOf(world.app).issue({ userId: 'ada' })
  const own = { cookie }
  await t.rejects(chat.connect({}), /401/)
  await t.rejects(chat.connect({ cookie: `${COOKIE}=${'A'.repeat(43)}` }), /401/)
  await t.rejects(chat.connect({ ...own, origin: 'https://evil.example' }), /403/)
  await t.rejects(chat.connect({ ...own, origin: 'null' }), /403/)
  await t.rejects(chat.connect({ ...own, 'sec-fetch-site': 'cross-site' }), /403/)
  t.equal(chat.opened(), 0)
  const socket = await chat.connect({ ...own, origin: 'http://localhost' })
  t.equal(chat.opened(), 1)
  socket.terminate()
}, stored)

const ends: Record<string, (world: World, id: string, cookie: string) => unknown> = {
  'revoke': ({ app }, id) => managerOf(app).revoke(id),
  'revokeAll': ({ app }) => managerOf(app).revokeAll('ada'),
  'logout elsewhere': ({ app }, _id, cookie) => ask(app, 'POST /logout', cookie),
  'idle timeout': ({ clock }) => clock.advance(1_800_001),
  'absolute timeout': ({ clock }) => clock.advance(43_200_001)
}

onEach(t, '@fastify/websocket: an open socket is closed when its session ends', async (t, backend) => {
  for (const [name, end] of Object.entries(ends)) {
    const world = await createWorld(t, backend)
    const chat = await withSockets(world.app)
    const { cookie, id } = await managerOf(world.app).issue({ userId: 'ada' })
    const socket = await chat.connect({ cookie })
    const closed = once(socket, 'close') as Promise<[number]>
    await end(world, id, cookie)
    const [code] = await closed
    t.equal(code, 1008, name)
  }
}, stored)

onEach(t, '@fastify/websocket: an open socket lives on when its session is renewed, until that ends', async (t, backend) => {
  const world = await createWorld(t, backend)
  const chat = await withSockets(world.app)
  const { cookie, id } = await managerOf(world.app).issue({ userId: 'ada' })
  const socket = await chat.connect({ cookie })
  let isClosed = false
  const closed = once(socket, 'close').then(([code]) => { isClosed = true; return code })
  const renewed = await ask(world.app, 'POST /do/renew', cookie)
  socket.send('write')
  await once(socket, 'message')
  t.equal((await managerOf(world.app).find(id))?.data.said, 1)
  t.notOk(isClosed)
  await ask(world.app, 'POST /logout', cookieOf(renewed))
  t.equal(await closed, 1008)
}, stored)

onEach(t, '@fastify/websocket: update() saves what messages change, touch keeps the session alive, and nothing is revived', async (t, backend) => {
  const world = await createWorld(t, backend)
  const chat = await withSockets(world.app, 60)
  const { cookie, id } = await managerOf(world.app).issue({ userId: 'ada' })
  const socket = await chat.connect({ cookie })
  const refused: string[] = []
  const say = async (...texts: string[]): Promise<void> => {
    const answers = new Promise<void>((resolve) => {
      let left = texts.length
      socket.on('message', (message) => {
        if (String(message).startsWith('FST_')) refused.push(String(message))
        else if (--left === 0) resolve()
      })
    })
    for (const text of texts) socket.send(text)
    await answers
    socket.removeAllListeners('message')
  }
  await say('write', 'write', 'write', 'write', 'write')
  t.equal((await managerOf(world.app).find(id))?.data.said, 5, 'messages that overlap lose nothing')
  for (let i = 0; i < 4; i++) {
    world.clock.advance(1_500_000)
    await say('touch')
  }
  t.equal((await ask(world.app, '/me', cookie)).statusCode, 200)
  await managerOf(world.app).revoke(id)
  await say('write')
  t.same(refused, ['FST_SESSION_REQUIRED'])
  t.equal((await ask(world.app, '/me', cookie)).statusCode, 401)
  t.equal(await world.place.count(), 0)
  socket.terminate()
}, stored)

alone.test('@fastify/websocket: a change in an open socket that no cookie could follow fails at the line that makes it', async (t) => {
  const world = await createWorld(t)
  const chat = await withSockets(world.app, 60)
  const { cookie } = await managerOf(world.app).issue({ userId: 'ada' })
  const socket = await chat.connect({ cookie })
  socket.send('change')
  const [answer] = await once(socket, 'message') as [Buffer]
  t.same(JSON.parse(answer.toString()), REFUSED)
  t.equal((await ask(world.app, '/me', cookie)).statusCode, 200)
  socket.terminate()
})

alone.test('watch: the signal ends it, and options are checked', async (t) => {
  const world = await createWorld(t)
  const app = managerOf(world.app)
  const { id } = await app.issue({ userId: 'ada' })
  const stop = new AbortController()
  const watching = app.watch(id, { signal: stop.signal })
  stop.abort()
  t.equal(await watching, false)
  t.equal(await app.watch(id, { signal: AbortSignal.abort() }), false)
  t.equal(await app.watch('A'.repeat(22), { signal: new AbortController().signal }), true)
  for (const every of [0, -1, NaN, Infinity, 'x' as never]) await t.rejects(app.watch(id, { signal: stop.signal, every }), { code: 'FST_SESSION_OPTIONS' })
  const sealed = await createWorld(t, backends['sealed'] as Backend)
  await t.rejects(managerOf(sealed.app).watch(id, { signal: stop.signal }), { code: 'FST_SESSION_OPTIONS' })
})

alone.test('watch: a store that does not work ends no session before the expiry that was read last', async (t) => {
  const broken = breakable()
  const world = await createWorld(t, broken.backend, { storeTimeout: 0.05 })
  const app = managerOf(world.app)
  const { id } = await app.issue({ userId: 'ada' })
  const stop = new AbortController()
  let looks = 0
  let looked = (): void => {}
  broken.break('read', () => {
    looks++
    looked()
    throw new Error('down')
  })
  let over: boolean | undefined
  const watching = app.watch(id, { signal: stop.signal, every: 0.01 }).then((is) => { over = is })
  await new Promise<void>((resolve) => { looked = () => { if (looks > 3) resolve() } })
  t.equal(over, undefined, 'looked at again and again, and not over')
  world.clock.advance(1_800_001)
  await watching
  t.equal(over, true)
})

onEach(t, 'find with touch moves the idle deadline, and never the absolute one', async (t, backend) => {
  const world = await createWorld(t, backend, { idleTimeout: 600, absoluteTimeout: 3600 })
  const app = managerOf(world.app)
  const { id } = await app.issue({ userId: 'ada' })
  const end = world.clock.now() + 3_600_000
  while (world.clock.now() + 500_000 < end) {
    world.clock.advance(500_000)
    t.ok(await app.find(id, { touch: true }), 'alive')
  }
  world.clock.advance(end - world.clock.now())
  t.equal(await app.find(id, { touch: true }), undefined, 'over')
}, stored)
