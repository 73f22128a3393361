import fastifyCookie from '@fastify/cookie'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Redis } from 'ioredis'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import sessionPlugin, { MemoryStore, type SessionPluginOptions } from 'fastify-openapi-session'
import { RedisStore } from 'fastify-openapi-session/redis'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { floor, floorInMemory, floorInRedis } from './floor.js'
import { loginFloor } from './login-floor.js'
import { AGAIN, BARE, SIZES, type Size, type SubjectName, urlOf } from './plan.js'

// The types of all session plugins declare request.session, so the other plugins are loaded without types.
const load = createRequire(import.meta.url)
type Plugin = FastifyPluginAsync<Record<string, unknown>>

/** The methods that the sessions of all plugins have. */
interface AnySession {
  get (key: string): unknown
  set (key: string, value: unknown): void
}

type Request = FastifyRequest & { session: AnySession }
type Login = (request: any, data: Record<string, unknown>) => unknown
type SetUp = (app: FastifyInstance) => Promise<unknown>

const Item = Type.Object({ sku: Type.String(), title: Type.String(), quantity: Type.Integer(), price: Type.Number() })
const Data = Type.Object({
  user: Type.String(), roles: Type.Array(Type.String()), seen: Type.Integer(), count: Type.Integer(), cart: Type.Array(Item), note: Type.String()
})

/** Returns data of a size, like those of an app: many short values, not one long text. */
function dataOf (user: string, size: Size): Record<string, unknown> {
  const data = { user, roles: ['reader', 'editor'], seen: 1_750_000_000, count: 0, cart: [] as unknown[], note: '' }
  for (let index = 0; size === '4 KB' && index < 41; index++) {
    data.cart.push({ sku: `sku-${1000 + index}`, title: `A thing of kind number ${index}`, quantity: index % 7 + 1, price: index + 0.95 })
  }
  data.note = 'x'.repeat(SIZES[size] - Buffer.byteLength(JSON.stringify(data)))
  return data
}

/** Adds the same routes for all plugins. The handlers check for a session, because the other plugins do not. */
function routes (app: FastifyInstance, login: Login): void {
  const required = { schema: { security: [{ session: [] }] } }
  const optional = { schema: { security: [{ session: [] }, {}] } }
  const refused = (reply: FastifyReply): FastifyReply => reply.code(401).send({ error: 'Unauthorized' })
  let users = 0
  let count = 0
  app.get('/plain', async () => ({ ok: true }))
  for (const size of Object.keys(SIZES) as Size[]) {
    app.post(urlOf('login', size), optional, async (request) => {
      const user = `user-${++users}`
      await login(request, dataOf(user, size))
      return { user }
    })
    app.get(urlOf('read', size), required, async (request, reply) => {
      const user = (request as Request).session.get('user')
      return user === undefined ? refused(reply) : { user }
    })
    app.post(urlOf('write', size), required, async (request, reply) => {
      const { session } = request as Request
      if (session.get('user') === undefined) return refused(reply)
      session.set('count', ++count)
      return { count }
    })
    app.get(urlOf('count', size), required, async (request) => ({ count: (request as Request).session.get('count') }))
  }
}

async function app (setUp: SetUp, login: Login): Promise<FastifyInstance> {
  // As behind a proxy that ends TLS, because the cookies are Secure. Connections stay open between two scenarios.
  const made = Fastify({ trustProxy: true, keepAliveTimeout: 0 })
  await setUp(made)
  routes(made, login)
  await made.ready()
  return made
}

const setAll: Login = ({ session }: { session: AnySession }, data) => {
  for (const [key, value] of Object.entries(data)) session.set(key, value)
}
const start: Login = ({ session }, data) => session.start(data)

async function bare (made: FastifyInstance): Promise<void> {
  const session: AnySession = { get: () => 'user-1', set: () => {} }
  made.decorateRequest('session', { getter: () => session } as never)
}

function own (store: unknown): SetUp {
  return async (made) => await made.register(sessionPlugin, { schema: Data, store, principal: (data: any) => data.user } as unknown as SessionPluginOptions)
}

function official (options: object): SetUp {
  return async (made) => {
    await made.register(fastifyCookie)
    await made.register(load('@fastify/session') as Plugin, { secret: 's'.repeat(32), saveUninitialized: false, ...options })
  }
}

