import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { startPostgres } from '../support/servers.js'
import { sqlSuite } from '../support/sql-suite.js'

t.test('PostgreSQL', async (t) => {
  const { url } = await startPostgres(t)
  const makePool = (): pg.Pool => {
    // Without a listener, an idle connection that the stopping server ends would end the process.
    return new pg.Pool({ connectionString: url, max: 4 }).on('error', () => {})
  }
  await sqlSuite(t, {
    connect: (log) => new Kysely({ dialect: new PostgresDialect({ pool: makePool() }), ...log && { log } }),
    statementsOverExpired: 1
  })
})
