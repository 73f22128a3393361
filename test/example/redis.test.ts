import t from 'tap'
import { startRedis } from '../support/servers.js'
import { overOutage } from './process.js'

t.test('sessions in Redis, by REDIS_URL', async (t) => {
  const redis = await startRedis(t, { args: ['--appendonly', 'yes'] })
  await overOutage(t, { REDIS_URL: redis.url }, redis)
})
