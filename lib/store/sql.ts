import { clock } from './shared/clock.js'
import { SessionError } from '../errors.js'
import { type Observer, Observers } from './shared/observers.js'
import { dialectOf, type KyselyInstance, withTables } from './sql/dialect.js'
import { createRemoval, type Removal } from './sql/removal.js'
import { type Row, toRecord, toRow } from './sql/row.js'
import { prepareStatements, type Statements } from './sql/statements.js'
import { Sweeper } from './sql/sweeper.js'
import { fromColumn, toColumn } from './sql/text.js'
import type { SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'


export { createTable } from './sql/table.js'
export type { KyselyInstance } from './sql/dialect.js'

export interface SqlStoreOptions {
  /** The app's own Kysely instance, for PostgreSQL, MySQL, MariaDB, SQLite or PGlite. It stays open when the store closes. */
  readonly db: KyselyInstance
  /** The table's name, `sessions` by default; with its schema as in `auth.sessions`. `createTable` makes it. */
  readonly table?: string
  /** Seconds between two looks for expired rows; 30 by default. 0 leaves it to the app to call `sweep`, from a cron job say. */
  readonly sweepInterval?: number
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
}

/** The longest interval that a timer of Node.js takes, in seconds. */
const MAX_INTERVAL = 2_147_483

/**
 * Sessions in one table of the app's database. Each read, save and delete is one statement by primary key; a read whose
 * touch is due is two. `docs/stores/sql.md` tells which settings of driver and database go with it.
 *
 * A rejected call is the driver's own error: the store neither retries nor waits. A statement that was given up by the
 * caller still runs and keeps its connection until the driver's own time limit ends it.
 */
export class SqlStore implements SessionStore {
  readonly #statements: Statements
  readonly #removal: Removal
  readonly #sweeper: Sweeper
  readonly #now: () => number
  readonly #observers = new Observers()

  /** @throws `FST_SESSION_OPTIONS` */
  constructor ({ db, table = 'sessions', sweepInterval = 30, now }: SqlStoreOptions) {
    if (typeof table !== 'string' || table === '') {
      throw new SessionError('FST_SESSION_OPTIONS', 'SqlStore: table must be the name of a table, such as "sessions" or "auth.sessions"')
    }
    if (!(sweepInterval >= 0 && sweepInterval <= MAX_INTERVAL)) {
      throw new SessionError('FST_SESSION_OPTIONS', `SqlStore: sweepInterval must be seconds from 0 to ${MAX_INTERVAL}, such as 30`)
    }
    const tables = withTables(db, 'SqlStore')
    const dialect = dialectOf(tables, 'SqlStore')
    this.#statements = prepareStatements(tables, table, dialect)
    this.#removal = createRemoval(tables, table, dialect)
    this.#now = clock(now)
    this.#sweeper = new Sweeper((stopped) => this.#removal.expired(this.#now(), stopped), sweepInterval, (error) => {
      this.#observers.tell({ kind: 'failed', task: 'delete expired sessions', error })
    })
  }

  async create (id: string, record: SessionRecord): Promise<boolean> {
    return await this.#statements.create({ ...toRow(id, record), now: this.#now() }) > 0
  }

  /** Moves the expiry, with a second statement, once a tenth of the time from now to `touchTo` is to be gained. */
  async read (id: string, touchTo?: number): Promise<SessionRecord | undefined> {
    const now = this.#now()
    const values = { id: toColumn(id), now }
    const [row] = await this.#statements.read(values)
    if (row === undefined) return undefined
    const record = this.#decode(row)?.record
    if (record === undefined) {
      await this.#statements.delete(values)
      return undefined
    }
    if (touchTo === undefined || !isDue(touchTo, record.expiresAt, now)) return record
    const expiresAt = Math.round(touchTo)
    return await this.#statements.touch({ ...values, expires_at: expiresAt }) > 0 ? { ...record, expiresAt } : record
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    const now = this.#now()
    const values = { ...toRow(id, record), before: record.version - 1, now }
    const written = await (record.expiresAt > now ? this.#statements.update(values) : this.#statements.end(values))
    if (written > 0) return 'updated'
    const found = await this.#statements.version(values)
    return found.length > 0 ? 'conflict' : 'missing'
  }

  async delete (id: string): Promise<boolean> {
    const values = { id: toColumn(id), now: this.#now() }
    if (await this.#statements.deleteLive(values) > 0) return true
    // What has expired by this process's clock may be live by another's: a logout holds in both.
    await this.#statements.delete(values)
    return false
  }

  async list (principal: string): Promise<readonly StoredSession[]> {
    const found = await this.#statements.list({ principal: toColumn(principal), now: this.#now() })
    return found.map((row) => this.#decode(row)).filter((session) => session !== undefined)
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    return await this.#removal.ofPrincipal(toColumn(principal), toColumn(except ?? ''), this.#now())
  }

  /** Deletes the rows that have expired, in batches, and resolves how many. Only needed with `sweepInterval: 0`. */
  async sweep (): Promise<number> {
    return await this.#sweeper.run()
  }

  observe (observer: Observer): void {
    this.#observers.add(observer)
  }

  async close (): Promise<void> {
    await this.#sweeper.stop()
  }

  #decode (row: Row): StoredSession | undefined {
    try {
      return { id: fromColumn(row.id), record: toRecord(row) }
    } catch (error) {
      this.#observers.tell({ kind: 'damaged', id: row.id, error })
      return undefined
    }
  }
}
