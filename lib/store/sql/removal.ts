import { setImmediate } from 'node:timers/promises'
import type { Expression, ExpressionBuilder, Kysely, SqlBool } from 'kysely'
import type { Dialect } from './dialect.js'
import type { Row, Tables } from './row.js'
import { affected } from './statements.js'

/** How many rows one statement reads or deletes at most: few enough to hold no lock for long and to fit every limit of parameters. */
export const BATCH = 500

export interface Removal {
  /** Deletes expired rows, batch by batch, until none is left or `stopped` returns true. Resolves how many it deleted. */
  expired (now: number, stopped: () => boolean): Promise<number>
  /**
   * Deletes the rows of a principal but `except`, batch by batch in the order of the ids, so that it comes to an end while
   * other processes create rows. Resolves how many of them were live.
   * @throws if rows are found again after they were deleted
   */
  ofPrincipal (principal: string, except: string, now: number): Promise<number>
}

type Condition = (eb: ExpressionBuilder<Tables, string>) => Expression<SqlBool>

/**
 * Returns what deletes many rows without deadlocks between processes: a plain read finds them, then they are deleted by
 * their ids. Every statement of every process locks rows by the primary key, in the order of the ids.
 */
export function createRemoval (db: Kysely<Tables>, table: string, dialect: Dialect): Removal {
  const inOrder = (ids: readonly string[], condition: Condition) => db.selectFrom(table).select('id')
    .where('id', 'in', ids).where(condition).orderBy('id').forUpdate()

  const remove = async (ids: readonly string[], condition: Condition, skipLocked: boolean): Promise<number> => {
    if (ids.length === 0) return 0
    // PostgreSQL alone promises no order of locks for a list. A row that another process has locked is being swept by it.
    const locked = skipLocked ? inOrder(ids, condition).skipLocked() : inOrder(ids, condition)
    const query = db.deleteFrom(table)
    const rows = dialect === 'postgres' ? query.where('id', 'in', locked) : query.where('id', 'in', ids).where(condition)
    return affected(await db.executeQuery(rows.compile()))
  }

  return {
    async expired (now, stopped) {
      // COALESCE keeps MySQL from finding the rows by this column's index, which would lock them in another order.
      const condition: Condition = (eb) => eb(eb.fn.coalesce('expires_at', eb.lit(0)), '<=', now)
      let total = 0
      while (!stopped()) {
        const found = await db.selectFrom(table).select('id').where('expires_at', '<=', now).orderBy('expires_at').limit(BATCH).execute()
        const removed = await remove(idsOf(found), condition, true)
        total += removed
        // None of the rows removed: another process is deleting them.
        if (found.length < BATCH || removed === 0) break
        // A driver that never waits would let no request through between two batches.
        await setImmediate()
      }
      return total
    },

    async ofPrincipal (principal, except, now) {
      const condition: Condition = (eb) => eb(eb.fn.coalesce('principal', eb.val('')), '=', principal)
      const isLive = ({ expires_at: expiresAt }: { expires_at: unknown }): boolean => Number(expiresAt) > now
      const all = db.selectFrom(table).select(['id', 'expires_at']).where('principal', '=', principal).where('id', '<>', except)
      let seen = new Set<string>()
      let total = 0
      for (let after = ''; ;) {
        const found = await all.where('id', '>', after).orderBy('id').limit(BATCH).execute()
        // A row that looks expired by this process's clock may be live by another's: it is deleted, and not counted.
        const live = await remove(idsOf(found.filter(isLive)), condition, false)
        const removed = live + await remove(idsOf(found.filter((row) => !isLive(row))), condition, false)
        total += live
        // Fewer removed than found: another process deleted the others, or they cannot be deleted. A second look tells.
        if (removed < found.length) {
          if (removed === 0 && found.every(({ id }) => seen.has(id))) throw stuck(table)
          seen = new Set(idsOf(found))
        } else {
          if (found.length < BATCH) return total
          after = found.at(-1)?.id ?? after
        }
        await setImmediate()
      }
    }
  }
}

function stuck (table: string): Error {
  return new Error(`SqlStore: rows of "${table}" are found and cannot be deleted: a trigger or row security keeps them, or reads go to a replica`)
}

function idsOf (rows: ReadonlyArray<Pick<Row, 'id'>>): string[] {
  return rows.map((row) => row.id)
}
