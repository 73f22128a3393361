import { Kysely, MysqlDialect } from 'kysely'
import { createPool } from 'mysql2'
import t from 'tap'
import { startMariaDb } from '../support/servers-mariadb.js'
import { anywhere, onServer } from './story.js'
import { tablesOf } from './tables.js'

t.test('MariaDB', async (t) => {
  const { url } = await startMariaDb(t)
  const db = new Kysely<any>({ dialect: new MysqlDialect({ pool: createPool(url) }) })
  t.teardown(() => db.destroy())
  const make = tablesOf(db)
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})
