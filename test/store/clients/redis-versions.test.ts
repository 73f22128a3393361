import { Cluster, Redis } from 'ioredis'
import { Cluster as OldCluster, Redis as OldRedis } from 'ioredis-5-oldest'
import { Cluster as OldValkeyCluster, Redis as OldValkey } from 'iovalkey-oldest'
import { createClient as createClient5, createCluster as createCluster5, createSentinel as createSentinel5 } from 'redis-5-oldest'
import { createClient as createClient6, createCluster as createCluster6, createSentinel as createSentinel6 } from 'redis-6-oldest'
import t from 'tap'
import { ioredis, nodeRedis } from '../../support/redis-clients.js'
import { redisContract } from '../../support/redis-contract.js'
import { startRedis, startRedisCluster, startRedisSentinel } from '../../support/servers.js'
import { versionOf } from '../../support/version-of.js'

const [ioredis5, iovalkey, redis5, redis6] = [
  `ioredis ${versionOf('ioredis-5-oldest')}`, `iovalkey ${versionOf('iovalkey-oldest')}`,
  `node-redis ${versionOf('redis-5-oldest')}`, `node-redis ${versionOf('redis-6-oldest')}`
]

t.test('RedisStore keeps the contract on the oldest clients that the package allows', async (t) => {
  const { port, url } = await startRedis(t)
  const inspector = ioredis(t, new Redis(port))
  await t.test(ioredis5, (t) => redisContract(t, ioredis(t, new OldRedis(port)), inspector))
  await t.test(iovalkey, (t) => redisContract(t, ioredis(t, new OldValkey(port)), inspector))
  await t.test(redis5, async (t) => redisContract(t, await nodeRedis(t, createClient5({ url })), inspector))
  await t.test(redis6, async (t) => redisContract(t, await nodeRedis(t, createClient6({ url })), inspector))
})

t.test('RedisStore keeps the contract in a cluster on the oldest clients that the package allows', async (t) => {
  const { nodes } = await startRedisCluster(t)
  const inspector = ioredis(t, new Cluster([...nodes]))
  const rootNodes = nodes.map(({ url }) => ({ url }))
  await t.test(ioredis5, (t) => redisContract(t, ioredis(t, new OldCluster([...nodes])), inspector))
  await t.test(iovalkey, (t) => redisContract(t, ioredis(t, new OldValkeyCluster([...nodes])), inspector))
  await t.test(redis5, async (t) => redisContract(t, await nodeRedis(t, createCluster5({ rootNodes })), inspector))
  await t.test(redis6, async (t) => redisContract(t, await nodeRedis(t, createCluster6({ rootNodes })), inspector))
})

t.test('RedisStore keeps the contract under a Sentinel on the oldest clients that the package allows', async (t) => {
  const { sentinels, name, primary } = await startRedisSentinel(t)
  const inspector = ioredis(t, new Redis(primary.port))
  const options = { name, sentinelRootNodes: [...sentinels] }
  await t.test(ioredis5, (t) => redisContract(t, ioredis(t, new OldRedis({ sentinels: [...sentinels], name })), inspector))
  await t.test(iovalkey, (t) => redisContract(t, ioredis(t, new OldValkey({ sentinels: [...sentinels], name })), inspector))
  await t.test(redis5, async (t) => redisContract(t, await nodeRedis(t, createSentinel5(options)), inspector))
  await t.test(redis6, async (t) => redisContract(t, await nodeRedis(t, createSentinel6(options)), inspector))
})
