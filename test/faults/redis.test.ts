import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { RedisStore } from 'fastify-openapi-session/redis'
import { startRedis } from '../support/servers.js'
import { createApp, Findings, isLong, User } from './support.js'

const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

function connect (t: Test, port: number): Redis {
  // Both are what an outage is over by at the latest: while Redis reads its file, a client asks again in a second or more.
  const client = new Redis(port, { retryStrategy: () => 50, maxLoadingRetryTime: 50 })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test('F1: Redis is killed again and again, and nothing acknowledged is lost', async (t) => {
  const [requests, kills] = isLong ? [10_000, 20] : [1200, 3]
  const server = await startRedis(t, { args: durable })
  const app = await createApp(t, new RedisStore({ client: connect(t, server.port), timeout: 0.25 }))
  const findings = new Findings()
  let done = false
  const users = Array.from({ length: 20 }, async (_, n) => {
    const user = new User(app, `user ${n}`, findings)
    while (!done) {
      await user.act(Math.random())
      await turn()
    }
  })
  const served = (): number => findings.answered - findings.unavailable
  const until = async (holds: () => boolean): Promise<void> => { while (!holds()) await turn() }
  let slowest = 0
  for (let kill = 1; kill <= kills; kill++) {
    await until(() => served() >= kill * requests / (kills + 1))
    await server.kill9()
    const before = findings.unavailable
    await until(() => findings.unavailable > before)
    await server.restart()
    const back = performance.now()
    const answered = served()
    await until(() => served() > answered)
    slowest = Math.max(slowest, performance.now() - back)
  }
  await until(() => served() >= requests)
  done = true
  await Promise.all(users)
  t.same(findings.faults, Findings.none)
  t.ok(findings.unavailable > kills, 'every outage was noticed')
  t.ok(slowest < 1000, `back ${Math.round(slowest)} ms after the server`)
  t.comment(`${findings.answered} answers, ${findings.unavailable} of them 503; back within ${Math.round(slowest)} ms`)
})

t.test('F2: Redis hangs, and requests do not', async (t) => {
  const [stops, pause] = isLong ? [10, 2000] : [2, 1000]
  const limit = 200
  const mostPending = 100
  const server = await startRedis(t)
  const client = connect(t, server.port)
  const app = await createApp(t, new RedisStore({ client, timeout: limit / 1000, maxPending: mostPending }))
  const findings = new Findings()
  await client.ping()
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  const times: number[] = []
  let queued = 0
  for (let stop = 0; stop < stops; stop++) {
    server.pause()
    t.teardown(() => server.resume())
    const end = performance.now() + pause
    const requests: Array<Promise<unknown>> = []
    // Nobody waits for the answer before: this is a site, not one user.
    const timer = setInterval(() => {
      for (let n = 0; n < 20; n++) {
        const began = performance.now()
        requests.push(new User(app, `user ${n}`, findings).act(0).then(() => times.push(performance.now() - began)))
      }
      const { commandQueue, offlineQueue } = client as unknown as Record<'commandQueue' | 'offlineQueue', { length: number }>
      queued = Math.max(queued, commandQueue.length + offlineQueue.length)
    }, 20)
    await new Promise((resolve) => setTimeout(resolve, end - performance.now()))
    clearInterval(timer)
    await Promise.all(requests)
    server.resume()
    await client.ping()
  }
  delays.disable()
  const slack = delays.max / 1e6
  const p99 = times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Infinity
  t.same(findings.faults, Findings.none)
  t.equal(findings.unavailable, findings.answered)
  // A busy machine may keep a request waiting before it is sent, and again when its time is up.
  t.ok(p99 <= limit + 50 + 2 * slack, `99 of 100 answers within ${Math.round(p99)} ms, of which the machine was busy for ${Math.round(slack)} ms at worst`)
  t.ok(queued > 0 && queued <= mostPending + 1, `${queued} commands in the client at most`)
  t.comment(`${times.length} requests, p99 ${Math.round(p99)} ms, ${queued} commands queued at most`)
})

t.test('F9: sessions that have expired leave nothing behind', async (t) => {
  const sessions = isLong ? 100_000 : 5000
  const server = await startRedis(t)
  const client = connect(t, server.port)
  const store = new RedisStore({ client })
  for (let n = 0; n < sessions; n += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, m) =>
      store.create(`${n + m}`, { payload: '{}', version: 1, expiresAt: Date.now() + 1000, principal: `user ${(n + m) % 1000}` })))
  }
  const began = performance.now()
  t.ok(await client.dbsize() > 0)
  while (await client.dbsize() > 0 && performance.now() - began < 60_000) await new Promise((resolve) => setTimeout(resolve, 50))
  t.same(await client.keys('*'), [], 'no key and no index entry')
  t.comment(`${sessions} sessions of a second were gone ${((performance.now() - began) / 1000).toFixed(1)} s later`)
})
