import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import t, { type Test } from 'tap'
import { type RedisClient, RedisStore } from 'fastify-openapi-session/redis'
import { type Clock, createClock, storeContract } from 'fastify-openapi-session/testing'
import type { SessionRecord, StoreReport } from '../../lib/store/store.js'
import { startRedis, startRedisCluster } from '../support/servers.js'

const MINUTE = 60_000

/** A client of the test's own. */
function connect<Client extends { disconnect (): void, on (event: 'error', listener: () => void): unknown }> (t: Test, client: Client): Client {
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

const damages = [
  () => 'garbage',
  (value: string) => value.slice(0, 30),
  (value: string) => value.replace('=user', '?user'),
  (value: string) => value.replace(/^1/, '2')
]

async function contract (t: Test, client: RedisClient): Promise<void> {
  let damaged = 0
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => {
      const outcome = await run((clock: Clock) => ({
        store: new RedisStore({ client, now: clock.now, timeout: 20 }),
        async damage (id) {
          const key = `session:id:${id}`
          const value = await (client as Redis).get(key) ?? ''
          await (client as Redis).set(key, damages[damaged++ % damages.length]!(value), 'KEEPTTL')
        }
      }))
      t.equal(outcome, 'passed')
    })
  }
}

t.test('the contract', async (t) => {
  const { port } = await startRedis(t)
  const inspector = connect(t, new Redis(port))
  await t.test('with ioredis 6', (t) => contract(t, connect(t, new Redis(port))))
  await t.test('with ioredis 5, a keyPrefix and automatic pipelines', async (t) => {
    await contract(t, connect(t, new Redis5(port, { keyPrefix: 'my app:', enableAutoPipelining: true })))
    const keys = await inspector.keys('*')
    t.ok(keys.some((key) => key.startsWith('my app:session:id:')))
  })
  await t.test('every key has a time to live', async (t) => {
    const keys = await inspector.keys('*')
    t.ok(keys.length > 100)
    for (const key of keys) if (await inspector.pttl(key) <= 0) t.fail(`${key} has none`)
  })
})

t.test('the contract in a cluster', async (t) => {
  const { nodes } = await startRedisCluster(t)
  await t.test('with ioredis 6', (t) => contract(t, connect(t, new Cluster([...nodes]))))
  await t.test('with ioredis 5, a keyPrefix and automatic pipelines', (t) =>
    contract(t, connect(t, new Cluster5([...nodes], { keyPrefix: '{x}y:', enableAutoPipelining: true }))))
})
