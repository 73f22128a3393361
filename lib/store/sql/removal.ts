import { setImmediate } from 'node:timers/promises'
import type { Expression, ExpressionBuilder, Kysely, SqlBool } from 'kysely'
import type { Dialect } from './dialect.js'
import type { Row, Tables } from './row.js'
import { affected } from './statements.js'

/** How many rows one statement deletes at most: few enough to hold no lock for long and to fit every limit of parameters. */
const BATCH = 500

export interface Removal {
  /** Deletes what has expired, batch by batch, until nothing is left or `stopped`. Resolves how many rows there were. */
  expired (now: number, stopped: () => boolean): Promise<number>
  /**
   * Deletes the rows of a principal, all but one id, until none is found. Resolves how many live ones there were.
   * @throws when the same rows are found again and again, and none of them can be deleted
   */
  ofPrincipal (principal: string, except: string, now: number): Promise<number>
}

type Condition = (eb: ExpressionBuilder<Tables, string>) => Expression<SqlBool>

/**
 * Deletes many rows without deadlocks between processes: a plain read finds them, then they are deleted by their ids,
 * so that every statement of every process locks rows by the primary key, in the order of the ids.
 */
export function createRemoval (db: Kysely<Tables>, table: string, dialect: Dialect): Removal {
  const inOrder = (ids: readonly string[], condition: Condition) => db.selectFrom(table).select('id')
    .where('id', 'in', ids).where(condition).orderBy('id').forUpdate()

  const remove = async (ids: readonly string[], condition: Condition, skipLocked: boolean): Promise<number> => {
    if (ids.length === 0) return 0
    // PostgreSQL alone promises no order of locks for a list. A lock that another process holds is its sweep of the same rows.
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
        // Nothing removed of what was found: another process is at it.
        if (found.length < BATCH || removed === 0) break
        // A driver that works without waiting would not let requests through between two batches.
        await setImmediate()
      }
      return total
    },

    async ofPrincipal (principal, except, now) {
      const condition: Condition = (eb) => eb(eb.fn.coalesce('principal', eb.val('')), '=', principal)
      const isLive = ({ expires_at: expiresAt }: { expires_at: unknown }): boolean => Number(expiresAt) > now
      const seen = new Set<string>()
      let live = 0
      while (true) {
        const found = await db.selectFrom(table).select(['id', 'expires_at'])
          .where('principal', '=', principal).where('id', '<>', except).limit(BATCH).execute()
        if (found.length === 0) return live
        // What looks expired by this process's clock may be live by another's, and must go all the same.
        const ended = await remove(idsOf(found.filter(isLive)), condition, false)
        const expired = await remove(idsOf(found.filter((row) => !isLive(row))), condition, false)
        // A row that another process deletes meanwhile is not found again, and one of a session that it renews is new.
        if (ended + expired === 0 && found.every(({ id }) => seen.has(id))) throw stuck(table)
        for (const { id } of found) seen.add(id)
        live += ended
      }
    }
  }
}

function stuck (table: string): Error {
  return new Error(`SqlStore: rows of "${table}" are found and cannot be deleted: because of a trigger or row security, or of reads that go to a replica`)
}

function idsOf (rows: ReadonlyArray<Pick<Row, 'id'>>): string[] {
  return rows.map((row) => row.id)
}
