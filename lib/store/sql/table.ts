import { type Kysely, type RawBuilder, sql } from 'kysely'
import { type SqlDatabase, withTables } from './database.js'
import { type Dialect, dialectOf } from './dialect.js'
import type { Tables } from './row.js'

/**
 * Creates the table and its indexes unless they exist. It may be called at every start, from several processes at once,
 * and by a role that may not create anything if the table exists. `docs/stores/sql.md` has the same as plain SQL.
 *
 * @param table as in the options of `SqlStore`: `sessions` by default, with a schema as in `auth.sessions`
 * @throws `FST_SESSION_OPTIONS` when `db` is not a database that `SqlStore` takes
 */
export async function createTable (db: SqlDatabase, table = 'sessions'): Promise<void> {
  const tables = withTables(db, 'createTable')
  try {
    for (const statement of definitions[dialectOf(tables, 'createTable')](table)) await twice(statement, tables)
  } catch (error) {
    if (!isDenied(error) || !await isThere(tables, table)) throw error
  }
}

/** Runs a statement again if it fails: IF NOT EXISTS is not atomic in PostgreSQL, where one of two concurrent runs may fail. */
async function twice (statement: RawBuilder<unknown>, db: Kysely<Tables>): Promise<void> {
  await statement.execute(db).catch(() => statement.execute(db))
}

/** Databases look at the right to create before they look for the table. */
function isDenied (error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === '42501' || code === 'ER_TABLEACCESS_DENIED_ERROR'
}

async function isThere (db: Kysely<Tables>, table: string): Promise<boolean> {
  return await db.selectFrom(table).select(['id', 'payload', 'version', 'expires_at', 'principal']).limit(0).execute()
    .then(() => true, () => false)
}

const bare = (table: string): string => table.split('.').at(-1) as string

const indexName = (table: string, column: string): RawBuilder<unknown> => sql.id(`${bare(table)}_${column}`)

const definitions: Record<Dialect, (table: string) => Array<RawBuilder<unknown>>> = {
  // Collation "C" compares bytes: exact, fast, and no index breaks when the system's locales change.
  postgres: (table) => [
    sql`create table if not exists ${sql.table(table)} (
      id text collate "C" not null primary key,
      payload text not null,
      version integer not null,
      expires_at bigint not null,
      principal text collate "C"
    )`,
    sql`create index if not exists ${indexName(table, 'principal')} on ${sql.table(table)} (principal, id, expires_at) where principal is not null`,
    sql`create index if not exists ${indexName(table, 'expires_at')} on ${sql.table(table)} (expires_at)`
  ],
  mysql: (table) => [
    sql`create table if not exists ${sql.table(table)} (
      id varchar(255) not null primary key,
      payload longtext not null,
      version int not null,
      expires_at bigint not null,
      principal varchar(255),
      index ${indexName(table, 'principal')} (principal, id, expires_at),
      index ${indexName(table, 'expires_at')} (expires_at)
    ) engine = InnoDB character set utf8mb4 collate utf8mb4_bin`
  ],
  sqlite: (table) => [
    sql`create table if not exists ${sql.table(table)} (
      id text not null primary key,
      payload text not null,
      version integer not null,
      expires_at integer not null,
      principal text
    )`,
    // The schema belongs to the name of the index here: the table is in the same one.
    sql`create index if not exists ${sql.table(`${table}_principal`)} on ${sql.id(bare(table))} (principal, id, expires_at) where principal is not null`,
    sql`create index if not exists ${sql.table(`${table}_expires_at`)} on ${sql.id(bare(table))} (expires_at)`
  ]
}
