import { Cluster } from 'ioredis'
import t from 'tap'
import { RedisStore } from 'fastify-openapi-session/redis'
import { startRedisCluster } from '../support/servers-redis.js'
import { anywhere, onServer } from './story.js'

t.test('Redis Cluster', async (t) => {
  const { nodes } = await startRedisCluster(t)
  const client = new Cluster(nodes.map(({ host, port }) => ({ host, port })))
  t.teardown(() => client.disconnect())
  let worlds = 0
  const make = (): RedisStore => new RedisStore({ client, prefix: `world${worlds++}:` })
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})
