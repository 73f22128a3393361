import type { Compilable, ExpressionBuilder, Kysely, QueryResult } from 'kysely'
import type { Database } from './database.js'
import { columnNames, type Row, type Tables } from './row.js'

/** The values of a statement, by the names of its placeholders. */
export type Values = Partial<Row> & { now?: number, before?: Row['version'], limit?: number }

/** Resolves how many rows were written. */
type Write = (values: Values) => Promise<number>

/** The store's statements on one row or one principal, compiled once; only the values differ from call to call. */
export type Statements = ReturnType<typeof prepareStatements>

/** Returns a placeholder: a parameter whose value is its name. */
const at = <N extends keyof Values>(name: N): NonNullable<Values[N]> => name as never

/** The columns that an update writes, and all columns. */
const changing = { payload: at('payload'), version: at('version'), expires_at: at('expires_at'), principal: at('principal') }
const columns = { id: at('id'), ...changing }

export function prepareStatements ({ db, dialect, table }: Database) {
  const live = db.selectFrom(table).where('expires_at', '>', at('now'))
  const whole = live.select(columnNames)
  const update = db.updateTable(table).where('id', '=', at('id')).where('expires_at', '>', at('now'))
  const remove = db.deleteFrom(table).where('id', '=', at('id'))
  const removeLive = remove.where('expires_at', '>', at('now'))
  return {
    read: rows(db, whole.where('id', '=', at('id'))),
    find: rows(db, live.select('id').where('id', '=', at('id'))),
    list: rows(db, whole.where('principal', '=', at('principal')).where('id', '>', at('id')).orderBy('id').limit(at('limit'))),
    count: rows(db, live.select((eb) => eb.fn.countAll().as('n')).where('principal', '=', at('principal'))),
    create: dialect === 'mysql' ? insertOrReplaceExpired(db, table) : upsertExpired(db, table),
    touch: write(db, update.set({ expires_at: at('expires_at') }).where('expires_at', '<', at('expires_at'))),
    update: write(db, update.set((eb) => ({ ...changing, expires_at: later(eb) })).where('version', '=', at('before'))),
    end: write(db, removeLive.where('version', '=', at('before'))),
    deleteLive: write(db, removeLive),
    delete: write(db, remove)
  }
}

/** Returns the later of the stored expiry and a new one. The databases have no function of one name for it. */
function later (eb: ExpressionBuilder<Tables, string>) {
  return eb.case().when('expires_at', '>', at('expires_at')).then(eb.ref('expires_at')).else(at('expires_at')).end()
}

function upsertExpired (db: Kysely<Tables>, table: string): Write {
  return write(db, db.insertInto(table).values(columns).onConflict((conflict) => conflict
    .column('id').doUpdateSet(changing).where(`${table}.expires_at`, '<=', at('now'))))
}

/** Inserts, and updates an expired row after that: MySQL's upsert takes no condition, and does not tell a kept row from a new one. */
function insertOrReplaceExpired (db: Kysely<Tables>, table: string): Write {
  const insert = write(db, db.insertInto(table).values(columns))
  const replace = write(db, db.updateTable(table).set(changing).where('id', '=', at('id')).where('expires_at', '<=', at('now')))
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

/** @throws when the dialect does not report it: a store that cannot know whether it wrote must not guess */
export function affected ({ numAffectedRows }: QueryResult<unknown>): number {
  if (numAffectedRows === undefined) throw new Error('the Kysely dialect does not tell how many rows a statement wrote (numAffectedRows)')
  return Number(numAffectedRows)
}
