import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { CamelCasePlugin, type Kysely, type LogEvent, ParseJSONResultsPlugin, sql } from 'kysely'
import type { Test } from 'tap'
import { createTable, type SqlDatabase, SqlStore, type SqlStoreOptions } from '../../lib/store/sql.js'
import type { Row, Tables } from '../../lib/store/sql/row.js'
import type { Page, SessionRecord, StoreReport } from '../../lib/store/store.js'
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

const idsOf = ({ sessions }: Page): string[] => sessions.map(({ id }) => id)

/** The contract, and what this store promises beyond it, on one kind of database. */
export async function sqlSuite (t: Test, subject: Subject): Promise<void> {
  await t.test('the contract', (t) => contract(t, subject))
  await t.test('reads, saves and deletes are one statement each', (t) => counts(t, subject))
  await t.test('a touch is one statement that only ever prolongs a live session', (t) => touches(t, subject))
  await t.test('pages of a list go by id, whatever is created, touched or ended in between', (t) => pages(t, subject))
  await t.test('any text is kept, also what the database itself does not take', (t) => texts(t, subject))
  await t.test('a row that another program damaged is absent, reported and deleted', (t) => damage(t, subject))
  await t.test('sign-out holds for sessions that are only expired by this clock', (t) => skew(t, subject))
  await t.test('sweep deletes what has expired, in batches, and nothing else', (t) => sweeping(t, subject))
  await t.test('deleteAll ends any number of sessions in batches, while others are created', (t) => many(t, subject))
  await t.test('the plugins of the app change nothing', (t) => plugins(t, subject))
  await t.test('createTable may be called at any time, by several processes at once', (t) => creating(t, subject))
  await t.test('the SQL in the docs makes the same table', (t) => documented(t, subject))
}

async function contract (t: Test, subject: Subject): Promise<void> {
  await contractOn(t, (await makeBench(t, subject)).db)
}

