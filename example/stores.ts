import type { SessionStore } from 'fastify-openapi-session'
import { FileStore } from 'fastify-openapi-session/file'
import { RedisStore } from 'fastify-openapi-session/redis'

export interface OpenStore {
  readonly store: SessionStore
  /** Closes the connection of the store. Call it after the app has closed. */
  close (): Promise<void>
}

/** Opens the store that the environment names: REDIS_URL, or DATABASE_URL (PostgreSQL), or else files in SESSION_DIR (`.sessions`). */
export async function openStore (env: NodeJS.ProcessEnv): Promise<OpenStore> {
  if (env.REDIS_URL !== undefined) return await openRedis(env.REDIS_URL)
  if (env.DATABASE_URL !== undefined) return await openPostgres(env.DATABASE_URL)
  return { store: new FileStore({ directory: env.SESSION_DIR ?? '.sessions' }), close: async () => {} }
}

// Drivers and SqlStore are imported where they are used. With sessions in files, they need not be installed.

/** Reports a lost connection. The driver reconnects. Without a listener, the error would end the process. */
function lost (error: Error): void {
  process.emitWarning(error)
}

async function openRedis (url: string): Promise<OpenStore> {
  const { Redis } = await import('ioredis')
  const client = new Redis(url)
  client.on('error', lost)
  return { store: new RedisStore({ client, prefix: 'shop:session:' }), close: async () => { client.disconnect() } }
}

async function openPostgres (url: string): Promise<OpenStore> {
  const { createTable, SqlStore } = await import('fastify-openapi-session/sql')
  const { Kysely, PostgresDialect } = await import('kysely')
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 2000, query_timeout: 5000 })
  pool.on('error', lost)
  // The pool does not report errors of a client that is in use.
  pool.on('connect', (client) => { client.on('error', lost) })
  const db = new Kysely<object>({ dialect: new PostgresDialect({ pool }) })
  await createTable(db)
  return { store: new SqlStore({ db }), close: async () => { await db.destroy() } }
}
