import { Cluster } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { Cluster as ValkeyCluster } from 'iovalkey'
import { createCluster } from 'redis'
import { createCluster as createCluster5 } from 'redis5'
import t from 'tap'
import { ioredis, nodeRedis } from '../../support/redis-clients.js'
import { redisContract } from '../../support/redis-contract.js'
import { startRedisCluster } from '../../support/servers.js'

t.test('RedisStore keeps the contract in a cluster on', async (t) => {
  const { nodes } = await startRedisCluster(t)
  const inspector = ioredis(t, new Cluster([...nodes]))
  const rootNodes = nodes.map(({ url }) => ({ url }))

  await t.test('ioredis 6, which connects when it is first used', (t) =>
    redisContract(t, ioredis(t, new Cluster([...nodes], { lazyConnect: true })), inspector))
  await t.test('ioredis 5 with a keyPrefix and automatic pipelines', (t) =>
    redisContract(t, ioredis(t, new Cluster5([...nodes], { keyPrefix: '{x}y:', enableAutoPipelining: true })), inspector, '{x}y:session:'))
  await t.test('iovalkey', (t) => redisContract(t, ioredis(t, new ValkeyCluster([...nodes])), inspector))
  await t.test('node-redis 6', async (t) => redisContract(t, await nodeRedis(t, createCluster({ rootNodes })), inspector))
  await t.test('node-redis 6 with a keyPrefix', async (t) =>
    redisContract(t, await nodeRedis(t, createCluster({ rootNodes, keyPrefix: 'my app:' })), inspector, 'my app:session:'))
  await t.test('node-redis 5', async (t) => redisContract(t, await nodeRedis(t, createCluster5({ rootNodes })), inspector))
})
