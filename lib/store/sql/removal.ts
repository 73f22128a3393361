import { setImmediate } from 'node:timers/promises'
import { type Expression, sql, type SqlBool } from 'kysely'
import type { Database } from './database.js'
import type { Row } from './row.js'
import { affected } from './statements.js'

/** The most rows that one statement reads or deletes, so that it holds locks briefly and fits the limits on parameters. */
export const BATCH = 500

/*
 * To avoid deadlocks between processes, many rows are deleted in two steps: a plain read finds them, and then they are deleted
 * by their ids. Every statement locks rows by the primary key, in the order of the ids.
 */

/** Deletes expired rows in batches, until none is left or `stopped` returns true. Returns the number of deleted rows. */
export async function removeExpired (database: Database, now: number, stopped: () => boolean): Promise<number> {
  const expired = database.db.selectFrom(database.table).select('id').where('expires_at', '<=', now).orderBy('expires_at').limit(BATCH)
  // COALESCE keeps MySQL from using the index of this column, which would lock the rows in another order.
  const isExpired = sql<SqlBool>`coalesce(expires_at, 0) <= ${now}`
  // Lets requests run between two batches, even with a synchronous driver.
  for (let total = 0; ; await setImmediate()) {
    const found = stopped() ? [] : await expired.execute()
    const removed = await remove(database, found, isExpired, true)
    total += removed
    // If none of the rows was removed, another process is deleting them.
    if (found.length < BATCH || removed === 0) return total
  }
}

/**
 * Deletes all rows of a principal except the row with the id `except`, or all rows of the table without a principal. Works in
 * batches in the order of the ids, so that it ends even if other processes keep creating rows. Returns how many rows were live.
 * @throws if the database does not delete the rows
 */
export async function removeOf (database: Database, principal: string | undefined, except: string, now: number): Promise<number> {
  const { db, table } = database
  const isOwned = principal === undefined ? sql<SqlBool>`id <> ''` : sql<SqlBool>`coalesce(principal, '') = ${principal}`
  const all = db.selectFrom(table).select(['id', 'expires_at'])
    .$if(principal !== undefined, (query) => query.where('principal', '=', principal as string))
    .where('id', '<>', except).orderBy('id').limit(BATCH)
  for (let after = '', total = 0; ; await setImmediate()) {
    const found = await all.where('id', '>', after).execute()
    const live = await remove(database, found.filter((row) => Number(row.expires_at) > now), isOwned)
    total += live
    // A row that is expired by the clock of this process may be live by the clock of another. It is deleted but not counted.
    const others = await remove(database, found.filter((row) => !(Number(row.expires_at) > now)), isOwned)
    // If fewer rows were removed than found, another process deleted the others, or they cannot be deleted.
    if (live + others < found.length && (await all.where('id', 'in', found.map(({ id }) => id)).execute()).length > 0) {
      throw new Error(`SqlStore: rows of "${table}" cannot be deleted. A trigger or row security keeps them, or reads go to a replica`)
    }
    if (found.length < BATCH) return total
    after = found.at(-1)?.id ?? after
  }
}

async function remove ({ db, dialect, table }: Database, rows: ReadonlyArray<Pick<Row, 'id'>>, condition: Expression<SqlBool>, skipLocked = false) {
  if (rows.length === 0) return 0
  const query = db.deleteFrom(table)
  const ids = rows.map(({ id }) => id)
  if (dialect !== 'postgres') return affected(await db.executeQuery(query.where('id', 'in', ids).where(condition).compile()))
  // Locks the rows in order, which PostgreSQL does not do for a list. The sweep skips rows that another process has locked.
  const locked = db.selectFrom(table).select('id').where('id', 'in', ids).where(condition).orderBy('id').forUpdate()
  return affected(await db.executeQuery(query.where('id', 'in', skipLocked ? locked.skipLocked() : locked).compile()))
}
