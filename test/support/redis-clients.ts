import type { Test } from 'tap'
import type { RedisClient } from 'fastify-openapi-session/redis'

type OnError = (event: 'error', listener: () => void) => unknown

/** Hands a client of ioredis or iovalkey to a test, which ends it. */
export function ioredis<Client extends RedisClient & { on: OnError, disconnect (): void }> (t: Test, client: Client): Client {
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

/** Connects a client of node-redis for a test, which ends it. */
export async function nodeRedis<Client extends RedisClient & { on: OnError, connect (): Promise<unknown>, destroy (): unknown }> (t: Test, client: Client): Promise<Client> {
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.destroy())
  return client
}
