import t from 'tap'
import { startPostgres, startRedis } from '../support/servers.js'
import { overRestart } from './process.js'

t.test('sessions in Redis, by REDIS_URL', async (t) => {
  const { url } = await startRedis(t)
  await overRestart(t, { REDIS_URL: url })
})

t.test('sessions in PostgreSQL, by DATABASE_URL', async (t) => {
  const { url } = await startPostgres(t)
  await overRestart(t, { DATABASE_URL: url })
})
