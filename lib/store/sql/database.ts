import { Kysely, MysqlDialect, PostgresDialect, type RawBuilder, sql, type SqliteDatabase as KyselySqlite, SqliteDialect } from 'kysely'
import { invalidOptions } from '../../errors.js'
import { columnNames, type Tables } from './row.js'

/** The shape of a Kysely instance, 0.27 or later. */
export interface KyselyInstance {
  readonly isTransaction: boolean
  withoutPlugins (): object
  executeQuery (...query: never[]): Promise<object>
}

/** The shape of a `pg.Pool`. */
export interface PgPool { readonly totalCount: number, connect (...callback: never[]): unknown }

/** The shape of a pool of mysql2 or mysql2/promise. */
export interface MysqlPool { getConnection (...callback: never[]): unknown }

/** The shape of a database of better-sqlite3 or node:sqlite. */
export interface SqliteDatabase { prepare (sql: string): object, exec (sql: string): unknown }

/** The app's database: a Kysely instance, or a pool or database from which the store makes one. */
export type SqlDatabase = KyselyInstance | PgPool | MysqlPool | SqliteDatabase

/**
 * The SQL dialects that the store uses. MariaDB uses `mysql`, and PGlite uses `postgres`. `where` identifies a dialect, because
 * quotes and placeholders differ in every version of Kysely. `types` are the column types of an indexed text, a payload and an
 * instant. Collation "C" compares bytes and depends on no locale.
 */
const dialects = {
  postgres: { where: 'where "id" = $1', types: ['text collate "C"', 'text', 'bigint'] },
  mysql: { where: 'where `id` = ?', types: ['varchar(255)', 'longtext', 'bigint'] },
  sqlite: { where: 'where "id" = ?', types: ['text', 'text', 'integer'] }
} as const

/** The database and table of a store. */
export interface Database {
  /** A Kysely instance without the app's plugins, which could rename columns or parse text that looks like JSON. */
  readonly db: Kysely<Tables>
  readonly dialect: keyof typeof dialects
  readonly table: string
}

/** Prepares the app's database for a store. @throws `FST_SESSION_OPTIONS` for a transaction or another unsuitable object */
export function useDatabase (given: SqlDatabase, table: string, caller: string): Database {
  const db = kyselyOn(given)
  if (db === undefined) throw invalidOptions(`${caller}: db must be the app's Kysely instance, such as new Kysely({ dialect }), a pool of pg or mysql2, or a database of better-sqlite3 or node:sqlite`)
  const { sql } = db.selectFrom('t').select('id').where('id', '=', '').compile()
  const dialect = (['postgres', 'mysql', 'sqlite'] as const).find((name) => sql.endsWith(dialects[name].where))
  if (dialect === undefined) throw invalidOptions(`${caller}: db must be a Kysely instance for PostgreSQL, MySQL, MariaDB or SQLite. Its dialect writes: ${sql}`)
  return { db, dialect, table }
}

function kyselyOn (db: SqlDatabase): Kysely<Tables> | undefined {
  if (has(db, 'withoutPlugins')) return (db as KyselyInstance).isTransaction ? undefined : (db as KyselyInstance).withoutPlugins() as Kysely<Tables>
  // A mysql2 connection has a method `prepare` too.
  if (has(db, 'prepare') && has(db, 'exec')) return new Kysely({ dialect: new SqliteDialect({ database: sqlite(db as SqliteDatabase) }) })
  if (has(db, 'connect') && has(db, 'totalCount', 'number')) return new Kysely({ dialect: new PostgresDialect({ pool: db as never }) })
  // A promise pool of mysql2 keeps its callback pool in `pool`. Only the callback pool has a method `promise`.
  const pool = has(db, 'promise') ? db : (db as { pool?: unknown } | undefined)?.pool
  return has(pool, 'getConnection') ? new Kysely({ dialect: new MysqlDialect({ pool: pool as never }) }) : undefined
}

function has (value: unknown, name: string, type = 'function'): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[name] === type
}

/** Adapts a database to Kysely. Statements of node:sqlite take separate arguments only, and lack the property `reader`. */
const sqlite = (db: SqliteDatabase): KyselySqlite => ({
  close () {},
  prepare (sql) {
    const statement = db.prepare(sql) as Record<'all' | 'run' | 'iterate', (...values: readonly unknown[]) => never>
    const call = (name: keyof typeof statement) => (values: readonly unknown[]) => statement[name](...values)
    return { reader: sql.startsWith('select'), all: call('all'), run: call('run'), iterate: call('iterate') }
  }
})

/**
 * Creates the table and its indexes, unless they exist. An app may call it at every start, and from several processes at the
 * same time. If the table exists, the database role needs no right to create tables. `docs/stores/sql.md` has the plain SQL.
 *
 * @param table the name of the table, as in the options of `SqlStore`
 * @throws `FST_SESSION_OPTIONS` if `SqlStore` does not support `db`
 */
export async function createTable (db: SqlDatabase, table = 'sessions'): Promise<void> {
  const { db: kysely, dialect } = useDatabase(db, table, 'createTable')
  try {
    for (const statement of definition(dialect, table)) {
      // Tries again, because IF NOT EXISTS is not atomic in PostgreSQL: one of two concurrent runs may fail.
      await statement.execute(kysely).catch(() => statement.execute(kysely))
    }
  } catch (error) {
    // Databases check whether the role may create tables before they check whether the table exists.
    const isDenied = ['42501', 'ER_TABLEACCESS_DENIED_ERROR'].includes((error as { code: string }).code)
    const exists = isDenied && await kysely.selectFrom(table).select(columnNames).limit(0).execute().then(() => true, () => false)
    if (!exists) throw error
  }
}

function definition (dialect: Database['dialect'], table: string): Array<RawBuilder<unknown>> {
  const [text, payload, instant] = dialects[dialect].types.map((type) => sql.raw(type))
  const [name, bare] = [sql.table(table), table.split('.').at(-1) as string]
  const columns = sql`id ${text} not null primary key, payload ${payload} not null, version integer not null,
    expires_at ${instant} not null, principal ${text}`
  if (dialect === 'mysql') {
    return [sql`create table if not exists ${name} (${columns},
      index ${sql.id(`${bare}_principal`)} (principal, id, expires_at), index ${sql.id(`${bare}_expires_at`)} (expires_at)
    ) engine = InnoDB character set utf8mb4 collate utf8mb4_bin`]
  }
  // In SQLite the schema is part of the name of the index, not of the table after ON.
  const index = (column: string) => dialect === 'sqlite' ? sql.table(`${table}_${column}`) : sql.id(`${bare}_${column}`)
  const on = dialect === 'sqlite' ? sql.id(bare) : name
  return [
    sql`create table if not exists ${name} (${columns})`,
    sql`create index if not exists ${index('principal')} on ${on} (principal, id, expires_at) where principal is not null`,
    sql`create index if not exists ${index('expires_at')} on ${on} (expires_at)`
  ]
}
