import t from 'tap'
import { startPostgres } from '../support/servers.js'
import { overOutage } from './process.js'

t.test('sessions in PostgreSQL, by DATABASE_URL', async (t) => {
  const postgres = await startPostgres(t)
  await overOutage(t, { DATABASE_URL: postgres.url }, postgres)
})
