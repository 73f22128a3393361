import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { startPostgres } from '../support/servers-postgres.js'
import { anywhere, onServer } from './story.js'

t.test('PostgreSQL', async (t) => {
  const { url } = await startPostgres(t)
  // Without a listener, an idle connection that the stopping server ends would end the process.
  const pool = new pg.Pool({ connectionString: url, max: 4 }).on('error', () => {})
  const db = new Kysely<any>({ dialect: new PostgresDialect({ pool }) })
  t.teardown(() => db.destroy())
  let worlds = 0
  const make = async (): Promise<SqlStore> => {
    const table = `world${worlds++}`
    await createTable(db, table)
    return new SqlStore({ db, table })
  }
  await t.test('anywhere', async (t) => await anywhere(t, make))
  await t.test('on the server', async (t) => await onServer(t, make))
})
