import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { RedisStore } from 'fastify-openapi-session/redis'
import { startRedis } from '../support/servers-redis.js'
import { answersInTime, leavesNothing, survivesKills } from './promises.js'
import { createApp, isLong } from './support.js'

const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

function connect (t: Test, port: number): Redis {
  // Both are what an outage is over by at the latest: while Redis reads its file, a client asks again in a second or more.
  const client = new Redis(port, { retryStrategy: () => 50, maxLoadingRetryTime: 50 })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

t.test('Redis is killed again and again, and nothing acknowledged is lost', async (t) => {
  const server = await startRedis(t, { args: durable })
  const app = await createApp(t, new RedisStore({ client: connect(t, server.port), prefix: 'session:', timeout: isLong ? 0.25 : 2 }))
  await survivesKills(t, app, server, isLong ? [10_000, 20] : [1200, 3])
})

t.test('Redis hangs, and requests do not', async (t) => {
  const limit = 200
  const maxPending = 100
  const server = await startRedis(t)
  const client = connect(t, server.port)
  const app = await createApp(t, new RedisStore({ client, prefix: 'session:', timeout: limit / 1000, maxPending }))
  const queues = client as unknown as Record<'commandQueue' | 'offlineQueue', { length: number }>
  await answersInTime(t, app, {
    pause: () => server.pause(),
    resume: () => server.resume(),
    answers: () => client.ping(),
    queued: () => queues.commandQueue.length + queues.offlineQueue.length,
    mostQueued: () => maxPending + 1,
    limit
  }, isLong ? [10, 2000] : [2, 1000])
})

t.test('sessions that have expired leave nothing behind', async (t) => {
  const client = connect(t, (await startRedis(t)).port)
  const store = new RedisStore({ client, prefix: 'session:' })
  const create = (id: string, principal: string): Promise<number | boolean> => store.create(id, { payload: '{}', version: 1, expiresAt: Date.now() + 1000, principal })
  /** All but the indexes that the server frees within ten minutes: so long they serve processes whose clocks are behind. */
  const left = async (): Promise<number> => {
    const lives = await Promise.all(Array.from({ length: 1000 }, (_, n) => client.pttl(`session:principal:user ${n}`)))
    return await client.dbsize() - lives.filter((life) => life > 0 && life <= 600_000).length
  }
  await leavesNothing(t, create, left, isLong ? 100_000 : 5000)
})
