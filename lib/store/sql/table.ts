import { type Kysely, type RawBuilder, sql } from 'kysely'
import { type Dialect, type SqlDatabase, useDatabase } from './database.js'
import { columnNames, type Tables } from './row.js'

/**
 * Creates the table and its indexes unless they exist. It may be called at every start, from several processes at once,
 * and by a role that may not create anything if the table exists. `docs/stores/sql.md` has the same as plain SQL.
 *
 * @param table as in the options of `SqlStore`: `sessions` by default, with a schema as in `auth.sessions`
 * @throws `FST_SESSION_OPTIONS` when `db` is not a database that `SqlStore` takes
 */
export async function createTable (db: SqlDatabase, table = 'sessions'): Promise<void> {
  const database = useDatabase(db, table, 'createTable')
  try {
    for (const statement of definition(database.dialect, table)) {
      // IF NOT EXISTS is not atomic in PostgreSQL, where one of two concurrent runs may fail.
      await statement.execute(database.db).catch(() => statement.execute(database.db))
    }
  } catch (error) {
    if (!isDenied(error) || !await isThere(database.db, table)) throw error
  }
}

/** Databases look at the right to create before they look for the table. */
function isDenied (error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return code === '42501' || code === 'ER_TABLEACCESS_DENIED_ERROR'
}

async function isThere (db: Kysely<Tables>, table: string): Promise<boolean> {
  return await db.selectFrom(table).select(columnNames).limit(0).execute()
    .then(() => true, () => false)
}

/**
 * The types of a text that is in an index, of a payload, and of an instant. Collation "C" compares bytes: exact, fast, and no
 * index breaks when the system's locales change.
 */
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
  // In SQLite the schema belongs to the name of the index: the table is in the same one.
  const index = (column: string) => dialect === 'sqlite' ? sql.table(`${table}_${column}`) : sql.id(`${bare}_${column}`)
  const on = dialect === 'sqlite' ? sql.id(bare) : name
  return [
    sql`create table if not exists ${name} (${columns})`,
    sql`create index if not exists ${index('principal')} on ${on} (principal, id, expires_at) where principal is not null`,
    sql`create index if not exists ${index('expires_at')} on ${on} (expires_at)`
  ]
}
