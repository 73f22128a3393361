import { Redis } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { createClient } from 'redis'
import { createClient as createClient5 } from 'redis5'
import t, { type Test } from 'tap'
import { type RedisClient, RedisStore } from 'fastify-openapi-session/redis'
import { ioredis, nodeRedis } from '../support/redis-clients.js'
import { startRedis } from '../support/servers-redis.js'
import { anywhere, onServer } from './story.js'

const clients: Record<string, (t: Test, url: string) => RedisClient | Promise<RedisClient>> = {
  'ioredis 5': (t, url) => ioredis(t, new Redis(url)),
  iovalkey: (t, url) => ioredis(t, new Valkey(url)),
  'node-redis 6': async (t, url) => await nodeRedis(t, createClient({ url })),
  'node-redis 5': async (t, url) => await nodeRedis(t, createClient5({ url }))
}

t.test('the story on Redis, over', async (t) => {
  const { url } = await startRedis(t)
  let worlds = 0
  for (const [name, connect] of Object.entries(clients)) {
    await t.test(name, async (t) => {
      const client = await connect(t, url)
      const make = (): RedisStore => new RedisStore({ client, prefix: `world${worlds++}:` })
      await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
      await t.test('on the server', async (t) => await onServer(t, make, 0.1))
    })
  }
})
