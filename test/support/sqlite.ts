import { createRequire, isBuiltin } from 'node:module'
import { type LogEvent, Kysely, SqliteDialect } from 'kysely'
import wasm from 'node-sqlite3-wasm'

type Database = ReturnType<Extract<ConstructorParameters<typeof SqliteDialect>[0]['database'], () => unknown>> extends Promise<infer D> ? D : never
type Values = Parameters<wasm.Database['all']>[1]

/** What is used of the module; the types of Node.js 20 do not know it. */
interface NodeSqlite {
  readonly DatabaseSync: new (file: string) => {
    close (): void
    prepare (sql: string): {
      all (...values: unknown[]): unknown[]
      run (...values: unknown[]): { changes: number, lastInsertRowid: number }
    }
  }
}

export interface KyselyOptions {
  readonly log?: (event: LogEvent) => void
}

const answersRows = /^\s*(select|pragma|explain|with)\b/i

/** SQLite in WebAssembly, behind what Kysely asks of a driver. Statements are prepared for each run, as they must be freed by hand. */
export function openWasm (file = ':memory:'): Database {
  const database = new wasm.Database(file)
  // No test cuts the power.
  database.run('pragma synchronous = off')
  return {
    close: () => database.close(),
    prepare: (sql) => ({
      reader: answersRows.test(sql),
      all: (values) => database.all(sql, values as Values),
      run: (values) => database.run(sql, values as Values),
      iterate: (values) => database.all(sql, values as Values).values()
    })
  }
}

/** SQLite of Node.js itself, 22 and later; `undefined` before. */
export function openNodeSqlite (file = ':memory:'): Database | undefined {
  if (!isBuiltin('node:sqlite')) return undefined
  const module: NodeSqlite = createRequire(import.meta.url)('node:sqlite')
  const database = new module.DatabaseSync(file)
  database.prepare('pragma synchronous = off').run()
  database.prepare('pragma busy_timeout = 240000').all()
  return {
    close: () => database.close(),
    prepare: (sql) => {
      const statement = database.prepare(sql)
      return {
        reader: answersRows.test(sql),
        all: (values) => statement.all(...values),
        run: (values) => statement.run(...values),
        iterate: (values) => statement.all(...values).values()
      }
    }
  }
}

/** A Kysely instance on SQLite; destroy it when done. */
export function sqliteKysely (database: Database = openWasm(), options: KyselyOptions = {}): Kysely<unknown> {
  return new Kysely({ dialect: new SqliteDialect({ database }), ...options })
}
