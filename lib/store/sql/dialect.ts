import type { Kysely } from 'kysely'
import { invalidOptions } from '../../errors.js'
import type { Tables } from './row.js'

/** The families of SQL that the store speaks; MariaDB belongs to `mysql`, PGlite to `postgres`. */
export type Dialect = 'postgres' | 'mysql' | 'sqlite'

/** Tells the dialects apart by the SQL that they write: in every version, each has its own quotes and placeholders. */
export function dialectOf (db: Kysely<Tables>, who: string): Dialect {
  const { sql } = db.selectFrom('t').select('id').where('id', '=', '').compile()
  if (sql.endsWith('`id` = ?')) return 'mysql'
  if (sql.endsWith('"id" = $1')) return 'postgres'
  if (sql.endsWith('"id" = ?')) return 'sqlite'
  throw invalidOptions(`${who}: db must speak to PostgreSQL, MySQL, MariaDB or SQLite; this one writes ${sql}`)
}
