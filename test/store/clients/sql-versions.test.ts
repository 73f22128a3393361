import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { createPool } from 'mysql2'
import pg from 'pg'
import t, { type Test } from 'tap'
import * as sqlStores from '../../../lib/store/sql.js'
import { storeContract } from '../../../lib/testing/index.js'
import { temporaryDirectory } from '../../support/servers-process.js'
import { startMariaDb, startPostgres } from '../../support/servers.js'
import { openBetterSqlite3, openBetterSqlite3WithBigInts, openNodeSqliteWithBigInts } from '../../support/sql-clients.js'
import { openWasm } from '../../support/sqlite.js'
import { versionOf } from '../../support/version-of.js'

type SqlStores = Pick<typeof sqlStores, 'createTable' | 'SqlStore'>

async function contract (t: Test, db: sqlStores.SqlDatabase, { createTable, SqlStore }: SqlStores = sqlStores): Promise<void> {
  await createTable(db)
  const failed: string[] = []
  for (const { name, run } of storeContract) {
    await run((clock) => new SqlStore({ db, now: clock.now })).catch((error: unknown) => failed.push(`${name}: ${String(error)}`))
  }
  t.same(failed, [])
}

/** The oldest and the newest of each range that package.json allows, by the names of the development dependencies. */
const kyselys = ['kysely-27-oldest', 'kysely-27', 'kysely-28-oldest', 'kysely', 'kysely-29']

/** Returns the library's module for SQL as it is where this version of Kysely is installed. */
async function withKysely (t: Test, kysely: string): Promise<SqlStores> {
  const outfile = `${temporaryDirectory(t, 'kysely')}/sql.mjs`
  await build({
    entryPoints: [fileURLToPath(new URL('../../../lib/store/sql.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    alias: { kysely },
    banner: { js: 'import { createRequire as requireOf } from \'node:module\'; const require = requireOf(import.meta.url)' },
    logLevel: 'error'
  })
  return await import(outfile) as SqlStores
}

t.test('SqlStore keeps the contract with each version of Kysely that the package allows', async (t) => {
  const pool = new pg.Pool({ connectionString: (await startPostgres(t)).url }).on('error', () => {})
  const mysqlPool = createPool((await startMariaDb(t)).url)
  t.teardown(async () => {
    await pool.end()
    await mysqlPool.promise().end()
  })
  for (const kysely of kyselys) {
    const stores = await withKysely(t, kysely)
    const { Kysely, SqliteDialect } = await import(kysely) as typeof import('kysely')
    await t.test(`an app's instance of ${versionOf(kysely)}`, async (t) => {
      const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: openWasm() }) })
      t.teardown(() => db.destroy())
      await t.test('beside the same version', (t) => contract(t, db, stores))
      await t.test(`beside ${versionOf('kysely')}`, (t) => contract(t, db))
    })
    await t.test(`a pool of pg with ${versionOf(kysely)}`, (t) => contract(t, pool, stores))
    await t.test(`a pool of mysql2 with ${versionOf(kysely)}`, (t) => contract(t, mysqlPool, stores))
    await t.test(`a database of better-sqlite3 with ${versionOf(kysely)}`, (t) => contract(t, openBetterSqlite3(t), stores))
  }
})

t.test('SqlStore keeps the contract on the oldest drivers that the package allows', async (t) => {
  await t.test(`pg ${versionOf('pg-oldest')}`, async (t) => {
    const { url } = await startPostgres(t)
    const { default: { Pool } } = await import('pg-oldest' as string) as { default: typeof pg }
    const pool = new Pool({ connectionString: url }).on('error', () => {})
    await contract(t, pool)
    await pool.end()
  })
  await t.test(`mysql2 ${versionOf('mysql2-oldest')}`, async (t) => {
    const { url } = await startMariaDb(t)
    const { createPool } = await import('mysql2-oldest')
    for (const pool of [createPool({ uri: url }), createPool({ uri: url }).promise()]) {
      await contract(t, pool)
      await pool.end()
    }
  })
})

t.test('SqlStore keeps the contract whatever types the app has chosen for big numbers', async (t) => {
  await t.test('pg, with BigInt, in a subclass of the app', async (t) => {
    class AppPool extends pg.Pool {}
    const types = new pg.TypeOverrides()
    types.setTypeParser(pg.types.builtins.INT8, BigInt)
    const pool = new AppPool({ connectionString: (await startPostgres(t)).url, types }).on('error', () => {})
    await contract(t, pool)
    await pool.end()
  })
  await t.test('mysql2, with texts', async (t) => {
    const { url } = await startMariaDb(t)
    const pool = createPool({ uri: url, supportBigNumbers: true, bigNumberStrings: true, namedPlaceholders: true, dateStrings: true })
    await contract(t, pool)
    await pool.promise().end()
  })
  await t.test('better-sqlite3, with BigInt', (t) => contract(t, openBetterSqlite3WithBigInts(t)))
  await t.test('node:sqlite, with BigInt', (t) => contract(t, openNodeSqliteWithBigInts(t)))
})
