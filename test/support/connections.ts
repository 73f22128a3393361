import { Kysely, MysqlDialect, PostgresDialect } from 'kysely'
import { createPool } from 'mysql2'
import pg from 'pg'

/** Connections to the servers of tests: the pools and Kysely instances that an app would have. */

/** What ends with a test, or with all tests of a file. */
export interface Ending {
  teardown (end: () => unknown): void
}

export interface Address {
  readonly url: string
}

/** A pool of pg. Without listeners, a connection that ends with its server, idle or in use, would end the process. */
export function pgPool ({ url }: Address, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, ...options }).on('error', () => {})
  return pool.on('connect', (client) => { client.on('error', () => {}) })
}

/** PostgreSQL, over a pool of its own. */
export function postgresDb (t: Ending, server: Address, options?: pg.PoolConfig): Kysely<any> {
  return ending(t, new Kysely<any>({ dialect: new PostgresDialect({ pool: pgPool(server, options) }) }))
}

/** MySQL or MariaDB, over a pool of its own. */
export function mysqlDb (t: Ending, { url }: Address): Kysely<any> {
  return ending(t, new Kysely<any>({ dialect: new MysqlDialect({ pool: createPool(url) }) }))
}

function ending (t: Ending, db: Kysely<any>): Kysely<any> {
  t.teardown(() => db.destroy())
  return db
}
