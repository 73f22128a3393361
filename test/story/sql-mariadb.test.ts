import t from 'tap'
import { mysqlDb } from '../support/connections.js'
import { startMariaDb } from '../support/servers-mariadb.js'
import { anywhere, onServer } from './story.js'
import { tablesOf } from './tables.js'

t.test('MariaDB', async (t) => {
  const make = tablesOf(mysqlDb(t, await startMariaDb(t)))
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})
