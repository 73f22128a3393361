import t from 'tap'
import { postgresDb } from '../support/connections.js'
import { startPostgres } from '../support/servers-postgres.js'
import { anywhere, onServer } from './story.js'
import { tablesOf } from './tables.js'

t.test('PostgreSQL', async (t) => {
  const make = tablesOf(postgresDb(t, await startPostgres(t), { max: 4 }))
  await t.test('anywhere', async (t) => await anywhere(t, make))
  await t.test('on the server', async (t) => await onServer(t, make))
})
