import { createConnection, createPool } from 'mysql2'
import { createConnection as createPromiseConnection } from 'mysql2/promise'
import t from 'tap'
import { SqlStore } from '../../../lib/store/sql.js'
import { pgPool } from '../../support/connections.js'
import { startMariaDb, startPostgres } from '../../support/servers.js'
import { hasNativeSqlite, openBetterSqlite3, openNodeSqlite } from '../../support/sql-clients.js'
import { contractOn } from '../../support/sql-suite.js'

t.test('SqlStore keeps the contract on a pool of pg', async (t) => {
  const pool = pgPool(await startPostgres(t))
  await contractOn(t, pool)
  await new SqlStore({ db: pool }).close()
  t.notOk(pool.ended, 'the pool stays open')
  const client = await pool.connect()
  t.throws(() => new SqlStore({ db: client as never }), { code: 'FST_SESSION_OPTIONS', message: /a pool of pg/ }, 'one connection is not a pool')
  client.release()
  await pool.end()
})

t.test('SqlStore keeps the contract on a pool of mysql2', async (t) => {
  const { url } = await startMariaDb(t)
  const pool = createPool(url)
  const promises = createPool(url).promise()
  await t.test('with callbacks', (t) => contractOn(t, pool))
  await t.test('with promises', (t) => contractOn(t, promises))
  for (const open of [pool, promises]) await new SqlStore({ db: open }).close()
  for (const open of [pool.promise(), promises]) {
    t.ok(await open.query('select 1'), 'the pool stays open')
    await open.end()
  }
  for (const connection of [createConnection(url), await createPromiseConnection(url)]) {
    t.throws(() => new SqlStore({ db: connection as never }), { code: 'FST_SESSION_OPTIONS', message: /a pool of pg or mysql2/ }, 'one connection is not a pool')
    connection.destroy()
  }
})

const shape = hasNativeSqlite ? '' : 'the shape of '

t.test(`SqlStore keeps the contract on a database of ${shape}better-sqlite3`, async (t) => {
  const database = openBetterSqlite3(t)
  await contractOn(t, database)
  await new SqlStore({ db: database }).close()
  t.ok(database.prepare('select 1'), 'the database stays open')
})

t.test(`SqlStore keeps the contract on a database of ${shape}node:sqlite`, async (t) => {
  const database = openNodeSqlite(t)
  await contractOn(t, database)
  await new SqlStore({ db: database }).close()
  t.ok(database.prepare('select 1'), 'the database stays open')
})
