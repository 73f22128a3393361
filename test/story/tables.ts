import { createTable, type SqlDatabase, SqlStore } from 'fastify-openapi-session/sql'

let worlds = 0

/** Makes the store of each story: on a table of its own, in one database. */
export function tablesOf (db: SqlDatabase): () => Promise<SqlStore> {
  return async () => {
    const table = `world${worlds++}`
    await createTable(db, table)
    return new SqlStore({ db, table })
  }
}
