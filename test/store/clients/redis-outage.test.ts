import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { createClient, createSentinel } from 'redis'
import t, { type Test } from 'tap'
import { type RedisClient, RedisStore } from 'fastify-openapi-session/redis'
import type { SessionRecord } from 'fastify-openapi-session'
import { ioredis, nodeRedis } from '../../support/redis-clients.js'
import { until } from '../../support/servers-process.js'
import { startRedis, startRedisSentinel } from '../../support/servers.js'

const record = (): SessionRecord => ({ payload: '{}', version: 1, expiresAt: Date.now() + 600_000, principal: 'user' })

// node-redis 5 is missing: docs/stores.md says why.
const socket = { reconnectStrategy: () => 20 }
const clients: Record<string, (t: Test, url: string) => RedisClient | Promise<RedisClient>> = {
  'ioredis 6': (t, url) => ioredis(t, new Redis(url, { retryStrategy: () => 20 })),
  'ioredis 5': (t, url) => ioredis(t, new Redis5(url, { retryStrategy: () => 20 })),
  iovalkey: (t, url) => ioredis(t, new Valkey(url, { retryStrategy: () => 20 })),
  'node-redis 6': (t, url) => nodeRedis(t, createClient({ url, socket }))
}

for (const [name, connect] of Object.entries(clients)) {
  t.test(`calls over ${name} that were given up while the server was away are never sent`, async (t) => {
    const server = await startRedis(t)
    const client = await connect(t, server.url)
    const store = new RedisStore({ client, prefix: 'session:', timeout: 0.2, maxPending: 20 })
    const patient = new RedisStore({ client, prefix: 'session:', timeout: 240 })
    await patient.create('before', record())
    await server.kill9()
    await until('the client has noticed', async () => await store.read('before').then(() => false, (error: unknown) => /no reply/.test(String(error))))
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => store.create(`${n}`, record())))
    t.ok(outcomes.every((outcome) => outcome.status === 'rejected' && /no reply within 200 ms/.test(String(outcome.reason))))
    const waiting = patient.create('in time', record())
    await server.restart()
    t.equal(await waiting, 1, 'a call that has time left waits for the server')
    const inspector = ioredis(t, new Redis(server.url))
    t.same((await inspector.keys('*:id:*')).sort(), ['session:id:in time'])
  })
}

const followers: Record<string, (t: Test, sentinels: Array<{ host: string, port: number }>, name: string) => RedisClient | Promise<RedisClient>> = {
  iovalkey: (t, sentinels, name) => ioredis(t, new Valkey({ sentinels, name, sentinelRetryStrategy: () => 50, retryStrategy: () => 50 })),
  'node-redis 6': (t, sentinels, name) => nodeRedis(t, createSentinel({ name, sentinelRootNodes: sentinels, nodeClientOptions: { socket } }))
}

for (const [client, follow] of Object.entries(followers)) {
  t.test(`${client} follows a Sentinel to the next primary`, async (t) => {
    const { sentinels, name, primary, replica } = await startRedisSentinel(t)
    const followed = await follow(t, [...sentinels], name)
    const store = new RedisStore({ client: followed, prefix: 'session:', timeout: 0.5 })
    const inspector = ioredis(t, new Redis(replica.url))
    const patient = new RedisStore({ client: followed, prefix: 'session:', timeout: 240 })
    await patient.create('a', record())
    await until('the replica has the session', async () => await inspector.exists('session:id:a') === 1)
    await primary.kill9()
    let found: SessionRecord | undefined
    await until('the replica is the primary', async () => {
      found = await store.read('a').catch(() => undefined)
      return found !== undefined
    })
    t.equal(found?.principal, 'user')
    t.equal(await patient.create('b', record()), 2)
  })
}
