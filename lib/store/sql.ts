import { timerMilliseconds } from '../durations.js'
import { invalidOptions } from '../errors.js'
import { refuseUnknown } from '../nearest.js'
import { clock } from './shared/clock.js'
import { ReportingStore } from './shared/reporting.js'
import { Sweeper } from './shared/sweeper.js'
import { type Database, type SqlDatabase, useDatabase } from './sql/database.js'
import { BATCH, removeExpired, removeOf } from './sql/removal.js'
import { fromRow, type Row, toColumn, toPrincipalColumn, toRow } from './sql/row.js'
import { prepareStatements, type Statements } from './sql/statements.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'

export { createTable } from './sql/table.js'
export type { KyselyInstance, MysqlPool, PgPool, SqlDatabase, SqliteDatabase } from './sql/database.js'

export interface SqlStoreOptions {
  /**
   * The app's own Kysely instance for PostgreSQL, MySQL, MariaDB, SQLite or PGlite. A `pg.Pool`, a mysql2 pool and a database
   * of better-sqlite3 or node:sqlite will do as well. It stays open when the store closes.
   */
  readonly db: SqlDatabase
  /** The table's name, `sessions` by default; with its schema as in `auth.sessions`. Each app needs a table of its own. */
  readonly table?: string
  /** Seconds between two sweeps of expired rows; 30 by default. With 0 the app calls `sweep`, such as from a cron job. */
  readonly sweepInterval?: number
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
}

/**
 * Sessions in one table of the app's database. Read, touch, save and delete are one statement each, by primary key.
 * `docs/stores/sql.md` tells which settings of driver and database go with it.
 *
 * A rejected call is the driver's own error: the store neither retries nor waits. A statement that the caller gave up
 * still runs, and keeps its connection until the driver's own time limit ends it.
 */
export class SqlStore extends ReportingStore implements SessionStore {
  readonly #statements: Statements
  readonly #database: Database
  readonly #sweeper: Sweeper<number>
  readonly #now: () => number

  /** @throws `FST_SESSION_OPTIONS` */
  constructor (options: SqlStoreOptions) {
    super()
    refuseUnknown(options, ['db', 'table', 'sweepInterval', 'now'], 'option * of SqlStore')
    const { db, table = 'sessions', sweepInterval = 30, now } = options
    if (typeof table !== 'string' || table === '') {
      throw invalidOptions('SqlStore: table must be the name of a table, such as "sessions" or "auth.sessions"')
    }
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

  /** A row that is not a record is reported and deleted. */
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
    return (await this.#statements.find(values)).length > 0 ? 'conflict' : 'missing'
  }

  async delete (id: string): Promise<boolean> {
    const values = { id: toColumn(id), now: this.#now() }
    if (await this.#statements.deleteLive(values) > 0) return true
    // A row that has expired by this process's clock may be live by another's: a logout is final in both.
    await this.#statements.delete(values)
    return false
  }

  /** Pages go by id, which nothing changes. The cursor is the last id of the page. */
  async list (principal: string, { limit, cursor = '' }: PageRequest): Promise<Page> {
    const most = Math.min(limit, BATCH)
    const found = await this.#statements.list({ principal: toPrincipalColumn(principal), id: cursor, limit: most, now: this.#now() })
    const sessions = found.map((row) => this.#decode(row)).filter((session) => session !== undefined)
    return { sessions, cursor: found.length < most ? undefined : found.at(-1)?.id }
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    return await removeOf(this.#database, toPrincipalColumn(principal), except === undefined ? '' : toColumn(except), this.#now())
  }

  async clear (): Promise<void> {
    await removeOf(this.#database, undefined, '', this.#now())
  }

  /** Deletes the expired rows in batches and resolves how many there were. Needed only with `sweepInterval: 0`. */
  async sweep (): Promise<number> {
    return await this.#sweeper.run()
  }

  async close (): Promise<void> {
    await this.#sweeper.stop()
  }

  #decode (row: Row): StoredSession | undefined {
    try {
      return fromRow(row)
    } catch (error) {
      this.report({ kind: 'damaged', id: row.id, error })
      return undefined
    }
  }
}
