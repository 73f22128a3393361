import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import type { Kysely } from 'kysely'
import root, { type Test } from 'tap'
import { mysqlDb, postgresDb } from '../support/connections.js'
import { startMariaDb } from '../support/servers-mariadb.js'
import { startPostgres } from '../support/servers-postgres.js'
import { openWasm, sqliteKysely } from '../support/sqlite.js'
import { type Backend, recorded } from './place.js'

let tables = 0

/** A backend of which each app has a table of its own. */
function sql (name: string, share: number, connect: (t: Test) => Promise<Kysely<any>> | Kysely<any>): Backend {
  return {
    name,
    sealed: false,
    shared: true,
    share,
    async make (t, now) {
      const db = await connect(t)
      const table = `place${tables++}`
      await createTable(db, table)
      const given: string[] = []
      const rows = async (): Promise<unknown[]> => await db.selectFrom(table).selectAll().execute()
      const store = new SqlStore({ db, table, now, sweepInterval: 0 })
      return {
        store: recorded(store, given),
        async leftovers () {
          await store.sweep()
          return await rows()
        },
        another: (now) => recorded(new SqlStore({ db, table, now, sweepInterval: 0 }), given),
        atRest: async () => [...given, ...(await rows()).map((row) => JSON.stringify(row))].join('\n'),
        count: async () => (await rows()).length
      }
    }
  }
}

export const sqlite = sql('sql (SQLite)', 0.15, (t) => {
  const db = sqliteKysely(openWasm())
  t.teardown(() => db.destroy())
  return db
})

/** A server for all tests of a file, started when the first of them asks for it. */
function once (start: () => Promise<Kysely<any>>): () => Promise<Kysely<any>> {
  let started: Promise<Kysely<any>> | undefined
  return async () => {
    started ??= start()
    const db = await started
    return db
  }
}

export const postgres = sql('sql (PostgreSQL)', 0.1, once(async () => postgresDb(root, await startPostgres(root))))

export const mariadb = sql('sql (MariaDB)', 0.1, once(async () => mysqlDb(root, await startMariaDb(root))))
