import { Kysely, MysqlDialect, PostgresDialect } from 'kysely'
import { createPool } from 'mysql2'
import pg from 'pg'
import type { SqlServer } from './servers-postgres.js'

/** A test, or all tests of a file: its connections end with it. */
interface Ending {
  teardown (end: () => unknown): void
}

/** A pool of pg. Without listeners, a connection that ends with its server, idle or in use, would end the process. */
export function pgPool ({ host, port, user, database }: SqlServer, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ host, port, user, database, ...options }).on('error', () => {})
  return pool.on('connect', (client) => { client.on('error', () => {}) })
}

/** PostgreSQL, over a pool of its own. */
export function postgresDb (t: Ending, server: SqlServer, options?: pg.PoolConfig): Kysely<any> {
  return ending(t, new Kysely<any>({ dialect: new PostgresDialect({ pool: pgPool(server, options) }) }))
}

/** MySQL or MariaDB, over a pool of its own. */
export function mysqlDb (t: Ending, { url }: SqlServer): Kysely<any> {
  return ending(t, new Kysely<any>({ dialect: new MysqlDialect({ pool: createPool(url) }) }))
}

function ending (t: Ending, db: Kysely<any>): Kysely<any> {
  t.teardown(() => db.destroy())
  return db
}
