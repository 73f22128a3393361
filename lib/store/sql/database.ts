import { type Dialect as KyselyDialect, Kysely, MysqlDialect, PostgresDialect, SqliteDialect } from 'kysely'
import { invalidOptions } from '../../errors.js'
import type { Tables } from './row.js'

/** A Kysely instance by shape: those of Kysely 0.27 and later fit, from its CommonJS and its ES module build. */
export interface KyselyInstance {
  readonly isTransaction: boolean
  withoutPlugins (): object
  executeQuery (...query: never[]): Promise<object>
}

/** A `pg.Pool`, by shape. */
export interface PgPool {
  readonly totalCount: number
  connect (...callback: never[]): unknown
}

/** A pool of mysql2 or of mysql2/promise, by shape. */
export interface MysqlPool {
  getConnection (...callback: never[]): unknown
}

/** A database of better-sqlite3 or node:sqlite, by shape. */
export interface SqliteDatabase {
  prepare (sql: string): object
  exec (sql: string): unknown
}

/** The app's database: a Kysely instance, or a pool or database that the store builds one on. */
export type SqlDatabase = KyselyInstance | PgPool | MysqlPool | SqliteDatabase

/** The families of SQL that the store speaks; MariaDB belongs to `mysql`, PGlite to `postgres`. */
export type Dialect = 'postgres' | 'mysql' | 'sqlite'

/** A database as the store uses it. */
export interface Database {
  /** Without the app's plugins, which would rename columns or parse text that looks like JSON. */
  readonly db: Kysely<Tables>
  readonly dialect: Dialect
  readonly table: string
}

/** @throws `FST_SESSION_OPTIONS` for anything but a database, and for a transaction, which ends long before the store */
export function useDatabase (given: SqlDatabase, table: string, who: string): Database {
  const db = kyselyOn(given)
  if (db === undefined) throw invalidOptions(`${who}: db must be the app's Kysely instance, such as new Kysely({ dialect }), a pool of pg or mysql2, or a database of better-sqlite3 or node:sqlite`)
  const { sql } = db.selectFrom('t').select('id').where('id', '=', '').compile()
  const dialect = dialects[sql.slice(sql.indexOf('where '))]
  if (dialect === undefined) throw invalidOptions(`${who}: db must speak to PostgreSQL, MySQL, MariaDB or SQLite; this one writes ${sql}`)
  return { db, dialect, table }
}

/** Tells the dialects apart by the SQL that they write: in every version, each has its own quotes and placeholders. */
const dialects: Record<string, Dialect | undefined> = {
  'where "id" = $1': 'postgres', 'where `id` = ?': 'mysql', 'where "id" = ?': 'sqlite'
}

function kyselyOn (given: SqlDatabase): Kysely<Tables> | undefined {
  const kysely = given as KyselyInstance
  if (has(kysely, 'withoutPlugins') && !kysely.isTransaction) return kysely.withoutPlugins() as Kysely<Tables>
  const dialect = dialectOn(given)
  return dialect && new Kysely({ dialect })
}

function dialectOn (db: SqlDatabase): KyselyDialect | undefined {
  // A connection of mysql2 has a method `prepare`, too.
  if (has(db, 'prepare') && has(db, 'exec')) return new SqliteDialect({ database: sqlite(db as SqliteDatabase) })
  if (has(db, 'connect') && has(db, 'totalCount', 'number')) return new PostgresDialect({ pool: db as never })
  // A pool with promises has the one with callbacks inside, which alone has a method `promise`.
  const pool = has(db, 'promise') ? db : (db as { pool?: unknown } | undefined)?.pool
  return has(pool, 'getConnection') ? new MysqlDialect({ pool: pool as never }) : undefined
}

function has (value: unknown, name: string, type = 'function'): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === type
}

type SqliteParts = Exclude<ConstructorParameters<typeof SqliteDialect>[0]['database'], () => unknown>
type Statement = ReturnType<SqliteParts['prepare']>

/** The statements of better-sqlite3 fit Kysely. Those of node:sqlite take their values apart and do not tell which of them reads. */
function sqlite (db: SqliteDatabase): SqliteParts {
  return {
    close () {},
    prepare (sql) {
      const statement = db.prepare(sql) as Statement | { [method in 'all' | 'run' | 'iterate']: (...values: unknown[]) => never }
      if ('reader' in statement) return statement
      return {
        reader: sql.startsWith('select'),
        all: (values) => statement.all(...values),
        run: (values) => statement.run(...values),
        iterate: (values) => statement.iterate(...values)
      }
    }
  }
}
