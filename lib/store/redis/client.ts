import { invalidOptions } from '../../errors.js'

export type Command = 'mget' | 'evalsha' | 'eval'
type Methods<Name extends string> = Readonly<Record<Name, (...args: never[]) => Promise<unknown>>>

interface Emitter { once (event: 'ready' | 'connect', listener: () => void): unknown }

/** The parts of a client or cluster of ioredis 5 or 6, or of iovalkey, that the store uses. */
export interface Ioredis extends Emitter, Methods<Command | 'connect'> {
  /** `'ready'` when connected, `'wait'` before a lazy client connects, `'end'` when the client has stopped reconnecting. */
  readonly status: string
}

/** The parts of a client, pool, cluster or Sentinel client of node-redis 5 or 6 that the store uses. */
export interface NodeRedis extends Emitter, Methods<'sendCommand'> { readonly isOpen: boolean }

export type RedisClient = Ioredis | NodeRedis

/** The common interface of all clients. */
export interface Client {
  readonly status: string
  /** The app's key prefix, if the client does not add it and the store must add it to each key. */
  readonly keyPrefix?: string | undefined
  /** The key prefix that the client adds by itself. It does not add it to a pattern of SCAN. */
  readonly scanPrefix?: string | undefined
  /** Returns a client for each server of a cluster. Only a cluster has this method. There, a command may use only one key. */
  readonly masters?: (() => Promise<Client[]>) | undefined
  /** Calls a function once, when the client is ready. Makes a lazy client connect. */
  whenReady (listener: () => void): void
  send (command: Command, args: readonly string[]): Promise<unknown>
}

/** Adapts a client to the common interface. @throws `FST_SESSION_OPTIONS` if the store cannot use the client */
export function adapt (client: RedisClient | undefined): Client {
  if (typeof (client as Ioredis | undefined)?.evalsha === 'function') return fromIoredis(client as Ioredis)
  if (typeof (client as NodeRedis | undefined)?.sendCommand === 'function') return fromNodeRedis(client as NodeRedis)
  throw invalidOptions('RedisStore: client must be a client of ioredis, iovalkey or redis, such as new Redis() or createClient()')
}

interface IoredisInternals extends Record<Command, (...args: readonly string[]) => Promise<unknown>> {
  readonly isCluster?: boolean
  readonly options?: { readonly scaleReads?: unknown, readonly keyPrefix?: string }
  nodes (role: 'master'): Ioredis[]
}

function fromIoredis (client: Ioredis): Client {
  const internals = client as unknown as IoredisInternals
  const { isCluster, options } = internals
  if (isCluster && options?.scaleReads !== 'master') throw invalidOptions('RedisStore: client must have scaleReads: "master", because a replica may still have a session that has just ended')
  return {
    get status () { return client.status },
    scanPrefix: options?.keyPrefix,
    masters: isCluster ? async () => internals.nodes('master').map(fromIoredis) : undefined,
    whenReady (listener) {
      client.once('ready', listener)
      // The client's `error` event reports a failed connection.
      if (client.status === 'wait') client.connect().catch(() => {})
    },
    send: async (command, args) => await internals[command](...args)
  }
}

interface NodeRedisInternals {
  readonly isReady?: boolean
  readonly _keyPrefix?: string
  readonly masters: readonly unknown[]
  nodeClient? (node: unknown): Promise<NodeRedis>
  readonly getSentinelNode?: unknown
}

/** Uses `sendCommand`, which reads from the primary and bypasses the client-side cache. node-redis batches commands by itself. */
function fromNodeRedis (client: NodeRedis): Client {
  const internals = client as unknown as NodeRedisInternals
  const { _keyPrefix: keyPrefix, nodeClient, getSentinelNode } = internals
  const send = client.sendCommand.bind(client) as (...args: unknown[]) => Promise<unknown>
  const connectTo = async (node: unknown) => fromNodeRedis(await internals.nodeClient!(node))
  return {
    get status () { return !client.isOpen ? 'end' : internals.isReady === false ? 'connecting' : 'ready' },
    keyPrefix,
    masters: nodeClient && (() => Promise.all(internals.masters.map(connectTo))),
    // A cluster emits only `connect`.
    whenReady (listener) { client.once(nodeClient ? 'connect' : 'ready', listener) },
    async send (command, args) {
      const texts = [command, ...args]
      // A cluster selects the server by the key. The argument `false` (not read-only) selects the primary.
      const route = nodeClient ? [texts[command === 'mget' ? 1 : 3], false] : getSentinelNode ? [false] : []
      // The app may have set other types for the replies to its client.
      return await send(...route, texts, { typeMapping: {} })
    }
  }
}
