import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { startPostgres } from '../support/servers-postgres.js'
import { anywhere, onServer } from './story.js'
import { tablesOf } from './tables.js'

t.test('PostgreSQL', async (t) => {
  const { url } = await startPostgres(t)
  // Without a listener, an idle connection that the stopping server ends would end the process.
  const pool = new pg.Pool({ connectionString: url, max: 4 }).on('error', () => {})
  const db = new Kysely<any>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(() => db.destroy())
  const make = tablesOf(db)
  await t.test('anywhere', async (t) => await anywhere(t, make))
  await t.test('on the server', async (t) => await onServer(t, make))
})
