import type { Cluster, Redis } from 'ioredis'
import type { Test } from 'tap'
import { type RedisClient, RedisStore } from 'fastify-openapi-session/redis'
import { type Clock, storeContract } from 'fastify-openapi-session/testing'

const damages = [
  () => 'garbage',
  (value: string) => value.slice(0, 30),
  (value: string) => value.replace('=user', '?user'),
  (value: string) => value.replace(/^1/, '2')
]

/** Runs the contract on a client. `inspector` reads and writes what the client keeps, without a key prefix of its own. */
export async function redisContract (t: Test, client: RedisClient, inspector: Redis | Cluster, prefix = 'session:'): Promise<void> {
  let damaged = 0
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => {
      const outcome = await run((clock: Clock) => ({
        store: new RedisStore({ client, prefix: 'session:', now: clock.now, timeout: 240 }),
        async damage (id) {
          const key = `${prefix}id:${id}`
          await inspector.set(key, damages[damaged++ % damages.length]!(await inspector.get(key) ?? ''), 'KEEPTTL')
        }
      }))
      t.equal(outcome, 'passed')
    })
  }
}
