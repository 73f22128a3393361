import { type RawBuilder, sql } from 'kysely'
import { type Dialect, type SqlDatabase, useDatabase } from './database.js'
import { columnNames } from './row.js'

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

/** The column types of an indexed text, a payload and an instant. Collation "C" compares bytes and depends on no locale. */
const types: Record<Dialect, readonly [string, string, string]> = {
  postgres: ['text collate "C"', 'text', 'bigint'],
  mysql: ['varchar(255)', 'longtext', 'bigint'],
  sqlite: ['text', 'text', 'integer']
}

function definition (dialect: Dialect, table: string): Array<RawBuilder<unknown>> {
  const [text, payload, instant] = types[dialect].map((type) => sql.raw(type))
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
