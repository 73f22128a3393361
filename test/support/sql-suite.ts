import { CamelCasePlugin, type Kysely, type LogEvent, ParseJSONResultsPlugin, sql } from 'kysely'
import type { Test } from 'tap'
import { createTable, SqlStore, type SqlStoreOptions } from '../../lib/store/sql.js'
import type { Row, Tables } from '../../lib/store/sql/row.js'
import type { SessionRecord, StoreReport } from '../../lib/store/store.js'
import { type Clock, createClock, storeContract } from '../../lib/testing/index.js'
import { blockUnder } from './docs-blocks.js'

const MINUTE = 60_000

/** A database that the suite runs on, with an empty default schema. */
export interface Subject {
  /** Opens the app's Kysely instance; the suite destroys it. One that is opened twice reaches the same database. */
  readonly connect: (log?: (event: LogEvent) => void) => Kysely<unknown>
  /** MySQL's upsert has no condition: a second statement puts a new row in the place of an expired one. */
  readonly statementsOverExpired: 1 | 2
  /** The heading of its SQL in docs/stores/sql.md. */
  readonly heading: string
  /** Queries that together tell all about the table `sessions` and its indexes. */
  readonly shape: readonly string[]
}

/** A store on a table, and what the tests look at. */
export interface Bench {
  readonly db: Kysely<Tables>
  readonly store: SqlStore
  readonly clock: Clock
  readonly reports: StoreReport[]
  readonly record: (over?: Partial<SessionRecord>) => SessionRecord
  /** The first words of the statements since it was last asked. */
  readonly statements: () => string[]
  readonly rows: () => Promise<Row[]>
}

export async function makeBench (t: Test, subject: Subject, options: Partial<SqlStoreOptions> = {}): Promise<Bench> {
  const seen: LogEvent[] = []
  const db = subject.connect((event) => seen.push(event)) as Kysely<Tables>
  t.teardown(() => db.destroy())
  const table = options.table ?? 'sessions'
  await createTable(db, table)
  await db.deleteFrom(table).execute()
  const clock = createClock()
  const store = new SqlStore({ db, now: clock.now, sweepInterval: 0, ...options })
  const reports: StoreReport[] = []
  store.observe((report) => reports.push(report))
  seen.length = 0
  return {
    db, store, clock, reports,
    record: (over) => ({ payload: '{"n":0}', version: 1, expiresAt: clock.now() + MINUTE, ...over }),
    statements: () => seen.splice(0).map((event) => event.query.sql.split(' ')[0] ?? ''),
    rows: () => db.selectFrom(table).selectAll().orderBy('id').execute()
  }
}

/** The contract, and what this store promises beyond it, on one kind of database. */
export async function sqlSuite (t: Test, subject: Subject): Promise<void> {
  await t.test('the contract', (t) => contract(t, subject))
  await t.test('reads, saves and deletes are one statement each', (t) => counts(t, subject))
  await t.test('a touch is a second statement, once a tenth of the idle timeout is gained', (t) => touches(t, subject))
  await t.test('any text is kept, also what the database itself does not take', (t) => texts(t, subject))
  await t.test('a row that somebody spoiled is absent, and reported', (t) => damage(t, subject))
  await t.test('sign-out holds for sessions that are only expired by this clock', (t) => skew(t, subject))
  await t.test('sweep deletes what has expired, in batches, and nothing else', (t) => sweeping(t, subject))
  await t.test('deleteAll ends any number of sessions', (t) => many(t, subject))
  await t.test('the plugins of the app change nothing', (t) => plugins(t, subject))
  await t.test('createTable may be called any time, by several at once', (t) => creating(t, subject))
  await t.test('the SQL in the docs makes the same table', (t) => documented(t, subject))
}

async function contract (t: Test, subject: Subject): Promise<void> {
  const { db } = await makeBench(t, subject)
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => {
      const outcome = await run((clock) => new SqlStore({ db, now: clock.now }))
      // The columns have types: only somebody who writes into the table can damage a record, see the test of that.
      t.equal(outcome, name.startsWith('a damaged record') ? 'not applicable' : 'passed')
    })
  }
}

