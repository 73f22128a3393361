import { Redis as Valkey } from 'iovalkey'
import type pg from 'pg'
import { createClient } from 'redis'
import t, { type Test } from 'tap'
import { type RedisClient, RedisStore } from 'fastify-openapi-session/redis'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { pgPool } from '../support/connections.js'
import { ioredis, nodeRedis } from '../support/redis-clients.js'
import { type SqlServer, startPostgres } from '../support/servers-postgres.js'
import { startRedis } from '../support/servers-redis.js'
import { answersInTime, survivesKills } from './promises.js'
import { createApp, isLong } from './support.js'

const durable = ['--appendonly', 'yes', '--appendfsync', 'always']

/** Each tries again 50 ms after it has lost its server. node-redis 5 may never succeed: docs/stores.md says so. */
const clients: Record<string, (t: Test, url: string) => Promise<RedisClient & { ping (): Promise<unknown> }>> = {
  'node-redis 6': (t, url) => nodeRedis(t, createClient({ url, socket: { reconnectStrategy: () => 50 } })),
  iovalkey: async (t, url) => ioredis(t, new Valkey(url, { retryStrategy: () => 50, maxLoadingRetryTime: 50 }))
}

/** Counts the commands that a client has been given and has not settled. */
function counting (client: RedisClient): { client: RedisClient, pending: () => number } {
  let pending = 0
  const counted = new Set(['sendCommand', 'mget', 'evalsha', 'eval'])
  const proxy = new Proxy(client, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (!counted.has(name as string)) return value.bind(target) as unknown
      return (...args: unknown[]) => {
        pending++
        return (Reflect.apply(value, target, args) as Promise<unknown>).finally(() => pending--)
      }
    }
  })
  return { client: proxy, pending: () => pending }
}

for (const [name, connect] of Object.entries(clients)) {
  t.test(`Redis is killed again and again under ${name}, and nothing acknowledged is lost`, async (t) => {
    const server = await startRedis(t, { args: durable })
    const client = await connect(t, server.url)
    const app = await createApp(t, new RedisStore({ client, prefix: 'session:', timeout: isLong ? 0.25 : 2 }))
    await survivesKills(t, app, server, isLong ? [10_000, 20] : [600, 2])
  })

  t.test(`Redis hangs under ${name}, and requests do not`, async (t) => {
    const [limit, maxPending] = [200, 100]
    const server = await startRedis(t)
    const { ping, ...own } = await pinged(t, server.url, connect)
    const app = await createApp(t, new RedisStore({ client: own.client, prefix: 'session:', timeout: limit / 1000, maxPending }))
    await answersInTime(t, app, {
      pause: () => server.pause(),
      resume: () => server.resume(),
      answers: ping,
      queued: own.pending,
      mostQueued: () => maxPending,
      limit
    }, isLong ? [10, 2000] : [1, 500])
  })
}

async function pinged (t: Test, url: string, connect: (typeof clients)[string]): Promise<{ ping: () => Promise<unknown>, client: RedisClient, pending: () => number }> {
  const client = await connect(t, url)
  return { ping: () => client.ping(), ...counting(client) }
}

/** Milliseconds after which the app answers, and before which the driver gives up: waiting for a connection, and for an answer. */
const LIMIT = isLong ? 250 : 2500
const hasty = { max: 10, connectionTimeoutMillis: LIMIT * 0.6, query_timeout: LIMIT * 0.8 }
/** Limits that a busy machine meets: a server that was killed refuses connections at once. */
const patient = { max: 10, connectionTimeoutMillis: 20_000, query_timeout: 20_000 }

async function poolOn (t: Test, server: SqlServer, options: pg.PoolConfig): Promise<pg.Pool> {
  const pool = pgPool(server, options)
  t.teardown(() => pool.end())
  const making = pgPool(server, { max: 1 })
  await createTable(making)
  await making.end()
  return pool
}

t.test('PostgreSQL is killed again and again under a pool of pg, and nothing acknowledged is lost', async (t) => {
  const server = await startPostgres(t, { settings: { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' } })
  const pool = await poolOn(t, server, isLong ? hasty : patient)
  const app = await createApp(t, new SqlStore({ db: pool, sweepInterval: 0 }), { storeTimeout: isLong ? LIMIT / 1000 : 20 })
  await survivesKills(t, app, server, isLong ? [10_000, 20] : [600, 2])
})

t.test('PostgreSQL hangs under a pool of pg, and requests do not', async (t) => {
  const server = await startPostgres(t)
  const pool = await poolOn(t, server, hasty)
  const app = await createApp(t, new SqlStore({ db: pool, sweepInterval: 0 }), { storeTimeout: LIMIT / 1000 })
  await answersInTime(t, app, {
    pause: () => server.pause(),
    resume: () => server.resume(),
    answers: async () => {
      for (let answered = false; !answered;) answered = await pool.query('select 1').then(() => true, () => false)
    },
    queued: () => pool.waitingCount,
    // A thousand a second wait until a connection is given up; a busy machine gives up later.
    mostQueued: (busy) => isLong ? hasty.connectionTimeoutMillis + 50 + 2 * busy : Infinity,
    limit: LIMIT
  }, isLong ? [10, 2000] : [1, 500])
})
