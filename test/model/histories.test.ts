import session from 'express-session'
import connectPgSimple from 'connect-pg-simple'
import { Redis } from 'ioredis'
import { MemoryStore } from 'fastify-openapi-session'
import { type ExpressStore, fromExpressStore } from 'fastify-openapi-session/express'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import t, { type Test } from 'tap'
import { mysqlDb, pgPool, postgresDb } from '../support/connections.js'
import { temporaryDirectory } from '../support/servers-process.js'
import { startMariaDb, startPostgres, startRedis } from '../support/servers.js'
import { LocalSite, RemoteSite, type Site } from './site.js'
import { World } from './world.js'

/*
 * MODEL_STEPS   steps in memory; the others do the share that stands below, 500 at least
 * MODEL_STORE   only this store, with all of MODEL_STEPS
 * MODEL_KILLS   how often what keeps the sessions is killed in between; by default once in 1000 steps, and twice at least
 * MODEL_PATIENCE  seconds that a call of a store may take; 60, so that a busy machine makes no failures. Each kill waits for it, so long
 *               histories on a quiet machine take less
 * SEED          the seed of a history to run again
 */
const STEPS = Number(process.env.MODEL_STEPS ?? 10_000)
const ONLY = process.env.MODEL_STORE
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)

interface Subject {
  /** How many of the steps are done: disks and servers take longer. */
  readonly share: number
  readonly open: (t: Test) => Promise<Site>
}

const durablePostgres = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

const subjects: Record<string, Subject> = {
  memory: { share: 1, open: async () => await new LocalSite(SEED).open((now) => new MemoryStore({ now })) },
  redis: {
    share: 0.1,
    async open (t) {
      const server = await startRedis(t, { args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
      const client = new Redis(server.url, { retryStrategy: () => 50, maxLoadingRetryTime: 50 }).on('error', () => {})
      t.teardown(() => { client.disconnect() })
      return await new LocalSite(SEED, server).open((now) => new RedisStore({ client, prefix: 'model:', now, timeout: 240 }))
    }
  },
  file: { share: 0.02, open: async (t) => await inProcess(t, 'file') },
  sqlite: { share: 0.02, open: async (t) => await inProcess(t, 'sqlite') },
  postgres: {
    share: 0.02,
    async open (t) {
      const server = await startPostgres(t, { settings: durablePostgres })
      const db = postgresDb(t, server)
      await createTable(db)
      return await new LocalSite(SEED, server).open((now) => new SqlStore({ db, now, sweepInterval: 0 }))
    }
  },
  mariadb: {
    share: 0.02,
    async open (t) {
      const server = await startMariaDb(t, { settings: { innodb_flush_log_at_trx_commit: '1' } })
      const db = mysqlDb(t, server)
      await createTable(db)
      return await new LocalSite(SEED, server).open((now) => new SqlStore({ db, now, sweepInterval: 0 }))
    }
  },
  express: {
    share: 0.02,
    async open (t) {
      const server = await startPostgres(t, { settings: durablePostgres })
      const pool = pgPool(server)
      t.teardown(() => pool.end())
      const store = new (connectPgSimple(session))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
      const all: ExpressStore['all'] = (callback) => pool.query('select sess from session').then(({ rows }) => callback(null, rows.map((row) => row.sess)), callback)
      // It makes its table with the first call.
      await new Promise((resolve) => store.get('none', resolve))
      return await new LocalSite(SEED, server).open((now) => fromExpressStore(Object.assign(store, { all }), { now, timeout: 240 }))
    }
  }
}

async function inProcess (t: Test, store: string): Promise<Site> {
  const site = new RemoteSite(store, temporaryDirectory(t, 'model'), SEED)
  await site.restart()
  return site
}

for (const [name, { share, open }] of Object.entries(subjects)) {
  if (ONLY !== undefined && ONLY !== name) continue
  t.test(`random histories on ${name} lose no update, revive no session and mix up no data`, async (t) => {
    const site = await open(t)
    const world = new World(site, SEED)
    t.teardown(async () => { await world.close() })
    const steps = Math.ceil(ONLY === undefined ? Math.max(STEPS * share, Math.min(STEPS, 500)) : STEPS)
    const kills = site.kill === undefined ? 0 : Number(process.env.MODEL_KILLS ?? Math.max(2, Math.floor(steps / 1000)))
    for (let step = 0, killed = 0; step < steps; step++) {
      try {
        await world.step()
        if (step + 1 >= (killed + 1) * steps / (kills + 1) && killed++ < kills) await world.kill()
      } catch (error) {
        return t.fail(`SEED=${SEED}, step ${step}: ${(error as Error).message}`)
      }
    }
    t.pass(`${steps} steps, ${kills} kills, SEED=${SEED}`)
  })
}
