import type { Compilable, Kysely, QueryResult } from 'kysely'
import type { Dialect } from './dialect.js'
import type { Row, Tables } from './row.js'

/** What the placeholders of a statement stand for. */
export type Values = Partial<Omit<Row, 'id'>> & { id?: string, now?: number, before?: number }

type Rows<R> = (values: Values) => Promise<readonly R[]>
/** Resolves how many rows there were to write. */
type Write = (values: Values) => Promise<number>

/** The store's statements on one row or one principal, compiled once; only the values differ from call to call. */
export interface Statements {
  readonly read: Rows<Row>
  readonly version: Rows<Pick<Row, 'version'>>
  readonly list: Rows<Row>
  readonly create: Write
  readonly touch: Write
  readonly update: Write
  readonly end: Write
  readonly deleteLive: Write
  readonly delete: Write
}

/** A placeholder, compiled as a parameter whose value is its name. */
const at = <N extends keyof Values>(name: N): NonNullable<Values[N]> => name as never

/** The values of all columns, and of those that change. */
const changing = { payload: at('payload'), version: at('version'), expires_at: at('expires_at'), principal: at('principal') }
const columns = { id: at('id'), ...changing }

export function prepareStatements (db: Kysely<Tables>, table: string, dialect: Dialect): Statements {
  const select = db.selectFrom(table)
  const whole = select.select(['id', 'payload', 'version', 'expires_at', 'principal'])
  const update = db.updateTable(table)
  const remove = db.deleteFrom(table)
  return {
    read: rows(db, whole.where('id', '=', at('id')).where('expires_at', '>', at('now'))),
    version: rows(db, select.select('version').where('id', '=', at('id')).where('expires_at', '>', at('now'))),
    list: rows(db, whole.where('principal', '=', at('principal')).where('expires_at', '>', at('now'))),
    create: dialect === 'mysql' ? insertOrReplaceExpired(db, table) : upsertExpired(db, table),
    touch: write(db, update.set({ expires_at: at('expires_at') })
      .where('id', '=', at('id')).where('expires_at', '>', at('now')).where('expires_at', '<', at('expires_at'))),
    update: write(db, update.set(changing)
      .where('id', '=', at('id')).where('version', '=', at('before')).where('expires_at', '>', at('now'))),
    end: write(db, remove.where('id', '=', at('id')).where('version', '=', at('before')).where('expires_at', '>', at('now'))),
    deleteLive: write(db, remove.where('id', '=', at('id')).where('expires_at', '>', at('now'))),
    delete: write(db, remove.where('id', '=', at('id')))
  }
}

function upsertExpired (db: Kysely<Tables>, table: string): Write {
  return write(db, db.insertInto(table).values(columns).onConflict((conflict) => conflict
    .column('id').doUpdateSet(changing).where(`${table}.expires_at`, '<=', at('now'))))
}

/** MySQL's upsert takes no condition, and what it answers does not tell a row that was left alone from a new one. */
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

function run<R> (db: Kysely<Tables>, query: Compilable<R>): (values: Values) => Promise<QueryResult<R>> {
  const compiled = query.compile()
  return (values) => db.executeQuery<R>({ ...compiled, parameters: compiled.parameters.map((name) => values[name as keyof Values]) })
}

function rows<R> (db: Kysely<Tables>, query: Compilable<R>): Rows<R> {
  const execute = run(db, query)
  return async (values) => (await execute(values)).rows
}

function write (db: Kysely<Tables>, query: Compilable): Write {
  const execute = run(db, query)
  return async (values) => affected(await execute(values))
}

/** @throws when the dialect does not tell, for a store that cannot know whether it wrote must not guess. */
export function affected ({ numAffectedRows }: QueryResult<unknown>): number {
  if (numAffectedRows === undefined) throw new Error('the Kysely dialect does not tell how many rows a statement wrote (numAffectedRows)')
  return Number(numAffectedRows)
}
