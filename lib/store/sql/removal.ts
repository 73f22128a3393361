import { setImmediate } from 'node:timers/promises'
import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'
import type { Database } from './database.js'
import type { Tables } from './row.js'
import { affected } from './statements.js'

/** How many rows one statement reads or deletes at most: few enough to hold no lock for long and to fit every limit of parameters. */
export const BATCH = 500

/*
 * Many rows are deleted without deadlocks between processes: a plain read finds them, then they are deleted by their ids.
 * Every statement of every process locks rows by the primary key, in the order of the ids.
 */

type Condition = (eb: ExpressionBuilder<Tables, string>) => Expression<SqlBool>

/** Deletes expired rows, batch by batch, until none is left or `stopped` returns true. Resolves how many it deleted. */
export async function removeExpired (database: Database, now: number, stopped: () => boolean): Promise<number> {
  // COALESCE keeps MySQL from finding the rows by this column's index, which would lock them in another order.
  const condition: Condition = (eb) => eb(eb.fn.coalesce('expires_at', eb.lit(0)), '<=', now)
  const expired = database.db.selectFrom(database.table).select('id').where('expires_at', '<=', now).orderBy('expires_at').limit(BATCH)
  for (let total = 0; ;) {
    const found = stopped() ? [] : await expired.execute()
    const removed = await remove(database, found.map(({ id }) => id), condition, true)
    total += removed
    // If none of the rows was removed, another process is deleting them.
    if (found.length < BATCH || removed === 0) return total
    // A driver that never waits would let no request through between two batches.
    await setImmediate()
  }
}

/**
 * Deletes the rows of a principal but `except`, or all rows, batch by batch in the order of the ids, so that it comes to an
 * end while other processes create rows. Resolves how many of them were live.
 * @throws if rows are still there after they were deleted
 */
export async function removeOf (database: Database, principal: string | undefined, except: string, now: number): Promise<number> {
  const { db, table } = database
  const condition: Condition = (eb) => principal === undefined ? eb('id', '<>', '') : eb(eb.fn.coalesce('principal', eb.val('')), '=', principal)
  const all = db.selectFrom(table).select(['id', 'expires_at'])
    .$if(principal !== undefined, (query) => query.where('principal', '=', principal as string))
    .where('id', '<>', except).orderBy('id').limit(BATCH)
  for (let after = '', total = 0; ;) {
    const found = await all.where('id', '>', after).execute()
    const ids = found.map(({ id }) => id)
    const live = new Set(found.filter((row) => Number(row.expires_at) > now).map(({ id }) => id))
    const removed = await remove(database, [...live], condition)
    total += removed
    // A row that looks expired by this process's clock may be live by another's: it is deleted, and not counted.
    const others = await remove(database, ids.filter((id) => !live.has(id)), condition)
    // Fewer removed than found: another process deleted the others, or they cannot be deleted.
    if (removed + others < found.length && (await all.where('id', 'in', ids).execute()).length > 0) {
      throw new Error(`SqlStore: rows of "${table}" are found and cannot be deleted: a trigger or row security keeps them, or reads go to a replica`)
    }
    if (found.length < BATCH) return total
    after = ids.at(-1) ?? after
    await setImmediate()
  }
}

async function remove (database: Database, ids: readonly string[], condition: Condition, skipLocked = false): Promise<number> {
  const { db, dialect, table } = database
  if (ids.length === 0) return 0
  const query = db.deleteFrom(table)
  if (dialect !== 'postgres') return affected(await db.executeQuery(query.where('id', 'in', ids).where(condition).compile()))
  // PostgreSQL promises no order of locks for a list. A row that another process has locked is being swept by it.
  const locked = db.selectFrom(table).select('id').where('id', 'in', ids).where(condition).orderBy('id').forUpdate()
  return affected(await db.executeQuery(query.where('id', 'in', skipLocked ? locked.skipLocked() : locked).compile()))
}
