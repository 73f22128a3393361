import { PGlite } from '@electric-sql/pglite'
import { Kysely } from 'kysely'
import t from 'tap'
import { pgliteDialect } from '../support/pglite.js'
import { postgresShape } from '../support/sql-shapes.js'
import { sqlSuite } from '../support/sql-suite.js'

t.test('PGlite', async (t) => {
  const pglite = await PGlite.create()
  t.teardown(() => pglite.close())
  await sqlSuite(t, {
    connect: (log) => new Kysely({ dialect: pgliteDialect(pglite), ...log && { log } }),
    statementsOverExpired: 1,
    ...postgresShape
  })
})
