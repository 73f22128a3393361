import type { Kysely } from 'kysely'
import { invalidOptions } from '../../errors.js'
import type { Tables } from './row.js'

/** The families of SQL that the store speaks; MariaDB belongs to `mysql`, PGlite to `postgres`. */
export type Dialect = 'postgres' | 'mysql' | 'sqlite'

/**
 * What the store needs of a Kysely instance, by shape: instances of Kysely 0.27 and later fit, from its CommonJS and its
 * ES module build.
 */
export interface KyselyInstance {
  readonly isTransaction: boolean
  withoutPlugins (): object
  executeQuery (...query: never[]): Promise<object>
}

/**
 * Returns the instance without the app's plugins, which would rename columns or parse text that looks like JSON.
 *
 * @throws `FST_SESSION_OPTIONS` for anything but a Kysely instance, and for a transaction, which ends long before the store
 */
export function withTables (db: KyselyInstance, who: string): Kysely<Tables> {
  if (typeof db?.withoutPlugins !== 'function' || db.isTransaction) {
    throw invalidOptions(`${who}: db must be the app's Kysely instance, such as new Kysely({ dialect })`)
  }
  return db.withoutPlugins() as Kysely<Tables>
}

/** Tells the dialects apart by the SQL that they write: in every version, each has its own quotes and placeholders. */
export function dialectOf (db: Kysely<Tables>, who: string): Dialect {
  const { sql } = db.selectFrom('t').select('id').where('id', '=', '').compile()
  if (sql.endsWith('`id` = ?')) return 'mysql'
  if (sql.endsWith('"id" = $1')) return 'postgres'
  if (sql.endsWith('"id" = ?')) return 'sqlite'
  throw invalidOptions(`${who}: db must speak to PostgreSQL, MySQL, MariaDB or SQLite; this one writes ${sql}`)
}
