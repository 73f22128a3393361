import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { createSentinel } from 'redis'
import { createSentinel as createSentinel5 } from 'redis5'
import t from 'tap'
import { ioredis, nodeRedis } from '../../support/redis-clients.js'
import { redisContract } from '../../support/redis-contract.js'
import { startRedisSentinel } from '../../support/servers.js'

t.test('RedisStore keeps the contract under a Sentinel on', async (t) => {
  const { sentinels: [sentinel], name, primary } = await startRedisSentinel(t)
  const inspector = ioredis(t, new Redis(primary.port))
  const sentinels = [sentinel!]

  await t.test('ioredis 6', (t) => redisContract(t, ioredis(t, new Redis({ sentinels, name })), inspector))
  await t.test('ioredis 5', (t) => redisContract(t, ioredis(t, new Redis5({ sentinels, name })), inspector))
  await t.test('iovalkey', (t) => redisContract(t, ioredis(t, new Valkey({ sentinels, name })), inspector))
  await t.test('node-redis 6', async (t) =>
    redisContract(t, await nodeRedis(t, createSentinel({ name, sentinelRootNodes: sentinels })), inspector))
  await t.test('node-redis 6 with a keyPrefix and replicas that the app reads', async (t) => {
    const client = createSentinel({ name, sentinelRootNodes: sentinels, replicaPoolSize: 1, keyPrefix: 'my app:' })
    await redisContract(t, await nodeRedis(t, client), inspector, 'my app:session:')
  })
  await t.test('node-redis 5', async (t) =>
    redisContract(t, await nodeRedis(t, createSentinel5({ name, sentinelRootNodes: sentinels })), inspector))
})
