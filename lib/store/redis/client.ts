import type { Awaitable } from '../store.js'

type Argument = string | number

/** The parts of a client or cluster of ioredis 5 or 6, or of iovalkey, that the store uses. */
export interface Ioredis {
  /** `'ready'` when connected, `'wait'` before a lazy client connects, `'end'` when the client has stopped reconnecting. */
  readonly status: string
  connect (): Promise<unknown>
  get (key: string): Promise<unknown>
  evalsha (digest: string, keys: number, ...args: string[]): Promise<unknown>
  eval (lua: string, keys: number, ...args: string[]): Promise<unknown>
  zrem (key: string, ...members: string[]): Promise<unknown>
  on (event: 'ready', listener: () => void): unknown
  off (event: 'ready', listener: () => void): unknown
}

/** The parts of a client, pool, cluster or Sentinel client of node-redis 5 or 6 that the store uses. */
export interface NodeRedis {
  readonly isOpen: boolean
  sendCommand (...args: never[]): Promise<unknown>
  on (event: 'ready' | 'connect', listener: () => void): unknown
  off (event: 'ready' | 'connect', listener: () => void): unknown
}

export type RedisClient = Ioredis | NodeRedis

export type Command = 'get' | 'evalsha' | 'eval' | 'zrem'

/** The common interface of all clients. */
export interface Client {
  /** True if keys are on several servers. Then a command may use only one key. */
  readonly cluster: boolean
  /** The app's key prefix, if the store must add it to each key because the client does not. */
  readonly keyPrefix: string
  /** The key prefix that the client adds by itself. It does not add it to a pattern of SCAN. */
  readonly scanPrefix: string
  /** Returns a client for each server that has keys. */
  masters (): Awaitable<Client[]>
  readonly status: string
  /** Makes a lazy client connect. */
  connect (): void
  send (command: Command, args: readonly Argument[]): Promise<unknown>
  on (listener: () => void): void
  off (listener: () => void): void
}

/** Adapts a client to the common interface. Returns the reason as text if the store cannot use it. */
export function adapt (client: RedisClient | undefined): Client | string {
  if (typeof (client as Ioredis | undefined)?.evalsha === 'function') return fromIoredis(client as Ioredis)
  if (typeof (client as NodeRedis | undefined)?.sendCommand === 'function') return fromNodeRedis(client as NodeRedis)
  return 'client must be a client of ioredis, iovalkey or redis, such as new Redis() or createClient()'
}

interface IoredisInternals {
  readonly isCluster?: boolean
  readonly options?: { readonly scaleReads?: unknown, readonly keyPrefix?: string }
  nodes? (role: 'master'): Ioredis[]
  readonly stream?: { cork? (): void, uncork (): void } | null
}

function fromIoredis (client: Ioredis): Client | string {
  const { isCluster = false, options } = client as IoredisInternals
  if (isCluster && options?.scaleReads !== 'master') {
    return 'client must have scaleReads: "master", because a replica may still have a session that has just ended'
  }
  const commands = client as unknown as Record<Command, (...args: readonly Argument[]) => Promise<unknown>>
  const batch = isCluster ? () => {} : batcher(client as IoredisInternals)
  const adapted: Client = {
    cluster: isCluster,
    keyPrefix: '',
    scanPrefix: options?.keyPrefix ?? '',
    masters: () => isCluster ? (client as IoredisInternals).nodes!('master').map((node) => fromIoredis(node) as Client) : [adapted],
    get status () { return client.status },
    // The client's `error` event reports a failed connection.
    connect () { if (client.status === 'wait') client.connect().catch(() => {}) },
    send (command, args) {
      batch()
      return commands[command](...args)
    },
    on (listener) { client.on('ready', listener) },
    off (listener) { client.off('ready', listener) }
  }
  return adapted
}

/** Returns a function that corks the socket until the end of this event loop turn, so that all commands are sent in one write. */
function batcher (client: IoredisInternals): () => void {
  let isCorked = false
  return () => {
    const { stream } = client
    if (isCorked || typeof stream?.cork !== 'function') return
    isCorked = true
    stream.cork()
    setImmediate(() => {
      isCorked = false
      stream.uncork()
    })
  }
}

interface NodeRedisInternals {
  readonly isReady?: boolean
  readonly masters?: readonly unknown[]
  nodeClient? (node: unknown): Promise<NodeRedis>
  readonly getSentinelNode?: unknown
}

/** Replies with the default types, even if the app has set other types for its client. */
const defaultTypes = { typeMapping: {} }

/** Uses `sendCommand`, which reads from the primary and bypasses the client-side cache. node-redis batches commands by itself. */
function fromNodeRedis (client: NodeRedis): Client {
  const internals = client as NodeRedisInternals
  const cluster = internals.nodeClient !== undefined
  const sentinel = internals.getSentinelNode !== undefined
  const send = client.sendCommand.bind(client) as (...args: unknown[]) => Promise<unknown>
  const adapted: Client = {
    cluster,
    scanPrefix: '',
    async masters () {
      if (internals.masters === undefined || internals.nodeClient === undefined) return [adapted]
      const nodes = await Promise.all(internals.masters.map((node) => internals.nodeClient?.(node) as Promise<NodeRedis>))
      return nodes.map(fromNodeRedis)
    },
    keyPrefix: Reflect.get(client, '_keyPrefix') as string | undefined ?? '',
    get status () { return !client.isOpen ? 'end' : internals.isReady === false ? 'connecting' : 'ready' },
    connect () {},
    send (command, args) {
      const texts = [command, ...args.map(String)]
      // The argument `false` (not read-only) selects the primary.
      if (sentinel) return send(false, texts, defaultTypes)
      return cluster ? send(texts[command.startsWith('eval') ? 3 : 1], false, texts, defaultTypes) : send(texts, defaultTypes)
    },
    // A cluster emits only `connect`.
    on (listener) { client.on(cluster ? 'connect' : 'ready', listener) },
    off (listener) { client.off(cluster ? 'connect' : 'ready', listener) }
  }
  return adapted
}
