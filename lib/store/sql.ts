import { invalidOptions, refuseUnknown, timerMilliseconds } from '../errors.js'
import { clock } from './shared/clock.js'
import { ReportingStore } from './shared/reporting.js'
import { Sweeper } from './shared/sweeper.js'
import { type Database, type SqlDatabase, useDatabase } from './sql/database.js'
import { fromRow, isColumn, type Row, toColumn, toRow } from './sql/row.js'
import { BATCH, prepareStatements, removeExpired, removeOf, type Statements } from './sql/statements.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'

export { createTable } from './sql/database.js'
export type { KyselyInstance, MysqlPool, PgPool, SqlDatabase, SqliteDatabase } from './sql/database.js'

export interface SqlStoreOptions {
  /**
   * The app's database: a Kysely instance for PostgreSQL, MySQL, MariaDB, SQLite or PGlite, a `pg.Pool`, a mysql2 pool, or a
   * database of better-sqlite3 or node:sqlite. It stays open when the store closes.
   */
  readonly db: SqlDatabase
  /** The name of the table, also with a schema, such as `auth.sessions`. Default: `sessions`. Each app needs its own table. */
  readonly table?: string
  /** Seconds between two sweeps of expired rows. Default: 30. With 0 the app must call `sweep`, for example from a cron job. */
  readonly sweepInterval?: number
  /** Returns the time in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number
}

/**
 * Keeps sessions in one table of the app's database. Reading, touching, saving and deleting a session usually take one
 * statement each, by primary key. `docs/stores/sql.md` lists the recommended settings of drivers and databases.
 *
 * A call that fails rejects with the driver's error. The store does not retry. A statement that exceeds the plugin's
 * `storeTimeout` still runs, and keeps its connection until the driver's own time limit ends it.
 */
export class SqlStore extends ReportingStore implements SessionStore {
  readonly #statements: Statements
  readonly #database: Database
  readonly #sweeper: Sweeper<number>
  readonly #now: () => number

  constructor (options: SqlStoreOptions) {
    super()
    refuseUnknown(options, ['db', 'table', 'sweepInterval', 'now'], 'option * of SqlStore')
    const { db, table = 'sessions', sweepInterval = 30, now } = options
    if (typeof table !== 'string' || table === '') throw invalidOptions('SqlStore: table must be the name of a table, such as "sessions" or "auth.sessions"')
    const interval = sweepInterval === 0 ? 0 : timerMilliseconds('SqlStore: sweepInterval', sweepInterval) as number
    this.#database = useDatabase(db, table, 'SqlStore')
    this.#statements = prepareStatements(this.#database)
    this.#now = clock(now)
    this.#sweeper = new Sweeper((stopped) => removeExpired(this.#database, this.#now(), stopped), interval, (error) => {
      this.report({ kind: 'failed', task: 'delete expired sessions', error })
    })
  }

  async create (id: string, record: SessionRecord): Promise<number | boolean> {
    const values = { ...toRow(id, record), now: this.#now() }
    if (await this.#statements.create(values) === 0) return false
    if (record.principal === undefined) return true
    const [row] = await this.#statements.count(values)
    return Number(row?.n)
  }

  /** Returns a live record. Reports and deletes a damaged row. */
  async read (id: string): Promise<SessionRecord | undefined> {
    const values = { id: toColumn(id), now: this.#now() }
    const [row] = await this.#statements.read(values)
    const record = row && this.#decode(row)?.record
    if (row && !record) await this.#statements.end({ ...values, before: row.version })
    return record
  }

  async touch (id: string, expiresAt: number): Promise<void> {
    await this.#statements.touch({ id: toColumn(id), expires_at: Math.round(expiresAt), now: this.#now() })
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    const now = this.#now()
    const values = { ...toRow(id, record), before: record.version - 1, now }
    const written = await (record.expiresAt > now ? this.#statements.update(values) : this.#statements.end(values))
    if (written > 0) return 'updated'
    return (await this.#statements.read(values)).length > 0 ? 'conflict' : 'missing'
  }

  async delete (id: string): Promise<boolean> {
    const values = { id: toColumn(id), now: this.#now() }
    if (await this.#statements.deleteLive(values) > 0) return true
    // The row may be expired by the clock of this process and live by the clock of another. A logout ends it in both.
    await this.#statements.deleteExpired(values)
    return false
  }

  /** Pages are in the order of the ids, which never change. A cursor is the last id of a page. An invalid one selects the first page. */
  async list (principal: string, { limit, cursor = '' }: PageRequest): Promise<Page> {
    const pageSize = Math.min(limit, BATCH)
    const found = await this.#statements.list({ principal: toColumn(principal), id: isColumn(cursor) ? cursor : '', limit: pageSize, now: this.#now() })
    const sessions = found.map((row) => this.#decode(row)).filter((session) => session !== undefined)
    return { sessions, cursor: found.length < pageSize ? undefined : found.at(-1)?.id }
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    return await removeOf(this.#database, toColumn(principal), except === undefined ? '' : toColumn(except), this.#now())
  }

  async clear (): Promise<void> { await removeOf(this.#database, undefined, '', this.#now()) }

  /** Deletes expired rows in batches, and returns their number. Needed only with `sweepInterval: 0`. */
  async sweep (): Promise<number> { return await this.#sweeper.run() }
  async close (): Promise<void> { await this.#sweeper.stop() }

  #decode (row: Row): StoredSession | undefined {
    try {
      return fromRow(row)
    } catch (error) {
      this.report({ kind: 'damaged', id: row.id, error })
      return undefined
    }
  }
}
