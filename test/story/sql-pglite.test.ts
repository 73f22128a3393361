import { PGlite } from '@electric-sql/pglite'
import { Kysely } from 'kysely'
import t from 'tap'
import { pgliteDialect } from '../support/pglite.js'
import { anywhere, onServer } from './story.js'
import { tablesOf } from './tables.js'

t.test('PGlite', async (t) => {
  const pglite = await PGlite.create()
  t.teardown(() => pglite.close())
  const db = new Kysely<any>({ dialect: pgliteDialect(pglite) })
  const make = tablesOf(db)
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})
