import type { Kysely } from 'kysely'
import { SessionError } from '../../errors.js'
import type { Tables } from './row.js'

/** The families of SQL that the store speaks; MariaDB belongs to `mysql`, PGlite to `postgres`. */
export type Dialect = 'postgres' | 'mysql' | 'sqlite'

/**
 * What the store needs of a Kysely instance. It is asked for by shape, so that instances of Kysely 0.27 and later fit,
 * be they the CommonJS or the ES module build's.
 */
export interface KyselyInstance {
  readonly isTransaction: boolean
  withoutPlugins (): object
  executeQuery (...query: never[]): Promise<object>
}

/**
 * The instance as the store uses it. Plugins of the app would rename the columns of the answers or parse what looks
 * like JSON, so they stay outside.
 *
 * @throws `FST_SESSION_OPTIONS` for anything that is no Kysely instance, and for a transaction, which ends long before the store.
 */
export function withTables (db: KyselyInstance, who: string): Kysely<Tables> {
  if (typeof db?.withoutPlugins !== 'function' || db.isTransaction) {
    throw new SessionError('FST_SESSION_OPTIONS', `${who}: db must be the app's Kysely instance, such as new Kysely({ dialect })`)
  }
  return db.withoutPlugins() as Kysely<Tables>
}

/** Tells the dialects apart by the SQL that they write: quotes and placeholders are theirs alone, in every version. */
export function dialectOf (db: Kysely<Tables>, who: string): Dialect {
  const { sql } = db.selectFrom('t').select('id').where('id', '=', '').compile()
  if (sql.endsWith('`id` = ?')) return 'mysql'
  if (sql.endsWith('"id" = $1')) return 'postgres'
  if (sql.endsWith('"id" = ?')) return 'sqlite'
  throw new SessionError('FST_SESSION_OPTIONS', `${who}: db must speak to PostgreSQL, MySQL, MariaDB or SQLite; this one writes ${sql}`)
}
