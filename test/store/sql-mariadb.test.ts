import { Kysely, MysqlDialect } from 'kysely'
import { createPool } from 'mysql2'
import t from 'tap'
import { startMariaDb } from '../support/servers.js'
import { sqlSuite } from '../support/sql-suite.js'

t.test('MariaDB', async (t) => {
  const { url } = await startMariaDb(t)
  await sqlSuite(t, {
    connect: (log) => new Kysely({ dialect: new MysqlDialect({ pool: createPool({ uri: url, connectionLimit: 4 }) }), ...log && { log } }),
    statementsOverExpired: 2
  })
})
