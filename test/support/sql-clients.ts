import { createRequire } from 'node:module'
import type { Test } from 'tap'
import type { SqliteDatabase } from 'fastify-openapi-session/sql'
import { openWasm } from './sqlite.js'

type OpenSqlite = (t: Test) => SqliteDatabase

interface Closable extends SqliteDatabase {
  close (): void
}

const require = createRequire(import.meta.url)
const [major = 0] = process.versions.node.split('.').map(Number)

/** True where better-sqlite3 13 and node:sqlite run. Elsewhere stand-ins over WebAssembly have their shapes. */
export const hasNativeSqlite = major >= 22

function opened (t: Test, database: Closable): SqliteDatabase {
  t.teardown(() => database.close())
  return database
}

/** A database in memory of better-sqlite3, whose package brings its binary. It crashes before Node.js 22. */
export const openBetterSqlite3: OpenSqlite = (t) => {
  if (!hasNativeSqlite) return standIn(t)
  const Database = require('better-sqlite3') as typeof import('better-sqlite3')
  return opened(t, new Database(':memory:'))
}

/** The same, with 64-bit integers. */
export const openBetterSqlite3WithBigInts: OpenSqlite = (t) => {
  const database = openBetterSqlite3(t) as SqliteDatabase & { defaultSafeIntegers?: () => void }
  database.defaultSafeIntegers?.()
  return database
}

type DatabaseSync = new (file: string, options?: object) => Closable

/** A database in memory of node:sqlite, which Node.js has from version 22 on. */
export const openNodeSqlite: OpenSqlite = (t) => openDatabaseSync(t, {})
export const openNodeSqliteWithBigInts: OpenSqlite = (t) => openDatabaseSync(t, { readBigInts: true })

function openDatabaseSync (t: Test, options: object): SqliteDatabase {
  if (hasNativeSqlite) {
    const { DatabaseSync } = require('node:sqlite') as { DatabaseSync: DatabaseSync }
    return opened(t, new DatabaseSync(':memory:', options))
  }
  return standIn(t)
}

/** A database whose statements take their values one by one, as those of both packages do. */
function standIn (t: Test): SqliteDatabase {
  const database = openWasm()
  return opened(t, {
    close: () => database.close(),
    exec () {},
    prepare: (sql) => {
      const statement = database.prepare(sql)
      return { all: (...values: unknown[]) => statement.all(values), run: (...values: unknown[]) => statement.run(values) }
    }
  })
}