const officialLogin: Login = async (request, data) => {
  await request.session.regenerate()
  await setAll(request, data)
}

/** This plugin keeps its key and its store for the whole process. So each subject needs a process of its own. */
function mgcrea (options: object): SetUp {
  return async (made) => {
    const { default: plugin } = await import('@mgcrea/fastify-session' as string) as { default: Plugin }
    await made.register(fastifyCookie)
    await made.register(plugin, { secret: 's'.repeat(32), saveUninitialized: false, ...options })
  }
}

async function secureSession (made: FastifyInstance): Promise<void> {
  await made.register(load('@fastify/secure-session') as Plugin, { key: randomBytes(32), cookie: { path: '/', httpOnly: true, secure: true } })
}

/** The most sessions that bench/memory.ts creates. */
const MAX_SESSIONS = 2_000_000

/** Returns the app of a subject. `redis` opens a connection that the caller closes. */
export async function build ({ name, store }: SubjectName, redis: () => Redis): Promise<FastifyInstance> {
  switch (`${name}, ${store}`) {
    case `${BARE.name}, none`:
    case `${AGAIN.name}, none`: return await app(bare, () => {})
    case 'floor, memory': return await app(async (made) => await made.register(floor, { store: floorInMemory() }), start)
    case 'floor, redis': return await app(async (made) => await made.register(floor, { store: floorInRedis(redis()) }), start)
    case 'floor of a login, memory': return await app(async (made) => await made.register(loginFloor, { schema: Data, principal: (data) => data['user'] as string }), start)
    case 'this, memory': return await app(own(new MemoryStore({ maxSessions: MAX_SESSIONS, maxBytes: 2 ** 40 })), start)
    case 'this, redis': return await app(own(new RedisStore({ client: redis(), prefix: 'own:' })), start)
    case 'this, cookie': return await app(own(sealedCookie({ keys: [makeKey()] })), start)
    case '@fastify/session, memory': return await app(official({}), officialLogin)
    case '@fastify/session, redis': return await app(official({ store: redisForExpress(redis()) }), officialLogin)
    case '@mgcrea/fastify-session, memory': return await app(mgcrea({}), setAll)
    case '@mgcrea/fastify-session, redis': return await app(mgcrea({ store: redisForMgcrea(redis()) }), setAll)
    case '@fastify/secure-session, cookie': return await app(secureSession, setAll)
    default: throw new Error(`There is no subject "${name}, ${store}"`)
  }
}

/** Returns connect-redis, connected to ioredis as its users do it. */
function redisForExpress (client: Redis): unknown {
  const { RedisStore: Connect } = load('connect-redis') as { RedisStore: new (options: object) => unknown }
  return new Connect({
    prefix: 'official:',
    client: {
      get: async (key: string) => await client.get(key),
      set: async (key: string, value: string, options?: { expiration?: { value: number } }) => await client.set(key, value, 'EX', options?.expiration?.value ?? 86_400),
      expire: async (key: string, seconds: number) => await client.expire(key, seconds),
      del: async (keys: string[]) => await client.del(...keys)
    }
  })
}

/** Returns a store with the commands of @mgcrea/fastify-session-redis-store 1.0.0, which this version of the plugin does not accept. */
function redisForMgcrea (client: Redis): unknown {
  const keyOf = (id: string): string => `mgcrea:${id}`
  const ttlOf = (expiry?: number | null): number => expiry ? Math.min(Math.floor((expiry - Date.now()) / 1000), 86_400) : 86_400
  return {
    async get (id: string) {
      const { data, expiry } = await client.hgetall(keyOf(id))
      return data === undefined ? null : [JSON.parse(data), expiry ? Number(expiry) : null]
    },
    async set (id: string, data: unknown, expiry?: number | null) {
      await client.pipeline().hset(keyOf(id), 'data', JSON.stringify(data), 'expiry', `${expiry || ''}`).expire(keyOf(id), ttlOf(expiry)).exec()
    },
    async touch (id: string, expiry?: number | null) {
      await client.pipeline().hset(keyOf(id), 'expiry', `${expiry || ''}`).expire(keyOf(id), ttlOf(expiry)).exec()
    },
    async destroy (id: string) {
      await client.del(keyOf(id))
    }
  }
}
