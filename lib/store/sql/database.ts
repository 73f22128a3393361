import { Kysely, MysqlDialect, PostgresDialect, type SqliteDatabase as KyselySqlite, SqliteDialect } from 'kysely'
import { invalidOptions } from '../../errors.js'
import type { Tables } from './row.js'

/** The shape of a Kysely instance, 0.27 or later. */
export interface KyselyInstance {
  readonly isTransaction: boolean
  withoutPlugins (): object
  executeQuery (...query: never[]): Promise<object>
}

/** The shape of a `pg.Pool`. */
export interface PgPool {
  readonly totalCount: number
  connect (...callback: never[]): unknown
}

/** The shape of a pool of mysql2 or mysql2/promise. */
export interface MysqlPool { getConnection (...callback: never[]): unknown }

/** The shape of a database of better-sqlite3 or node:sqlite. */
export interface SqliteDatabase {
  prepare (sql: string): object
  exec (sql: string): unknown
}

/** The app's database: a Kysely instance, or a pool or database from which the store makes one. */
export type SqlDatabase = KyselyInstance | PgPool | MysqlPool | SqliteDatabase

/** The SQL dialects that the store uses. MariaDB uses `mysql`, and PGlite uses `postgres`. */
export type Dialect = 'postgres' | 'mysql' | 'sqlite'

/** The database and table of a store. */
export interface Database {
  /** A Kysely instance without the app's plugins, which could rename columns or parse text that looks like JSON. */
  readonly db: Kysely<Tables>
  readonly dialect: Dialect
  readonly table: string
}

/** Prepares the app's database for a store. @throws `FST_SESSION_OPTIONS` for a transaction or another unsuitable object */
export function useDatabase (given: SqlDatabase, table: string, caller: string): Database {
  const db = kyselyOn(given)
  if (db === undefined) throw invalidOptions(`${caller}: db must be the app's Kysely instance, such as new Kysely({ dialect }), a pool of pg or mysql2, or a database of better-sqlite3 or node:sqlite`)
  const { sql } = db.selectFrom('t').select('id').where('id', '=', '').compile()
  const dialect = dialects[sql.slice(sql.indexOf('where '))]
  if (dialect === undefined) throw invalidOptions(`${caller}: db must be a Kysely instance for PostgreSQL, MySQL, MariaDB or SQLite. Its dialect writes: ${sql}`)
  return { db, dialect, table }
}

/** The SQL that identifies each dialect. Their quotes and placeholders differ in every version of Kysely. */
const dialects: Record<string, Dialect | undefined> = {
  'where "id" = $1': 'postgres', 'where `id` = ?': 'mysql', 'where "id" = ?': 'sqlite'
}

function kyselyOn (given: SqlDatabase): Kysely<Tables> | undefined {
  const kysely = given as KyselyInstance
  if (has(kysely, 'withoutPlugins') && !kysely.isTransaction) return kysely.withoutPlugins() as Kysely<Tables>
  const dialect = dialectOn(given)
  return dialect && new Kysely({ dialect })
}

function dialectOn (db: SqlDatabase) {
  // A mysql2 connection has a method `prepare` too.
  if (has(db, 'prepare') && has(db, 'exec')) return new SqliteDialect({ database: sqlite(db as SqliteDatabase) })
  if (has(db, 'connect') && has(db, 'totalCount', 'number')) return new PostgresDialect({ pool: db as never })
  // A promise pool of mysql2 keeps its callback pool in `pool`. Only the callback pool has a method `promise`.
  const pool = has(db, 'promise') ? db : (db as { pool?: unknown } | undefined)?.pool
  return has(pool, 'getConnection') ? new MysqlDialect({ pool: pool as never }) : undefined
}

function has (value: unknown, name: string, type = 'function'): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === type
}

/** Adapts a database to Kysely. Statements of node:sqlite take separate arguments only, and lack the property `reader`. */
const sqlite = (db: SqliteDatabase): KyselySqlite => ({
  close () {},
  prepare (sql) {
    const statement = db.prepare(sql) as Record<'all' | 'run' | 'iterate', (...values: readonly unknown[]) => never>
    return {
      reader: sql.startsWith('select'),
      all: (values) => statement.all(...values),
      run: (values) => statement.run(...values),
      iterate: (values) => statement.iterate(...values)
    }
  }
})
