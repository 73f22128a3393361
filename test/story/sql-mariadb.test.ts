import { Kysely, MysqlDialect } from 'kysely'
import { createPool } from 'mysql2'
import t from 'tap'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { startMariaDb } from '../support/servers-mariadb.js'
import { anywhere, onServer } from './story.js'

t.test('MariaDB', async (t) => {
  const { url } = await startMariaDb(t)
  const db = new Kysely<any>({ dialect: new MysqlDialect({ pool: createPool(url) }) })
  t.teardown(() => db.destroy())
  let worlds = 0
  const make = async (): Promise<SqlStore> => {
    const table = `world${worlds++}`
    await createTable(db, table)
    return new SqlStore({ db, table })
  }
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})
