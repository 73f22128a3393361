import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { pgPool } from '../support/connections.js'
import { type SqlServer, startPostgres } from '../support/servers-postgres.js'
import { answersInTime, leavesNothing, survivesKills } from './promises.js'
import { createApp, isLong } from './support.js'

const durable = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

/** Milliseconds after which the app answers, and before which the driver gives up: waiting for a connection, and for an answer. */
const LIMIT = isLong ? 250 : 2500
const driver = { max: 10, connectionTimeoutMillis: LIMIT * 0.6, query_timeout: LIMIT * 0.8 }

/** Limits for the short form of kills, that a busy machine meets: a server that was killed refuses connections at once. */
const patient = { max: 10, connectionTimeoutMillis: 20_000, query_timeout: 20_000 }

async function connect (t: Test, server: SqlServer, options: pg.PoolConfig = driver): Promise<{ pool: pg.Pool, db: Kysely<any> }> {
  const pool = pgPool(server, options)
  const db = new Kysely<any>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(() => db.destroy())
  return { pool, db }
}

/** The table is made without the time limits of the app. */
async function table (t: Test, server: SqlServer): Promise<Kysely<any>> {
  const { db } = await connect(t, server, { max: 1 })
  await createTable(db)
  return db
}

t.test('PostgreSQL is killed again and again, and nothing acknowledged is lost', async (t) => {
  const server = await startPostgres(t, { settings: durable })
  await table(t, server)
  const { db } = await connect(t, server, isLong ? driver : patient)
  const app = await createApp(t, new SqlStore({ db, sweepInterval: 0 }), { storeTimeout: isLong ? LIMIT / 1000 : 30 })
  await survivesKills(t, app, server, isLong ? [10_000, 20] : [800, 2])
})

t.test('PostgreSQL hangs, and requests do not', async (t) => {
  const server = await startPostgres(t)
  await table(t, server)
  const { pool, db } = await connect(t, server)
  const app = await createApp(t, new SqlStore({ db, sweepInterval: 0 }), { storeTimeout: LIMIT / 1000 })
  await answersInTime(t, app, {
    pause: () => server.pause(),
    resume: () => server.resume(),
    answers: async () => {
      for (let answered = false; !answered;) answered = await pool.query('select 1').then(() => true, () => false)
    },
    queued: () => pool.waitingCount,
    // A thousand a second wait until a connection is given up; a busy machine gives up later.
    mostQueued: (busy) => isLong ? driver.connectionTimeoutMillis + 50 + 2 * busy : Infinity,
    limit: LIMIT
  }, isLong ? [10, 2000] : [2, 1000])
})

t.test('rows of sessions that have expired are swept away', async (t) => {
  const server = await startPostgres(t)
  const db = await table(t, server)
  const { db: own } = await connect(t, server, {})
  const store = new SqlStore({ db: own, sweepInterval: 0.25 })
  t.teardown(() => store.close())
  const create = (id: string, principal: string): Promise<number | boolean> => store.create(id, { payload: '{}', version: 1, expiresAt: Date.now() + 1000, principal })
  const rows = async (): Promise<number> => Number((await db.selectFrom('sessions').select(({ fn }) => fn.countAll().as('n')).executeTakeFirstOrThrow()).n)
  await leavesNothing(t, create, rows, isLong ? 100_000 : 1500)
})
