import { Redis } from 'ioredis'
import { type Controls, findExecutable, onFreePort, type Scope, startServer, temporaryDirectory, until } from './servers-process.js'

export interface RedisServer extends Controls {
  readonly host: string
  readonly port: number
  readonly url: string
}

export interface RedisOptions {
  /** More settings as on the command line: `['--appendonly', 'yes', '--appendfsync', 'always']`. */
  args?: readonly string[]
}

const host = '127.0.0.1'

async function startOn (t: Scope, port: number, directory: string, args: readonly string[]): Promise<RedisServer> {
  const controls = await startServer(t, {
    command: findExecutable('redis-server', 'valkey-server'),
    args: ['--port', String(port), '--bind', host, '--dir', directory, '--save', '', '--daemonize', 'no', ...args],
    ready: /Ready to accept connections/
  })
  return Object.defineProperties({ host, port, url: `redis://${host}:${port}` }, Object.getOwnPropertyDescriptors(controls)) as RedisServer
}

/** A Redis of the test's own, in memory only unless `args` say otherwise. */
export async function startRedis (t: Scope, { args = [] }: RedisOptions = {}): Promise<RedisServer> {
  const directory = temporaryDirectory(t, 'redis')
  return await onFreePort((port) => startOn(t, port, directory, args))
}

export interface RedisCluster {
  /** The three primaries; each holds a third of the slots. */
  readonly nodes: readonly RedisServer[]
}

const slots = 16_384

/** A node's bus listens on its port plus 10000, so that sum has to be a port too. */
async function startNode (t: Scope): Promise<RedisServer> {
  const directory = temporaryDirectory(t, 'redis-cluster')
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '240000']
  return await onFreePort((port) => startOn(t, port > 55_535 ? port - 20_000 : port, directory, args), 20)
}

async function joinNodes (clients: readonly Redis[], nodes: readonly RedisServer[]): Promise<void> {
  const share = Math.ceil(slots / nodes.length)
  for (const [index, client] of clients.entries()) {
    const own = Array.from({ length: Math.min(share, slots - index * share) }, (_, slot) => index * share + slot)
    await client.call('CLUSTER', 'ADDSLOTS', ...own.map(String))
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
  }
  for (const node of nodes.slice(1)) await clients[0]?.call('CLUSTER', 'MEET', host, String(node.port))
  // Nodes learn of each other by gossip, which nothing announces.
  for (const [index, client] of clients.entries()) {
    await until(`node ${index} of the cluster ready`, async () => {
      const info = String(await client.call('CLUSTER', 'INFO'))
      return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`)
    })
  }
}

/** A Redis Cluster of three primaries, ready to take every key. */
export async function startRedisCluster (t: Scope): Promise<RedisCluster> {
  const nodes = [await startNode(t), await startNode(t), await startNode(t)]
  const clients = nodes.map((node) => new Redis(node.url))
  try {
    await joinNodes(clients, nodes)
  } finally {
    for (const client of clients) client.disconnect()
  }
  return { nodes }
}
