import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { createTable } from 'fastify-openapi-session/sql'
import { startPostgres } from '../support/servers.js'
import { severalProcesses } from './processes.js'

t.test('several processes on one PostgreSQL', async (t) => {
  const { url } = await startPostgres(t)
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }) })
  await createTable(db)
  await db.destroy()
  await severalProcesses(t, url)
})
