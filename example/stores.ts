import type { SessionStore } from 'fastify-openapi-session'
import { FileStore } from 'fastify-openapi-session/file'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'

export interface OpenStore {
  readonly store: SessionStore
  /** Ends the connection that the store used, once the app has closed. */
  close (): Promise<void>
}

/** The store that the environment asks for: REDIS_URL, or DATABASE_URL (PostgreSQL), or else files in SESSION_DIR (`.sessions`). */
export async function openStore (env: NodeJS.ProcessEnv): Promise<OpenStore> {
  if (env.REDIS_URL !== undefined) return await openRedis(env.REDIS_URL)
  if (env.DATABASE_URL !== undefined) return await openPostgres(env.DATABASE_URL)
  return { store: new FileStore({ directory: env.SESSION_DIR ?? '.sessions' }), close: async () => {} }
}

// The drivers are loaded where they are used: who keeps sessions in files need not have them.

async function openRedis (url: string): Promise<OpenStore> {
  const { Redis } = await import('ioredis')
  const client = new Redis(url)
  return { store: new RedisStore({ client }), close: async () => { await client.quit() } }
}

async function openPostgres (url: string): Promise<OpenStore> {
  const { Kysely, PostgresDialect } = await import('kysely')
  const { default: pg } = await import('pg')
  const db = new Kysely<object>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }) })
  await createTable(db)
  return { store: new SqlStore({ db }), close: async () => { await db.destroy() } }
}
