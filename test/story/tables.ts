import type { Kysely } from 'kysely'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'

/** Makes the store of each story: on a table of its own, in one database. */
export function tablesOf (db: Kysely<any>): () => Promise<SqlStore> {
  let worlds = 0
  return async () => {
    const table = `world${worlds++}`
    await createTable(db, table)
    return new SqlStore({ db, table })
  }
}
