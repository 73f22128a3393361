import { type Compilable, type Kysely, type QueryResult, sql } from 'kysely'
import type { Database } from './database.js'
import { columnNames, type Row, type Tables } from './row.js'

/** The values of a call, each under the name of its parameter. */
export type Values = Partial<Row> & { now?: number, before?: Row['version'], limit?: number }

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
export function affected ({ numAffectedRows }: QueryResult<unknown>): number {
  if (numAffectedRows !== undefined) return Number(numAffectedRows)
  throw new Error('SqlStore: the Kysely dialect does not report how many rows a statement wrote. Use a dialect that sets numAffectedRows')
}
