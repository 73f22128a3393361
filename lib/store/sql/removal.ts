import { setImmediate } from 'node:timers/promises'
import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'
import type { Database } from './database.js'
import type { Row, Tables } from './row.js'
import { affected } from './statements.js'

/** How many rows one statement reads or deletes at most: few enough to hold no lock for long and to fit every limit of parameters. */
export const BATCH = 500

type Condition = (eb: ExpressionBuilder<Tables, string>) => Expression<SqlBool>

/**
 * Deletes many rows without deadlocks between processes: a plain read finds them, then they are deleted by their ids.
 * Every statement of every process locks rows by the primary key, in the order of the ids.
 */
export class Removal {
  readonly #database: Database
  readonly #table: string

  constructor (database: Database, table: string) {
    this.#database = database
    this.#table = table
  }

  /** Deletes expired rows, batch by batch, until none is left or `stopped` returns true. Resolves how many it deleted. */
  async expired (now: number, stopped: () => boolean): Promise<number> {
    // COALESCE keeps MySQL from finding the rows by this column's index, which would lock them in another order.
    const condition: Condition = (eb) => eb(eb.fn.coalesce('expires_at', eb.lit(0)), '<=', now)
    const all = this.#database.db.selectFrom(this.#table).select('id')
      .where('expires_at', '<=', now).orderBy('expires_at').limit(BATCH)
    let total = 0
    while (!stopped()) {
      const found = await all.execute()
      const removed = await this.#remove(found, condition, true)
      total += removed
      // None of the rows removed: another process is deleting them.
      if (found.length < BATCH || removed === 0) break
      // A driver that never waits would let no request through between two batches.
      await setImmediate()
    }
    return total
  }

  /**
   * Deletes the rows of a principal but `except`, or all rows, batch by batch in the order of the ids, so that it comes to an
   * end while other processes create rows. Resolves how many of them were live.
   * @throws if rows are found again after they were deleted
   */
  async ofPrincipal (principal: string | undefined, except: string, now: number): Promise<number> {
    const condition: Condition = (eb) => principal === undefined ? eb('id', '<>', '') : eb(eb.fn.coalesce('principal', eb.val('')), '=', principal)
    const all = this.#database.db.selectFrom(this.#table).select(['id', 'expires_at'])
      .$if(principal !== undefined, (query) => query.where('principal', '=', principal as string))
      .where('id', '<>', except).orderBy('id').limit(BATCH)
    let seen = new Set<string>()
    let total = 0
    for (let after = ''; ;) {
      const found = await all.where('id', '>', after).execute()
      // A row that looks expired by this process's clock may be live by another's: it is deleted, and not counted.
      const isLive = (row: Pick<Row, 'expires_at'>): boolean => Number(row.expires_at) > now
      const live = await this.#remove(found.filter(isLive), condition)
      const removed = live + await this.#remove(found.filter((row) => !isLive(row)), condition)
      total += live
      // Fewer removed than found: another process deleted the others, or they cannot be deleted. A second look tells.
      if (removed < found.length) {
        if (removed === 0 && found.every(({ id }) => seen.has(id))) throw stuck(this.#table)
        seen = new Set(found.map(({ id }) => id))
      } else {
        if (found.length < BATCH) return total
        after = found.at(-1)?.id ?? after
      }
      await setImmediate()
    }
  }

  async #remove (rows: ReadonlyArray<Pick<Row, 'id'>>, condition: Condition, skipLocked = false): Promise<number> {
    if (rows.length === 0) return 0
    const { db, dialect } = this.#database
    const ids = rows.map(({ id }) => id)
    const query = db.deleteFrom(this.#table)
    if (dialect !== 'postgres') return affected(await db.executeQuery(query.where('id', 'in', ids).where(condition).compile()))
    // PostgreSQL promises no order of locks for a list. A row that another process has locked is being swept by it.
    const locked = db.selectFrom(this.#table).select('id').where('id', 'in', ids).where(condition).orderBy('id').forUpdate()
    return affected(await db.executeQuery(query.where('id', 'in', skipLocked ? locked.skipLocked() : locked).compile()))
  }
}

function stuck (table: string): Error {
  return new Error(`SqlStore: rows of "${table}" are found and cannot be deleted: a trigger or row security keeps them, or reads go to a replica`)
}
