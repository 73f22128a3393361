import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type Controls, findExecutable, onFreePort, type Scope, startServer, temporaryDirectory, until } from './servers-process.js'
import { type RedisServer, startRedis } from './servers-redis.js'

export interface RedisSentinel {
  /** What ioredis takes as `sentinels` and `name`. */
  readonly sentinels: ReadonlyArray<{ host: string, port: number }>
  readonly name: string
  /** The two servers; `primary` is the one that began as such. */
  readonly primary: RedisServer
  readonly replica: RedisServer
  readonly sentinel: Controls
}

const host = '127.0.0.1'
const name = 'sessions'

function configuration (port: number, directory: string, primary: RedisServer): string {
  return [
    `port ${port}`, `bind ${host}`, `dir ${directory}`, `sentinel monitor ${name} ${primary.host} ${primary.port} 1`,
    `sentinel down-after-milliseconds ${name} 500`, `sentinel failover-timeout ${name} 2000`, ''
  ].join('\n')
}

/** A primary, its replica and a Sentinel that promotes the replica half a second after the primary fell silent. */
export async function startRedisSentinel (t: Scope): Promise<RedisSentinel> {
  const primary = await startRedis(t)
  const replica = await startRedis(t, { args: ['--replicaof', primary.host, String(primary.port)] })
  const directory = temporaryDirectory(t, 'redis-sentinel')
  const { port, sentinel } = await onFreePort(async (port) => {
    // A Sentinel writes what it learns back into its configuration.
    const file = join(directory, 'sentinel.conf')
    writeFileSync(file, configuration(port, directory, primary))
    const command = findExecutable('redis-server', 'valkey-server')
    return { port, sentinel: await startServer(t, { command, args: [file, '--sentinel'], ready: /\+monitor/ }) }
  })

  const client = new Redis({ host, port })
  t.teardown(() => client.disconnect())
  await until('Sentinel knows the replica as in step', async () => {
    const [fields] = await client.call('SENTINEL', 'REPLICAS', name) as string[][]
    const value = (field: string): string | undefined => fields?.[fields.indexOf(field) + 1]
    return fields !== undefined && value('flags') === 'slave' && value('master-link-status') === 'ok'
  })
  client.disconnect()
  return { sentinels: [{ host, port }], name, primary, replica, sentinel }
}