async function counts (t: Test, subject: Subject): Promise<void> {
  const { store, clock, record, statements } = await makeBench(t, subject)
  const count = async (name: string, call: Promise<unknown>, outcome: unknown, expected: string[]): Promise<void> => {
    t.same(await call, outcome, name)
    t.same(statements(), expected, `${name}: ${expected.join(', ')}`)
  }
  const first = record({ principal: 'p' })
  const second = record({ version: 2 })
  await count('create', store.create('a', first), true, ['insert'])
  await count('read', store.read('a'), first, ['select'])
  await count('read of nothing', store.read('b'), undefined, ['select'])
  await count('update', store.update('a', second), 'updated', ['update'])
  await count('conflict', store.update('a', second), 'conflict', ['update', 'select'])
  await count('missing', store.update('b', second), 'missing', ['update', 'select'])
  await count('list', store.list('p'), [], ['select'])
  await count('end of another version', store.update('a', record({ version: 2, expiresAt: 0 })), 'conflict', ['delete', 'select'])
  await count('end', store.update('a', record({ version: 3, expiresAt: 0 })), 'updated', ['delete'])
  await count('delete of nothing', store.delete('a'), false, ['delete', 'delete'])
  await count('create again', store.create('a', first), true, ['insert'])
  await count('delete', store.delete('a'), true, ['delete'])
  await count('deleteAll of nothing', store.deleteAll('p'), 0, ['select'])
  await store.create('a', first)
  statements()
  await count('deleteAll', store.deleteAll('p'), 1, ['select', 'delete', 'select'])
  await store.create('a', first)
  await clock.advance(MINUTE)
  statements()
  const overExpired = subject.statementsOverExpired === 1 ? ['insert'] : ['insert', 'update']
  await count('create over an expired row', store.create('a', record()), true, overExpired)
  await count('create over a live row', store.create('a', record()), false, overExpired)
}

async function touches (t: Test, subject: Subject): Promise<void> {
  const { store, clock, record, statements, rows } = await makeBench(t, subject)
  const start = clock.now()
  await store.create('a', record({ expiresAt: start + MINUTE }))
  statements()
  const touch = async (): Promise<string[]> => {
    const found = await store.read('a', clock.now() + MINUTE)
    t.equal(Number((await rows())[0]?.expires_at), found?.expiresAt, 'the record that is handed out has the expiry that is stored')
    return statements().slice(0, -1)
  }
  t.same(await touch(), ['select'])
  await clock.advance(MINUTE / 10 - 1)
  t.same(await touch(), ['select'], 'a millisecond too early')
  await clock.advance(1)
  t.same(await touch(), ['select', 'update'])
  t.equal((await store.read('a'))?.expiresAt, start + MINUTE * 1.1)
  t.same((await store.read('a'))?.version, 1)
}

async function texts (t: Test, subject: Subject): Promise<void> {
  const { store, record } = await makeBench(t, subject)
  const odd = ['a\0b', '\ud800', 'x\udfff', '~', '~"a"', 'a ', 'a  ', 'a', '\ud83d\ude00', 'A', '\u00e1', 'a\u0301', '\ufeffa', '']
  for (const text of odd) t.ok(await store.create(text, record({ payload: text, principal: text })), JSON.stringify(text))
  for (const text of odd) {
    t.same(await store.read(text), record({ payload: text, principal: text }), JSON.stringify(text))
    t.same((await store.list(text)).map(({ id }) => id), [text])
  }
  const long = '\u{1f600}'.repeat(20_000)
  await store.create('long', record({ principal: long + 'a' }))
  await store.create('longer', record({ principal: long + 'b' }))
  t.same(await store.list(long + 'b'), [{ id: 'longer', record: record({ principal: long + 'b' }) }], 'a principal of 80 KB')
}

async function damage (t: Test, subject: Subject): Promise<void> {
  const { db, store, record, reports, rows } = await makeBench(t, subject)
  const spoils: Array<Partial<Row>> = [{ payload: '~{' }, { payload: '~1' }, { principal: '~' }]
  for (const spoil of spoils) {
    await store.create('a', record({ principal: 'p' }))
    await db.updateTable('sessions').set(spoil).execute()
    t.equal(await store.read('a'), undefined, JSON.stringify(spoil))
    t.equal(await store.read('a'), undefined)
    t.match(reports.splice(0), [{ kind: 'damaged', id: 'a', error: Error }])
    t.same(await rows(), [])
  }
  await store.create('a', record({ principal: 'p' }))
  await store.create('b', record({ principal: 'p' }))
  await db.updateTable('sessions').set({ id: '~' }).where('id', '=', 'a').execute()
  t.same((await store.list('p')).map(({ id }) => id), ['b'])
  t.match(reports, [{ kind: 'damaged', id: '~' }])
}