/** Runs the contract on a database as the app has it. */
export async function contractOn (t: Test, db: SqlDatabase): Promise<void> {
  await createTable(db)
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => {
      const outcome = await run((clock) => new SqlStore({ db, now: clock.now }))
      // The columns have types: only a program that writes into the table can damage a record. Another test does.
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
  await count('create', store.create('a', first), 1, ['insert', 'select'])
  await count('read', store.read('a'), first, ['select'])
  await count('read of nothing', store.read('b'), undefined, ['select'])
  await count('update', store.update('a', second), 'updated', ['update'])
  await count('conflict', store.update('a', second), 'conflict', ['update', 'select'])
  await count('missing', store.update('b', second), 'missing', ['update', 'select'])
  await count('touch', store.touch('a', clock.now() + 2 * MINUTE), undefined, ['update'])
  await count('list', store.list('p', { limit: 10 }), { sessions: [], cursor: undefined }, ['select'])
  await count('end of another version', store.update('a', record({ version: 2, expiresAt: 0 })), 'conflict', ['delete', 'select'])
  await count('end', store.update('a', record({ version: 3, expiresAt: 0 })), 'updated', ['delete'])
  await count('delete of nothing', store.delete('a'), false, ['delete', 'delete'])
  await count('create again', store.create('a', first), 1, ['insert', 'select'])
  await count('delete', store.delete('a'), true, ['delete'])
  await count('deleteAll of nothing', store.deleteAll('p'), 0, ['select'])
  await store.create('a', first)
  statements()
  await count('deleteAll', store.deleteAll('p'), 1, ['select', 'delete'])
  await store.create('a', first)
  await clock.advance(MINUTE)
  statements()
  const overExpired = subject.statementsOverExpired === 1 ? ['insert'] : ['insert', 'update']
  await count('create over an expired row', store.create('a', record()), true, overExpired)
  await count('create over a live row', store.create('a', record()), false, overExpired)
}

async function touches (t: Test, subject: Subject): Promise<void> {
  const { store, clock, record, statements } = await makeBench(t, subject)
  const start = clock.now()
  await store.create('a', record({ principal: 'p', expiresAt: start + MINUTE }))
  const touched = async (expiresAt: number): Promise<number> => {
    statements()
    t.equal(await store.touch('a', expiresAt), undefined)
    t.same(statements(), ['update'])
    const { expiresAt: stored = 0, ...rest } = await store.read('a') ?? {}
    if (stored > 0) t.same(rest, { payload: '{"n":0}', version: 1, principal: 'p' })
    return stored - start
  }
  t.equal(await touched(start + MINUTE + 1), MINUTE + 1)
  for (const earlier of [start + MINUTE + 1, start + 1, start, 0]) t.equal(await touched(earlier), MINUTE + 1, 'never shortened')
  await clock.advance(MINUTE + 1)
  t.equal(await touched(start + 9 * MINUTE), -start, 'never brought back')
  t.equal(await store.touch('b', start + 9 * MINUTE), undefined)
  t.equal(await store.read('b'), undefined)
}

async function pages (t: Test, subject: Subject): Promise<void> {
  const { store, clock, record, statements } = await makeBench(t, subject)
  const ids = ['Z', '\n', 'a', '-', '_', 'z ', '~', 'aa', '\u00e1', 'b', 'A']
  for (const id of ids) await store.create(id, record({ principal: 'p' }))
  await store.create('expired', record({ principal: 'p', expiresAt: clock.now() }))
  await store.create('other', record({ principal: 'q' }))
  statements()
  const found: string[] = []
  let cursor: string | undefined
  do {
    const page = await store.list('p', { limit: 3, cursor })
    t.ok(page.sessions.length <= 3)
    found.push(...page.sessions.map(({ id }) => id))
    cursor = page.cursor
    await store.touch('b', clock.now() + 2 * MINUTE)
    await store.delete(found[0] as string)
    await store.create(`a${found.length}`, record({ principal: 'p' }))
  } while (cursor !== undefined)
  t.equal(statements().filter((word) => word === 'select').length, 2 * (Math.floor(found.length / 3) + 1), 'one for a page, and one for the session that is created')
  t.same(ids.filter((id) => !found.includes(id)), [])
  const first = await store.list('p', { limit: 3 })
  for (const invalid of ['zz\0', 'zz\ud800']) t.same(await store.list('p', { limit: 3, cursor: invalid }), first, 'an invalid cursor selects the first page')
  const { sessions } = await store.list('p', { limit: 1e9 })
  t.equal(await store.create('last', record({ principal: 'p' })), sessions.length + 1)
}

async function texts (t: Test, subject: Subject): Promise<void> {
  const { store, record } = await makeBench(t, subject)
  const odd = ['a\0b', '\ud800', 'x\udfff', '~', '~"a"', 'a ', 'a  ', 'a', '\ud83d\ude00', 'A', '\u00e1', 'a\u0301', '\ufeffa', '']
  for (const text of odd) t.equal(await store.create(text, record({ payload: text, principal: text })), 1, JSON.stringify(text))
  for (const text of odd) {
    t.same(await store.read(text), record({ payload: text, principal: text }), JSON.stringify(text))
    t.same(idsOf(await store.list(text, { limit: 2 })), [text])
  }
  const emoji = '\u{1f600}'
  for (const long of ['x'.repeat(255), 'x'.repeat(256), `~${'x'.repeat(250)}`, emoji.repeat(20_000), `${emoji.repeat(127)}\ud83d`]) {
    const given = record({ payload: long, principal: long })
    await store.create('long', given)
    await store.create('longer', record({ principal: `${long}y` }))
    t.same(await store.list(long, { limit: 5 }), { sessions: [{ id: 'long', record: given }], cursor: undefined }, `a principal of ${long.length}`)
    t.same(await store.read('long'), given)
    t.equal(await store.update('long', { ...given, version: 2, principal: 'short' }), 'updated')
    t.same(await store.read('long'), { ...given, version: 2, principal: 'short' })
    t.equal(await store.deleteAll('short'), 1)
    t.equal(await store.deleteAll(`${long}y`), 1)
  }
  const ids = ['x'.repeat(256), 'x'.repeat(257)]
  for (const id of ids) await store.create(id, record({ payload: id }))
  for (const id of ids) t.same(await store.read(id), record({ payload: id }), 'an id may be longer than its column')
}

async function damage (t: Test, subject: Subject): Promise<void> {
  const { db, store, record, reports, rows } = await makeBench(t, subject)
  const spoils: Array<Partial<Row>> = [{ payload: '~{' }, { payload: '~1' }, { payload: '~["a","p"]' }, { principal: '~' },
    { payload: '~["{}","b","p"]' }, { payload: '~["{}","a","q"]' }]
  for (const spoil of spoils) {
    await store.create('a', record({ principal: 'p' }))
    await db.updateTable('sessions').set(spoil).execute()
    t.equal(await store.read('a'), undefined, JSON.stringify(spoil))
    t.equal(await store.read('a'), undefined)
    t.match(reports.splice(0), [{ kind: 'damaged', id: 'a', error: Error }])
    t.same(await rows(), [])
  }
  const long = 'x'.repeat(300)
  for (const payload of ['~"a"', '{}', '~[1,"a"]', '~["a"]', '~["a","a"]']) {
    await store.create('a', record({ principal: long }))
    await db.updateTable('sessions').set({ payload }).execute()
    t.equal(await store.read('a'), undefined, payload)
    t.equal(reports.splice(0).length, 1)
  }
  await store.create('a', record({ principal: 'p' }))
  await store.create('b', record({ principal: 'p' }))
  await db.updateTable('sessions').set({ id: '~' }).where('id', '=', 'a').execute()
  t.same(idsOf(await store.list('p', { limit: 5 })), ['b'])
  t.match(reports, [{ kind: 'damaged', id: '~' }])
  t.same(idsOf(await store.list('p', { limit: 1, cursor: 'b' })), [], 'a page may be empty')
  t.same(await store.list('p', { limit: 1, cursor: 'b' }), { sessions: [], cursor: '~' }, 'and is not the last one for that')
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
  t.equal(await store.create('c', record({ principal: 'p' })), 1)
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
  const { db, store, clock, statements, record } = await makeBench(t, subject)
  const values = Array.from({ length: 1200 }, (_, n) => (
    { id: `x${n}`, payload: '', version: 1, expires_at: clock.now() + (n % 3 === 0 ? -MINUTE : MINUTE), principal: 'p' }
  ))
  while (values.length > 0) await db.insertInto('sessions').values(values.splice(0, 100)).execute()
  const busy = { ended: false, created: 0 }
  const login = async (): Promise<void> => {
    for (; !busy.ended; await setImmediate()) await store.create(`${randomUUID()}-${busy.created++}`, record({ principal: 'p' }))
  }
  const logins = [login(), login()]
  statements()
  const deleted = await store.deleteAll('p', 'x1').finally(() => { busy.ended = true })
  await Promise.all(logins)
  t.ok(deleted >= 799 && deleted <= 799 + busy.created, `${deleted} deleted, ${busy.created} created beside`)
  t.same((await db.selectFrom('sessions').select('id').where('id', 'like', 'x%').execute()).map(({ id }) => id), ['x1'])
  await store.deleteAll('p', 'x1')
  t.same(idsOf(await store.list('p', { limit: 5 })), ['x1'])
}

async function plugins (t: Test, subject: Subject): Promise<void> {
  const { db, clock, record } = await makeBench(t, subject)
  const decorated = db.withPlugin(new CamelCasePlugin()).withPlugin(new ParseJSONResultsPlugin())
  await createTable(decorated)
  const store = new SqlStore({ db: decorated, now: clock.now, sweepInterval: 0 })
  const given = record({ payload: '{"a":[]}', principal: '{"b":{}}' })
  await store.create('a', given)
  t.same(await store.read('a'), given)
  t.same((await store.list('{"b":{}}', { limit: 5 })).sessions, [{ id: 'a', record: given }])
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
