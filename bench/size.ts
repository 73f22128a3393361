/**
 * Measures how much room sessions take in the servers: `npm run bench:size [sessions]`, 1,000,000 by default. Each session has
 * 200 bytes of data, and each principal has two sessions. Redis reports the memory in use. PostgreSQL reports the size of the table
 * with its indexes.
 */
import { Redis } from 'ioredis'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { randomBytes } from 'node:crypto'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createTable } from 'fastify-openapi-session/sql'
import type { SessionRecord } from 'fastify-openapi-session'
import { startPostgres, startRedis } from '../test/support/servers.js'

const SESSIONS = Number(process.argv[2] ?? 1_000_000)
const BATCH = 500

function recordOf (index: number): SessionRecord {
  const now = Date.now()
  const life = { secret: 'x'.repeat(43), from: now, to: now + 43_200_000 }
  const data = { userId: `user-${index >> 1}`, payload: '' }
  data.payload = 'x'.repeat(200 - JSON.stringify(data).length)
  return { payload: JSON.stringify({ ...life, data }), version: 1, expiresAt: now + 1_800_000, principal: data.userId }
}

const idOf = (): string => randomBytes(16).toString('base64url')
const ends: Array<() => Promise<void> | void> = []
const scope = { teardown: (end: () => Promise<void> | void) => { ends.unshift(end) } }

async function redisBytes (): Promise<number> {
  const client = new Redis((await startRedis(scope)).url)
  ends.unshift(() => { client.disconnect() })
  const used = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1])
  const store = new RedisStore({ client, prefix: 'session:', timeout: 60 })
  const before = await used()
  for (let index = 0; index < SESSIONS; index += BATCH) {
    await Promise.all(Array.from({ length: BATCH }, async (_, offset) => await store.create(idOf(), recordOf(index + offset))))
  }
  return await used() - before
}

async function postgresBytes (): Promise<number> {
  const { url } = await startPostgres(scope)
  const db = new Kysely<{ sessions: { id: string, payload: string, version: number, expires_at: number, principal: string } }>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) })
  })
  ends.unshift(async () => { await db.destroy() })
  await createTable(db)
  for (let index = 0; index < SESSIONS; index += BATCH) {
    await db.insertInto('sessions').values(Array.from({ length: BATCH }, (_, offset) => {
      const { expiresAt, principal = '', ...record } = recordOf(index + offset)
      return { id: idOf(), ...record, expires_at: expiresAt, principal }
    })).execute()
  }
  const { rows: [size] } = await sql<{ bytes: string }>`select pg_total_relation_size('sessions') as bytes`.execute(db)
  return Number(size?.bytes)
}

for (const [name, measure] of Object.entries({ Redis: redisBytes, PostgreSQL: postgresBytes })) {
  const bytes = await measure()
  console.log(`${name}: ${SESSIONS} sessions, ${(bytes / 2 ** 20).toFixed(0)} MiB, ${Math.round(bytes / SESSIONS)} bytes each`)
}
for (const end of ends) await end()
