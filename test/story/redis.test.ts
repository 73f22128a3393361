import { Redis } from 'ioredis'
import t from 'tap'
import { RedisStore } from 'fastify-openapi-session/redis'
import { startRedis } from '../support/servers-redis.js'
import { anywhere, onServer } from './story.js'

t.test('Redis', async (t) => {
  const { url } = await startRedis(t)
  const client = new Redis(url)
  t.teardown(() => client.disconnect())
  let worlds = 0
  const make = (): RedisStore => new RedisStore({ client, prefix: `world${worlds++}:` })
  await t.test('anywhere', async (t) => await anywhere(t, make))
  await t.test('on the server', async (t) => await onServer(t, make))
})
