import { createPool } from 'mysql2'
import { createPool as createPromisePool } from 'mysql2/promise'
import t, { type Test } from 'tap'
import type { SqlDatabase } from 'fastify-openapi-session/sql'
import { pgPool } from '../support/connections.js'
import { startMariaDb } from '../support/servers-mariadb.js'
import { startPostgres } from '../support/servers-postgres.js'
import { hasNativeSqlite, openBetterSqlite3, openNodeSqlite } from '../support/sql-clients.js'
import { anywhere, onServer } from './story.js'
import { tablesOf } from './tables.js'

async function story (t: Test, db: SqlDatabase): Promise<void> {
  const make = tablesOf(db)
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
}

t.test('the story over a pool of pg', async (t) => {
  const pool = pgPool(await startPostgres(t))
  t.teardown(() => pool.end())
  await story(t, pool)
})

t.test('the story over a pool of mysql2', async (t) => {
  const { url } = await startMariaDb(t)
  const [pool, promises] = [createPool(url), createPromisePool(url)]
  t.teardown(async () => { await Promise.all([pool.promise().end(), promises.end()]) })
  await t.test('with callbacks', (t) => story(t, pool))
  await t.test('with promises', (t) => story(t, promises))
})

const shape = hasNativeSqlite ? '' : 'the shape of '
t.test(`the story over a database of ${shape}better-sqlite3`, (t) => story(t, openBetterSqlite3(t)))
t.test(`the story over a database of ${shape}node:sqlite`, (t) => story(t, openNodeSqlite(t)))
