import type { Awaitable } from '../store.js'

type Argument = string | number

/** The parts that the store needs of `Redis` and `Cluster` of ioredis 5 and 6, and of iovalkey. */
export interface Ioredis {
  /** `'ready'` when commands reach a server, `'wait'` before a lazy client connects, `'end'` when the client gave up. */
  readonly status: string
  connect (): Promise<unknown>
  get (key: string): Promise<unknown>
  evalsha (digest: string, keys: number, ...args: string[]): Promise<unknown>
  eval (lua: string, keys: number, ...args: string[]): Promise<unknown>
  zrem (key: string, ...members: string[]): Promise<unknown>
  on (event: 'ready', listener: () => void): unknown
  off (event: 'ready', listener: () => void): unknown
}

/** The parts that the store needs of a client, a pool, a cluster or a Sentinel client of node-redis 5 and 6. */
export interface NodeRedis {
  readonly isOpen: boolean
  sendCommand (...args: never[]): Promise<unknown>
  on (event: 'ready' | 'connect', listener: () => void): unknown
  off (event: 'ready' | 'connect', listener: () => void): unknown
}

export type RedisClient = Ioredis | NodeRedis

export type Command = 'get' | 'evalsha' | 'eval' | 'zrem'

/** A client of any kind, as the store uses it. */
export interface Client {
  /** True if keys are on several servers, so that a command is about one key. */
  readonly cluster: boolean
  /** The prefix that the store has to put before each key, because the client does not. */
  readonly keyPrefix: string
  /** The prefix that the client puts before each key by itself. A pattern of SCAN is not a key. */
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

/** Adapts a client by its shape. Returns what is wrong with the client if it cannot be used. */
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
    return 'client must have scaleReads: "master": a replica may still have a session that has just ended'
  }
  const commands = client as unknown as Record<Command, (...args: readonly Argument[]) => Promise<unknown>>
  const gather = isCluster ? () => {} : gatherer(client as IoredisInternals)
  const adapted: Client = {
    cluster: isCluster,
    keyPrefix: '',
    scanPrefix: options?.keyPrefix ?? '',
    masters: () => isCluster ? (client as IoredisInternals).nodes!('master').map((node) => fromIoredis(node) as Client) : [adapted],
    get status () { return client.status },
    // What keeps a lazy client from connecting is for the listeners of its `error` event.
    connect () { if (client.status === 'wait') client.connect().catch(() => {}) },
    send (command, args) {
      gather()
      return commands[command](...args)
    },
    on (listener) { client.on('ready', listener) },
    off (listener) { client.off('ready', listener) }
  }
  return adapted
}

/** Returns a function that holds the socket back until the end of this turn of the event loop: its commands leave in one write. */
function gatherer (client: IoredisInternals): () => void {
  let gathering = false
  return () => {
    const { stream } = client
    if (gathering || typeof stream?.cork !== 'function') return
    gathering = true
    stream.cork()
    setImmediate(() => {
      gathering = false
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

/** Texts and numbers as Redis sends them, whatever types the app has chosen for its own commands. */
const plain = { typeMapping: {} }

/** `sendCommand` reads from the primary and from no cache in the client. node-redis gathers commands by itself. */
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
      // `false` asks for the primary.
      if (sentinel) return send(false, texts, plain)
      return cluster ? send(texts[command.startsWith('eval') ? 3 : 1], false, texts, plain) : send(texts, plain)
    },
    // A cluster emits only `connect`.
    on (listener) { client.on(cluster ? 'connect' : 'ready', listener) },
    off (listener) { client.off(cluster ? 'connect' : 'ready', listener) }
  }
  return adapted
}
