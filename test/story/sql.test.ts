import type { Kysely } from 'kysely'
import t, { type Test } from 'tap'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { sqliteKysely } from '../support/sqlite.js'
import { anywhere, onServer } from './story.js'

const make = async (t: Test): Promise<SqlStore> => {
  const db = sqliteKysely() as Kysely<any>
  await createTable(db)
  t.teardown(() => db.destroy())
  return new SqlStore({ db })
}

t.test('anywhere', async (t) => await anywhere(t, make))
t.test('on the server', async (t) => await onServer(t, make))
