import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { Redis as Valkey } from 'iovalkey'
import { createClient, createClientPool, RESP_TYPES } from 'redis'
import { createClient as createClient5, createClientPool as createClientPool5 } from 'redis5'
import t from 'tap'
import { ioredis, nodeRedis } from '../../support/redis-clients.js'
import { redisContract } from '../../support/redis-contract.js'
import { startRedis } from '../../support/servers.js'

t.test('RedisStore keeps the contract on', async (t) => {
  const { port, url } = await startRedis(t)
  const inspector = ioredis(t, new Redis(port))

  await t.test('ioredis 6', (t) => redisContract(t, ioredis(t, new Redis(port)), inspector))
  await t.test('ioredis 6 with RESP3 and numbers as texts', (t) =>
    redisContract(t, ioredis(t, new Redis(port, { protocol: 3, stringNumbers: true })), inspector))
  await t.test('ioredis 5', (t) => redisContract(t, ioredis(t, new Redis5(port)), inspector))
  await t.test('ioredis 5 with a keyPrefix and automatic pipelines', async (t) => {
    const client = ioredis(t, new Redis5(port, { keyPrefix: 'my app:', enableAutoPipelining: true }))
    await redisContract(t, client, inspector, 'my app:session:')
    t.ok((await inspector.keys('*')).some((key) => key.startsWith('my app:session:')))
  })

  await t.test('iovalkey', (t) => redisContract(t, ioredis(t, new Valkey(port)), inspector))
  await t.test('iovalkey with a keyPrefix, numbers as texts and automatic pipelines', (t) =>
    redisContract(t, ioredis(t, new Valkey(port, { keyPrefix: 'v:', stringNumbers: true, enableAutoPipelining: true })), inspector, 'v:session:'))

  await t.test('node-redis 6', async (t) => redisContract(t, await nodeRedis(t, createClient({ url })), inspector))
  await t.test('node-redis 6 with a keyPrefix and RESP2', async (t) =>
    redisContract(t, await nodeRedis(t, createClient({ url, RESP: 2, keyPrefix: 'my app:' })), inspector, 'my app:session:'))
  await t.test('node-redis 6 with types of the app', async (t) => {
    const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String }
    await redisContract(t, await nodeRedis(t, createClient({ url, commandOptions: { typeMapping } })), inspector)
  })
  await t.test('a pool of node-redis 6', async (t) => redisContract(t, await nodeRedis(t, createClientPool({ url })), inspector))
  await t.test('node-redis 5', async (t) => redisContract(t, await nodeRedis(t, createClient5({ url })), inspector))
  await t.test('node-redis 5 with RESP3', async (t) => redisContract(t, await nodeRedis(t, createClient5({ url, RESP: 3 })), inspector))
  await t.test('node-redis 5 with types of the app', async (t) => {
    const typeMapping = { [RESP_TYPES.BLOB_STRING]: Buffer, [RESP_TYPES.NUMBER]: String }
    await redisContract(t, await nodeRedis(t, createClient5({ url, commandOptions: { typeMapping } })), inspector)
  })
  await t.test('a pool of node-redis 5', async (t) => redisContract(t, await nodeRedis(t, createClientPool5({ url })), inspector))

  await t.test('every client, and each of its keys has a time to live', async (t) => {
    const keys = await inspector.keys('*')
    t.ok(keys.length > 100)
    for (const key of keys) if (await inspector.pttl(key) <= 0) t.fail(`${key} has none`)
  })
})
