import { once as event } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import type { SessionStore } from 'fastify-openapi-session'
import { Client, CookieJar, createClock } from 'fastify-openapi-session/testing'
import t from 'tap'
import { backends } from './backends.js'
import type { Backend } from './place.js'
import { rounds } from './rounds.js'
import { isSelected } from './selection.js'
import { ask, guarded, managerOf, optional, plugin, sessionOf } from '../support/harness.js'
import { alone, onEach, sessionsOf } from './support.js'

const SKEW = 300_000

for (const backend of Object.values(backends).filter((backend) => backend.shared && isSelected(backend))) {
  t.test(`clocks five minutes apart, ${backend.name}: expiry is off by no more than that`, async (t) => {
    const clock = createClock()
    const place = await backend.make(t, clock.now)
    const make = place.another as (now: () => number) => SessionStore
    const start = async (now: () => number): Promise<FastifyInstance> => {
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(plugin, { store: make(now), now, storeTimeout: 30, idleTimeout: 1800, absoluteTimeout: 3600, principal: (data) => data.userId })
      app.get('/me', { schema: guarded, config: { session: { touch: false } } as never }, async () => 'in')
      app.get('/touch', { schema: guarded }, async () => 'in')
      return app
    }
    const [behind, ahead] = [await start(clock.now), await start(() => clock.now() + SKEW)]
    for (const [by, at] of [[behind, ahead], [ahead, behind], [behind, behind], [ahead, ahead]] as const) {
      const { cookie } = await managerOf(by).issue({ userId: 'ada' })
      const status = async (url: string): Promise<number> => (await ask(at, url, cookie)).statusCode
      const begun = clock.now()
      clock.advance(1_800_000 - SKEW - 1000)
      t.equal(await status('/me'), 200, 'idle: before the time less the skew')
      clock.advance(2 * SKEW + 2000)
      t.equal(await status('/me'), 401, 'idle: after the time and the skew')
      const next = await managerOf(by).issue({ userId: 'ada' })
      const touch = async (): Promise<number> => (await ask(at, '/touch', next.cookie)).statusCode
      const second = clock.now()
      while (clock.now() < second + 3_600_000 - SKEW - 600_000) {
        clock.advance(600_000)
        t.equal(await touch(), 200, 'absolute: alive before')
      }
      clock.advance(second + 3_600_000 + SKEW + 1000 - clock.now())
      t.equal(await touch(), 401, 'absolute: after the time and the skew')
      t.ok(clock.now() > begun)
    }
  })
}

const One = Type.Object({ userId: Type.String(), name: Type.String(), n: Type.Integer({ default: 0 }) }, { additionalProperties: false })
const Two = Type.Object({ userId: Type.String(), names: Type.Array(Type.String()), n: Type.Integer({ default: 0 }), theme: Type.String({ default: 'light' }) }, { additionalProperties: false })
const toTwo = (old: any): unknown => ({ userId: old.userId, names: [old.name], n: old.n })
const toOne = (next: any): unknown => ({ userId: next.userId, name: next.names.join(' '), n: next.n })

onEach(t, 'two versions of the schema take turns: no 500, and with migrate no user is signed out', async (t, backend) => {
  for (const migrating of [true, false]) {
    const clock = createClock()
    const place = await backend.make(t, clock.now)
    const start = async (schema: any, migrate: (data: unknown) => unknown): Promise<FastifyInstance> => {
      const app = Fastify()
      await app.register(plugin, { schema, store: place.store, now: clock.now, storeTimeout: 30, principal: (data) => data.userId, ...(migrating ? { migrate } : {}) })
      app.post('/login', { schema: optional }, async (request) => {
        sessionOf(request).start(schema === One ? { userId: 'ada', name: 'Ada', n: 0 } : { userId: 'ada', names: ['Ada'], n: 0 })
      })
      app.post('/add', { schema: guarded }, async (request) => { sessionOf(request).data.n++ })
      app.get('/me', { schema: guarded }, async (request) => sessionOf(request).data)
      return app
    }
    const apps = [await start(One, toOne), await start(Two, toTwo)] as const
    t.teardown(() => apps[0].close())
    const jar = new CookieJar(clock.now)
    const clients = apps.map((app) => new Client(app, jar))
    await (clients[0] as Client).post('/login')
    const statuses = new Map<number, number>()
    let added = 0
    const count = rounds(300, 1000, backend.share)
    for (let i = 0; i < count; i++) {
      const client = clients[(i * 7 + (i >> 3)) % 2] as Client
      const { statusCode } = await (i % 2 === 0 ? client.post('/add') : client.get('/me'))
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
      if (i % 2 === 0 && statusCode === 200) added++
    }
    t.same([...statuses.keys()].filter((status) => status >= 500), [], 'no 500')
    if (!migrating) continue
    t.same([...statuses.entries()], [[200, count]], 'nobody signed out')
    t.equal((await (clients[0] as Client).get('/me')).json<{ n: number }>().n, added, 'and every change kept')
  }
})

