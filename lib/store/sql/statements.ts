import { setImmediate } from 'node:timers/promises'
import { type Compilable, type Expression, type Kysely, type QueryResult, sql, type SqlBool } from 'kysely'
import type { Database } from './database.js'
import { columnNames, type Row, type Tables } from './row.js'

/** The values of a call, each under the name of its parameter. */
type Values = Partial<Row> & { now?: number, before?: Row['version'], limit?: number }

/** Runs a statement. Returns the number of rows written. */
type Write = (values: Values) => Promise<number>

/** The store's statements on one row or one principal. They are compiled once and run with new values each time. */
export type Statements = ReturnType<typeof prepareStatements>

/** The parameters to compile into statements. The value of each is its name, which `prepare` replaces at each call. */
const columns = Object.fromEntries(columnNames.map((name) => [name, name])) as never as Row & { principal: string }
const { id, ...changing } = columns
const { expires_at: expiresAt, principal } = changing
const [now, before, limit] = ['now', 'before', 'limit'] as never as [number, Row['version'], number]

export function prepareStatements ({ db, dialect, table }: Database) {
  const insert = db.insertInto(table).values(columns)
  const replace = db.updateTable(table).set(changing).where('id', '=', id).where('expires_at', '<=', now)
  const live = db.selectFrom(table).where('expires_at', '>', now)
  const whole = live.select(columnNames)
  const update = db.updateTable(table).where('id', '=', id).where('expires_at', '>', now)
  const remove = db.deleteFrom(table).where('id', '=', id)
  const removeLive = remove.where('expires_at', '>', now)
  return {
    read: rows(db, whole.where('id', '=', id)),
    list: rows(db, whole.where('principal', '=', principal).where('id', '>', id).orderBy('id').limit(limit)),
    count: rows(db, live.select((eb) => eb.fn.countAll().as('n')).where('principal', '=', principal)),
    create: dialect === 'mysql'
      ? insertOrReplace(write(db, insert), write(db, replace))
      : write(db, insert.onConflict((conflict) => conflict.column('id').doUpdateSet(changing).where(`${table}.expires_at`, '<=', now))),
    touch: write(db, update.set({ expires_at: expiresAt }).where('expires_at', '<', expiresAt)),
    // Keeps the later expiry. The function for this has another name in each database.
    update: write(db, update.set({ ...changing, expires_at: sql`case when expires_at > ${expiresAt} then expires_at else ${expiresAt} end` })
      .where('version', '=', before)),
    end: write(db, removeLive.where('version', '=', before)),
    deleteLive: write(db, removeLive),
    deleteExpired: write(db, remove.where('expires_at', '<=', now))
  }
}

/** Inserts a row or replaces an expired one. MySQL's upsert has no condition and does not report whether it kept the old row. */
const insertOrReplace = (insert: Write, replace: Write): Write => (values) =>
  insert(values).catch(async (error: { errno?: unknown, code?: unknown }) => {
    if (error.errno !== 1062 && error.code !== 'ER_DUP_ENTRY') throw error
    return await replace(values)
  })

function prepare<R, A> (db: Kysely<Tables>, query: Compilable<R>, as: (result: QueryResult<R>) => A) {
  const compiled = query.compile()
  return async (values: Values): Promise<A> => {
    const parameters = compiled.parameters.map((name) => values[name as keyof Values])
    return as(await db.executeQuery<R>({ ...compiled, parameters }))
  }
}

const rows = <R>(db: Kysely<Tables>, query: Compilable<R>) => prepare(db, query, (result) => result.rows)
const write = (db: Kysely<Tables>, query: Compilable) => prepare(db, query, affected)

/** Returns the number of rows that a statement wrote. @throws if the Kysely dialect does not report it */
function affected ({ numAffectedRows }: QueryResult<unknown>): number {
  if (numAffectedRows !== undefined) return Number(numAffectedRows)
  throw new Error('SqlStore: the Kysely dialect does not report how many rows a statement wrote. Use a dialect that sets numAffectedRows')
}

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
