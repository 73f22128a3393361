import fastifyCookie from '@fastify/cookie'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyReply } from 'fastify'
import { type Redis } from 'ioredis'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import sessionPlugin, { MemoryStore, type SessionPluginOptions, type SessionStore } from 'fastify-openapi-session'
import { RedisStore } from 'fastify-openapi-session/redis'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'

// The types of two session plugins claim the same name on a request, so that those of the others stay outside.
const load = createRequire(import.meta.url)
type Plugin = FastifyPluginAsync<Record<string, unknown>>

export interface Subject {
  readonly name: string
  readonly build: () => Promise<FastifyInstance>
}

/** What a route of any of the plugins can do with its session here. */
interface AnySession {
  get (key: string): unknown
  set (key: string, value: unknown): void
}

export const SIZES = { small: 200, large: 4096 } as const

const security = [{ session: [] }, {}]

/** The same routes for everybody; `declared` is what only one of them reads. */
function routes (app: FastifyInstance, login: (request: any, data: Record<string, unknown>) => unknown): void {
  const declared = { schema: { security } }
  let count = 0
  app.get('/plain', async () => ({ ok: true }))
  for (const [size, bytes] of Object.entries(SIZES)) {
    app.post(`/login/${size}`, declared, async (request) => {
      await login(request, { user: 'ada', payload: 'x'.repeat(bytes - 40), count: 0 })
      return { ok: true }
    })
    app.get(`/read/${size}`, declared, async (request) => ({ user: (request as unknown as { session: AnySession }).session.get('user') }))
    app.post(`/write/${size}`, declared, async (request) => {
      (request as unknown as { session: AnySession }).session.set('count', ++count)
      return { ok: true }
    })
  }
}

async function app (setUp: (app: FastifyInstance) => Promise<void>, login: Parameters<typeof routes>[1]): Promise<FastifyInstance> {
  const made = Fastify()
  await setUp(made)
  routes(made, login)
  await made.ready()
  return made
}

const setAll = async ({ session }: { session: AnySession }, data: Record<string, unknown>): Promise<void> => {
  for (const [key, value] of Object.entries(data)) session.set(key, value)
}

const Data = Type.Object({ user: Type.String(), payload: Type.String(), count: Type.Number() })

function own (name: string, store: () => SessionPluginOptions['store']): Subject {
  return {
    name,
    build: async () => await app(async (made) => {
      await made.register(sessionPlugin, { schema: Data, store: store(), principal: (data: any) => data.user } as unknown as SessionPluginOptions)
    }, ({ session }, data) => session.start(data))
  }
}

function official (name: string, store: () => unknown): Subject {
  return {
    name,
    build: async () => await app(async (made) => {
      await made.register(fastifyCookie)
      await made.register(load('@fastify/session') as Plugin, { secret: 's'.repeat(32), saveUninitialized: false, cookie: { secure: false }, store: store() })
    }, async (request, data) => {
      await request.session.regenerate()
      await setAll(request, data)
    })
  }
}

function mgcrea (name: string, store: () => unknown): Subject {
  return {
    name,
    build: async () => await app(async (made) => {
      const { default: plugin } = await import('@mgcrea/fastify-session' as string) as { default: Plugin }
      await made.register(fastifyCookie)
      await made.register(plugin, { secret: 's'.repeat(32), saveUninitialized: false, store: store() })
    }, setAll)
  }
}

/** `redis` opens a connection that the caller closes. */
export function subjects (redis: () => Redis): Subject[] {
  return [
    { name: 'bare Fastify', build: async () => await bare() },
    own('this, memory', () => new MemoryStore()),
    own('this, Redis', () => new RedisStore({ client: redis(), prefix: 'own:' }) as SessionStore),
    own('this, sealed', () => sealedCookie({ keys: [makeKey()] })),
    official('@fastify/session, memory', () => undefined),
    official('@fastify/session, Redis', () => redisForExpress(redis())),
    mgcrea('@mgcrea, memory', () => undefined),
    {
      name: '@fastify/secure-session',
      build: async () => await app(async (made) => {
        await made.register(load('@fastify/secure-session') as Plugin, { key: randomBytes(32) })
      }, setAll)
    }
  ]
}

async function bare (): Promise<FastifyInstance> {
  const made = Fastify()
  const session: AnySession = { get: () => 'ada', set: () => {} }
  made.decorateRequest('session', { getter: () => session } as never)
  routes(made, (request: unknown, data: unknown): FastifyReply | unknown => [request, data])
  await made.ready()
  return made
}

/** connect-redis, as its users wire it to ioredis. */
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
