import type { Compilable, ExpressionBuilder, Kysely, QueryResult } from 'kysely'
import type { Database } from './database.js'
import { columnNames, type Row, type Tables } from './row.js'

export type Values = Partial<Row> & { now?: number, before?: Row['version'], limit?: number }

/** Runs a statement. Returns the number of rows written. */
type Write = (values: Values) => Promise<number>

/** The store's statements on one row or one principal. They are compiled once and run with new values each time. */
export type Statements = ReturnType<typeof prepareStatements>

/** Returns a parameter to compile into a statement. Its value is its name, which `prepare` replaces at each call. */
const parameter = <N extends keyof Values>(name: N): NonNullable<Values[N]> => name as never

const changing = { payload: parameter('payload'), version: parameter('version'), expires_at: parameter('expires_at'), principal: parameter('principal') }
const columns = { id: parameter('id'), ...changing }

export function prepareStatements ({ db, dialect, table }: Database) {
  const live = db.selectFrom(table).where('expires_at', '>', parameter('now'))
  const whole = live.select(columnNames)
  const update = db.updateTable(table).where('id', '=', parameter('id')).where('expires_at', '>', parameter('now'))
  const remove = db.deleteFrom(table).where('id', '=', parameter('id'))
  const removeLive = remove.where('expires_at', '>', parameter('now'))
  return {
    read: rows(db, whole.where('id', '=', parameter('id'))),
    find: rows(db, live.select('id').where('id', '=', parameter('id'))),
    list: rows(db, whole.where('principal', '=', parameter('principal')).where('id', '>', parameter('id')).orderBy('id').limit(parameter('limit'))),
    count: rows(db, live.select((eb) => eb.fn.countAll().as('n')).where('principal', '=', parameter('principal'))),
    create: dialect === 'mysql' ? insertOrReplaceExpired(db, table) : upsertExpired(db, table),
    touch: write(db, update.set({ expires_at: parameter('expires_at') }).where('expires_at', '<', parameter('expires_at'))),
    update: write(db, update.set((eb) => ({ ...changing, expires_at: laterExpiry(eb) })).where('version', '=', parameter('before'))),
    end: write(db, removeLive.where('version', '=', parameter('before'))),
    deleteLive: write(db, removeLive),
    delete: write(db, remove)
  }
}

/** Returns the later of the stored and the new expiry. The function for this has another name in each database. */
function laterExpiry (eb: ExpressionBuilder<Tables, string>) {
  return eb.case().when('expires_at', '>', parameter('expires_at')).then(eb.ref('expires_at')).else(parameter('expires_at')).end()
}

function upsertExpired (db: Kysely<Tables>, table: string): Write {
  return write(db, db.insertInto(table).values(columns).onConflict((conflict) => conflict
    .column('id').doUpdateSet(changing).where(`${table}.expires_at`, '<=', parameter('now'))))
}

/** Inserts a row or replaces an expired one. MySQL's upsert has no condition and does not report whether it kept the old row. */
function insertOrReplaceExpired (db: Kysely<Tables>, table: string): Write {
  const insert = write(db, db.insertInto(table).values(columns))
  const replace = write(db, db.updateTable(table).set(changing).where('id', '=', parameter('id')).where('expires_at', '<=', parameter('now')))
  return async (values) => {
    try {
      return await insert(values)
    } catch (error) {
      if (!isDuplicate(error)) throw error
      return await replace(values)
    }
  }
}

function isDuplicate (error: unknown): boolean {
  return error instanceof Error && (('errno' in error && error.errno === 1062) || ('code' in error && error.code === 'ER_DUP_ENTRY'))
}

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
  if (numAffectedRows === undefined) throw new Error('SqlStore: the Kysely dialect does not report how many rows a statement wrote. Use a dialect that sets numAffectedRows')
  return Number(numAffectedRows)
}
