import { createPool, type Pool } from 'mysql2'
import t, { type Test } from 'tap'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { type SqlServer } from '../support/servers-postgres.js'
import { startMariaDb } from '../support/servers-mariadb.js'
import { answersInTime, survivesKills } from './promises.js'
import { createApp, isLong } from './support.js'

const durable = { innodb_flush_log_at_trx_commit: '1', sync_binlog: '1' }

/** Seconds after which the app gives up a call of the store. A busy machine needs more in the short form. */
const TIME_LIMIT = isLong ? 0.25 : 2.5

async function poolOn (t: Test, { url: uri }: SqlServer): Promise<Pool> {
  const pool = createPool({ uri, connectionLimit: 10, queueLimit: 1000, connectTimeout: 20_000 })
  // Without a listener, a connection that ends with its server would end the process.
  pool.on('connection', (connection) => { connection.on('error', () => {}) })
  t.teardown(() => pool.promise().end().catch(() => {}))
  await createTable(pool)
  return pool
}

t.test('MariaDB is killed again and again under a pool of mysql2, and nothing acknowledged is lost', async (t) => {
  const server = await startMariaDb(t, { settings: durable })
  const pool = await poolOn(t, server)
  const app = await createApp(t, new SqlStore({ db: pool, sweepInterval: 0 }), { storeTimeout: isLong ? TIME_LIMIT : 20 })
  await survivesKills(t, app, server, isLong ? [10_000, 20] : [600, 2])
})

t.test('MariaDB hangs under a pool of mysql2, and requests do not', async (t) => {
  const server = await startMariaDb(t)
  const pool = await poolOn(t, server)
  // The driver gives no figure for the calls that wait, and `queueLimit` keeps them from growing.
  let pending = 0
  const app = await createApp(t, new SqlStore({ db: pool, sweepInterval: 0 }), { storeTimeout: TIME_LIMIT })
  app.addHook('onRequest', async () => { pending++ })
  app.addHook('onResponse', async () => { pending-- })
  await answersInTime(t, app, {
    pause: () => server.pause(),
    resume: () => server.resume(),
    answers: async () => {
      for (let answered = false; !answered;) answered = await pool.promise().query('select 1').then(() => true, () => false)
    },
    queued: () => pending,
    mostQueued: () => Infinity,
    limit: TIME_LIMIT * 1000
  }, isLong ? [10, 2000] : [1, 500])
})