for (const { name, share, make } of [backends['memory'], backends['redis']] as Backend[]) alone.test(`clients that give up, in every phase of every request, ${name}: all or nothing`, async (t) => {
  const place = await make(t, Date.now)
  let calls = 0
  let pending = 0
  const slow = new Proxy(place.store as SessionStore, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name === 'observe' || name === 'close') return value.bind(target)
      return async (...args: unknown[]): Promise<unknown> => {
        calls++
        pending++
        for (let left = calls % 7; left > 0; left--) await turn()
        const answer: unknown = await Reflect.apply(value, target, args)
        for (let left = calls % 5; left > 0; left--) await turn()
        pending--
        return answer
      }
    }
  })
  const app = Fastify({ logger: false })
  t.teardown(() => app.close())
  await app.register(plugin, { store: slow, storeTimeout: 30, principal: (data) => data.userId })
  app.post('/login', { schema: optional }, async (request) => { sessionOf(request).start(request.body as object) })
  app.post('/write', { schema: optional }, async (request) => { Object.assign(sessionOf(request).data, request.body) })
  app.post('/renew', { schema: optional }, async (request) => { if (sessionOf(request).exists) sessionOf(request).renew() })
  app.post('/logout', { schema: optional }, async (request) => { sessionOf(request).destroy() })
  app.get('/me', { schema: guarded }, async (request) => sessionOf(request).data)
  const port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
  const manager = managerOf(app)
  const count = rounds(400, 10_000, share)
  const broken: string[] = []
  for (let i = 0; i < count; i++) {
    const userId = `user${i}`
    const { cookie, id } = await manager.issue({ userId, a: 0, b: 0 })
    const url = ['/login', '/write', '/renew', '/logout'][i % 4] as string
    const body = JSON.stringify({ userId, a: 1, b: 1 })
    const text = `POST ${url} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const phase = (i >> 2) % 10
    const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {})
    await event(socket, 'connect')
    // Phases 0 to 4 send a part of the request, the others all of it and wait for more and more turns.
    socket.write(phase < 5 ? text.slice(0, Math.floor(text.length * (phase + 1) / 6)) : text)
    for (let left = phase < 5 ? 2 : (phase - 5) * 4; left > 0; left--) await turn()
    socket.destroy()
    await event(socket, 'close')
    // What is left of the request goes on without its client, until it has nothing more to ask of the store.
    for (let quiet = 0; quiet < 30; quiet = pending === 0 ? quiet + 1 : 0) await turn()
    const sessions = await sessionsOf(app, userId)
    const old = await manager.find(id)
    const whole = sessions.every(({ data }) => data.a === data.b)
    const expected = url === '/login' || url === '/renew' ? sessions.length === 1 : url === '/write' ? old !== undefined : sessions.length <= 1
    const { statusCode } = await ask(app, '/me', cookie)
    // A renewal that was made, and whose cookie did not arrive, leaves the session to its timeouts.
    const opens = statusCode === (old === undefined ? 401 : 200) || (url === '/renew' && statusCode === 401)
    if (!whole || !expected || !opens) broken.push(`${url}, phase ${phase}: ${JSON.stringify({ sessions, statusCode })}`)
    await manager.revokeAll(userId)
  }
  t.same(broken, [], `${count} requests`)
  t.equal(await place.count(), 0, 'nothing is left behind')
})