async function skew (t: Test, subject: Subject): Promise<void> {
  const { db, store, record } = await makeBench(t, subject)
  const ahead = new SqlStore({ db, now: () => Date.now() + 5 * MINUTE, sweepInterval: 0 })
  await store.create('a', record())
  t.equal(await ahead.delete('a'), false, 'it was not live for that process')
  t.equal(await store.read('a'), undefined, 'but it is gone for all')
  await store.create('a', record({ principal: 'p' }))
  await store.create('b', record({ principal: 'p', expiresAt: Date.now() + 10 * MINUTE }))
  t.equal(await ahead.deleteAll('p'), 1)
  t.same(await store.list('p'), [])
}

async function sweeping (t: Test, subject: Subject): Promise<void> {
  const { db, store, clock, record, statements, rows } = await makeBench(t, subject)
  const expired = record({ expiresAt: clock.now() })
  for (let start = 0; start < 1100; start += 100) {
    const values = Array.from({ length: 100 }, (_, n) => ({ id: `x${start + n}`, payload: '', version: 1, expires_at: expired.expiresAt, principal: null }))
    await db.insertInto('sessions').values(values).execute()
  }
  await store.create('live', record())
  statements()
  const [one, other] = await Promise.all([store.sweep(), store.sweep()])
  t.same([one, other], [1100, 1100], 'the second call joins the first')
  t.same(statements(), ['select', 'delete', 'select', 'delete', 'select', 'delete'])
  t.same((await rows()).map(({ id }) => id), ['live'])
  statements()
  t.equal(await store.sweep(), 0)
  t.same(statements(), ['select'])
}

async function many (t: Test, subject: Subject): Promise<void> {
  const { db, store, clock } = await makeBench(t, subject)
  const values = Array.from({ length: 1200 }, (_, n) => (
    { id: `x${n}`, payload: '', version: 1, expires_at: clock.now() + (n % 3 === 0 ? -MINUTE : MINUTE), principal: 'p' }
  ))
  while (values.length > 0) await db.insertInto('sessions').values(values.splice(0, 100)).execute()
  t.equal(await store.deleteAll('p', 'x1'), 799)
  t.same((await store.list('p')).map(({ id }) => id), ['x1'])
}

async function plugins (t: Test, subject: Subject): Promise<void> {
  const { db, clock, record } = await makeBench(t, subject)
  const decorated = db.withPlugin(new CamelCasePlugin()).withPlugin(new ParseJSONResultsPlugin())
  await createTable(decorated)
  const store = new SqlStore({ db: decorated, now: clock.now, sweepInterval: 0 })
  const given = record({ payload: '{"a":[]}', principal: '{"b":{}}' })
  await store.create('a', given)
  t.same(await store.read('a'), given)
  t.same(await store.list('{"b":{}}'), [{ id: 'a', record: given }])
}

async function creating (t: Test, subject: Subject): Promise<void> {
  const table = 'Odd "name`s'
  const connections = Array.from({ length: 6 }, () => subject.connect())
  t.teardown(() => Promise.all(connections.map((db) => db.destroy())))
  await Promise.all(connections.map((db) => createTable(db, table)))
  const { store, record } = await makeBench(t, subject, { table })
  t.ok(await store.create('a', record()))
  await createTable(connections[0]!, table)
  t.ok(await store.read('a'), 'what is there stays')
}

async function documented (t: Test, subject: Subject): Promise<void> {
  const { db } = await makeBench(t, subject)
  const shape = async (): Promise<unknown> => {
    const answers = await Promise.all(subject.shape.map((query) => sql.raw(query).execute(db)))
    return answers.map(({ rows }) => rows)
  }
  const made = await shape()
  t.match(JSON.stringify(made), /expires_at.*sessions_principal.*/)
  await db.schema.dropTable('sessions').execute()
  const statements = blockUnder('docs/stores/sql.md', subject.heading, 'sql').split(/;\n/).filter((statement) => statement.trim() !== '')
  for (const statement of statements) await sql.raw(statement).execute(db)
  t.strictSame(await shape(), made)
}
