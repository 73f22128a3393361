import { PGlite } from '@electric-sql/pglite'
import { Kysely } from 'kysely'
import t from 'tap'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { pgliteDialect } from '../support/pglite.js'
import { anywhere, onServer } from './story.js'

t.test('PGlite', async (t) => {
  const pglite = await PGlite.create()
  t.teardown(() => pglite.close())
  const db = new Kysely<any>({ dialect: pgliteDialect(pglite) })
  let worlds = 0
  const make = async (): Promise<SqlStore> => {
    const table = `world${worlds++}`
    await createTable(db, table)
    return new SqlStore({ db, table })
  }
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})
