import { type Kysely, type RawBuilder, sql } from 'kysely'
import { type Dialect, dialectOf, type KyselyInstance, withTables } from './dialect.js'
import type { Tables } from './row.js'

/**
 * Makes the table and its indexes where they are not there yet; harmless to call at every start, from several processes
 * at once. `docs/stores/sql.md` has the same as plain SQL, for those who run their own migrations.
 *
 * @param table as in the options of `SqlStore`: `sessions` by default, with a schema as in `auth.sessions`
 * @throws `FST_SESSION_OPTIONS` when `db` is no Kysely instance or speaks to another kind of database
 */
export async function createTable (db: KyselyInstance, table = 'sessions'): Promise<void> {
  const tables = withTables(db, 'createTable')
  for (const statement of definitions[dialectOf(tables, 'createTable')](table)) await twice(statement, tables)
}

/** IF NOT EXISTS is not atomic in PostgreSQL: of two that create at once, one fails, and finds the thing when it looks again. */
async function twice (statement: RawBuilder<unknown>, db: Kysely<Tables>): Promise<void> {
  await statement.execute(db).catch(() => statement.execute(db))
}

const indexName = (table: string, column: string): RawBuilder<unknown> => sql.id(`${table.split('.').at(-1)}_${column}`)

const definitions: Record<Dialect, (table: string) => Array<RawBuilder<unknown>>> = {
  // Bytes are compared, not letters of a language: exact, fast, and no index breaks when the system's locales change.
  // The hash index takes principals of any length, where a B-tree refuses those over 2,704 bytes, and leaves NULL out.
  postgres: (table) => [
    sql`create table if not exists ${sql.table(table)} (
      id text collate "C" not null primary key,
      payload text not null,
      version integer not null,
      expires_at bigint not null,
      principal text collate "C"
    )`,
    sql`create index if not exists ${indexName(table, 'principal')} on ${sql.table(table)} using hash (principal)`,
    sql`create index if not exists ${indexName(table, 'expires_at')} on ${sql.table(table)} (expires_at)`
  ],
  mysql: (table) => [
    sql`create table if not exists ${sql.table(table)} (
      id varchar(255) not null primary key,
      payload longtext not null,
      version int not null,
      expires_at bigint not null,
      principal mediumtext,
      index ${indexName(table, 'principal')} (principal(191)),
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
    sql`create index if not exists ${indexName(table, 'principal')} on ${sql.table(table)} (principal)`,
    sql`create index if not exists ${indexName(table, 'expires_at')} on ${sql.table(table)} (expires_at)`
  ]
}
