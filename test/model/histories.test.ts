import { Redis } from 'ioredis'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { MemoryStore, type SessionStore } from 'fastify-openapi-session'
import { FileStore } from 'fastify-openapi-session/file'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import t, { type Test } from 'tap'
import { temporaryDirectory } from '../support/servers-process.js'
import { startPostgres, startRedis } from '../support/servers.js'
import { openWasm, sqliteKysely } from '../support/sqlite.js'
import { World } from './world.js'

/** Steps in memory, or on the one store that `MODEL_STORE` names. `npm run test:long` does a million in memory. */
const STEPS = Number(process.env.MODEL_STEPS ?? 10_000)
const ONLY = process.env.MODEL_STORE
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)

/** How many of the steps are done on each: disks and servers take longer. */
const stores: Record<string, { share: number, make: (t: Test) => Promise<(now: () => number) => SessionStore> }> = {
  memory: { share: 1, make: async () => (now) => new MemoryStore({ now }) },
  file: { share: 0.1, make: async (t) => (now) => new FileStore({ directory: temporaryDirectory(t, 'model'), now }) },
  sql: {
    share: 0.1,
    make: async (t) => {
      const db = sqliteKysely(openWasm()) as any
      await createTable(db)
      t.teardown(async () => { await db.destroy() })
      return (now) => new SqlStore({ db, now, sweepInterval: 0 })
    }
  },
  postgres: {
    share: 0.05,
    make: async (t) => {
      // Without a listener, an idle connection that the stopping server ends would end the process.
      const pool = new pg.Pool({ connectionString: (await startPostgres(t)).url }).on('error', () => {})
      const db = new Kysely<any>({ dialect: new PostgresDialect({ pool }) })
      t.teardown(() => db.destroy())
      await createTable(db)
      return (now) => new SqlStore({ db, now, sweepInterval: 0 })
    }
  },
  redis: {
    share: 0.1,
    make: async (t) => {
      const client = new Redis((await startRedis(t)).url)
      t.teardown(() => { client.disconnect() })
      return (now) => new RedisStore({ client, now, timeout: 60 })
    }
  }
}

for (const [name, { share, make }] of Object.entries(stores)) {
  if (ONLY !== undefined && ONLY !== name) continue
  t.test(`random histories on ${name} show no lost update, no session that came back, nobody else's data`, async (t) => {
    const world = new World(SEED)
    await world.open(await make(t))
    t.teardown(async () => { await world.close() })
    const steps = Math.ceil(STEPS * (ONLY === undefined ? share : 1))
    for (let step = 0; step < steps; step++) {
      try {
        await world.step()
      } catch (error) {
        return t.fail(`SEED=${SEED}, step ${step}: ${(error as Error).message}`)
      }
    }
    t.pass(`${steps} steps, SEED=${SEED}`)
  })
}
