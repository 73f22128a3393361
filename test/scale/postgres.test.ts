import t from 'tap'
import { createTable } from 'fastify-openapi-session/sql'
import { postgresDb } from '../support/connections.js'
import { startPostgres } from '../support/servers.js'
import { severalProcesses } from './processes.js'

t.test('several processes on one PostgreSQL', async (t) => {
  const server = await startPostgres(t)
  await createTable(postgresDb(t, server))
  await severalProcesses(t, server.url)
})
