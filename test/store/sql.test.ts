import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mock } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type CompiledQuery, DummyDriver, Kysely, type LogEvent, MssqlAdapter, MssqlIntrospector, MssqlQueryCompiler, SqliteDialect, sql } from 'kysely'
import t, { type Test } from 'tap'
import { createTable, SqlStore } from '../../lib/store/sql.js'
import type { StoreReport } from '../../lib/store/store.js'
import { openNodeSqlite, openWasm, sqliteKysely } from '../support/sqlite.js'
import { sqliteShape } from '../support/sql-shapes.js'
import { makeBench, type Subject, sqlSuite } from '../support/sql-suite.js'

/** A database file of the test's own. */
function fileOf (t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'session-sqlite-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'sessions.db')
}

const memory: Subject = { connect: (log) => sqliteKysely(openWasm(), log && { log }), statementsOverExpired: 1, ...sqliteShape }

t.test('SQLite', async (t) => {
  const file = fileOf(t)
  await sqlSuite(t, { connect: (log) => sqliteKysely(openWasm(file), log && { log }), statementsOverExpired: 1, ...sqliteShape })
})

// Not skipped but absent where Node.js has no SQLite: there is nothing that anybody could do about it.
if (openNodeSqlite() !== undefined) {
  t.test('SQLite of Node.js', async (t) => {
    const file = fileOf(t)
    await sqlSuite(t, { connect: (log) => sqliteKysely(openNodeSqlite(file), log && { log }), statementsOverExpired: 1, ...sqliteShape })
  })
}

/** Lets the test move the timers. Only these: database drivers need the others. */
function holdIntervals (t: Test): (seconds: number) => void {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  return (seconds) => mock.timers.tick(seconds * 1000)
}

t.test('a sweep comes by itself every 30 seconds, until the store is closed', async (t) => {
  const pass = holdIntervals(t)
  const { db, clock, statements, record, rows } = await makeBench(t, memory)
  let looks = 0
  const now = (): number => {
    looks++
    return clock.now()
  }
  const store = new SqlStore({ db, now })
  await store.create('a', record({ expiresAt: clock.now() + 1 }))
  await clock.advance(1)
  statements()
  pass(29.999)
  t.same(statements(), [])
  pass(0.001)
  // The sweep by hand joins the one that is under way.
  await store.sweep()
  t.same(statements(), ['select', 'delete'])
  t.same(await rows(), [])
  statements()
  pass(30)
  await store.sweep()
  t.same(statements(), ['select'])
  await store.close()
  looks = 0
  pass(300)
  t.equal(looks, 0)
})

t.test('sweepInterval: 0 leaves it to the app', async (t) => {
  const pass = holdIntervals(t)
  const { store, statements } = await makeBench(t, memory, { sweepInterval: 0 })
  pass(100_000)
  await setImmediate()
  t.same(statements(), [])
  t.equal(await store.sweep(), 0)
})

t.test('the timer keeps no process alive', async (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const db = sqliteKysely()
  const store = new SqlStore({ db })
  t.equal(timers(), before)
  await store.close()
})

t.test('a sweep that fails is reported, and the next one comes all the same', async (t) => {
  const pass = holdIntervals(t)
  const db = sqliteKysely()
  t.teardown(() => db.destroy())
  const store = new SqlStore({ db, sweepInterval: 1 })
  const reports: StoreReport[] = []
  store.observe((report) => reports.push(report))
  for (let n = 1; n <= 2; n++) {
    pass(1)
    await t.rejects(store.sweep(), /no such table/, 'a sweep by hand tells its caller')
    t.match(reports, Array.from({ length: n }, () => ({ kind: 'failed', task: 'delete expired sessions', error: /no such table/ })))
  }
})

t.test('close stops a sweep between two batches, and waits for it', async (t) => {
  let closing: Promise<void> | undefined
  const log = ({ query }: LogEvent): void => { if (query.sql.startsWith('delete') && query.sql.includes(' in ')) closing ??= store.close() }
  const { db, store, rows, clock } = await makeBench(t, { ...memory, connect: () => sqliteKysely(openWasm(), { log }) })
  const values = Array.from({ length: 1200 }, (_, n) => ({ id: `x${n}`, payload: '', version: 1, expires_at: clock.now(), principal: null }))
  await db.insertInto('sessions').values(values).execute()
  const sweep = store.sweep()
  t.equal(await sweep, 500)
  await closing
  t.equal((await rows()).length, 700)
  t.equal(await store.sweep(), 0, 'a closed store has nothing to sweep')
})

t.test('close takes no notice of a sweep that fails', async (t) => {
  const db = sqliteKysely()
  t.teardown(() => db.destroy())
  const store = new SqlStore({ db, sweepInterval: 0 })
  const sweep = store.sweep()
  await Promise.all([store.close(), t.rejects(sweep, /no such table/)])
})

t.test('a row whose numbers are not whole numbers is absent, reported and deleted', async (t) => {
  const { db, store, record, reports, rows } = await makeBench(t, memory)
  for (const spoil of [{ version: 'x' }, { version: 1.5 }]) {
    await store.create('a', record())
    await db.updateTable('sessions').set(spoil).execute()
    t.equal(await store.read('a'), undefined)
    t.match(reports.splice(0), [{ kind: 'damaged', id: 'a', error: /whole numbers/ }])
    t.same(await rows(), [])
  }
})

t.test('deleteAll ends a row whose expiry is not a number', async (t) => {
  const { db, store, record } = await makeBench(t, memory)
  await store.create('a', record({ principal: 'ada' }))
  await store.create('b', record({ principal: 'ada' }))
  await db.updateTable('sessions').set({ expires_at: 'damaged' }).where('id', '=', 'a').execute()
  t.equal(await store.deleteAll('ada'), 1)
  t.same(await db.selectFrom('sessions').selectAll().execute(), [])
})

t.test('deleteAll rejects where rows are found and cannot be deleted', async (t) => {
  const { db, store, record, statements } = await makeBench(t, memory)
  await sql`create table refused (id text)`.execute(db)
  // Like row security: the delete is no error and deletes nothing; here not more than 20 times.
  await sql`create trigger refuse before delete on sessions when old.id <> 'free' and (select count(*) from refused) < 20 begin
    insert into refused values (old.id);
    select raise(ignore);
  end`.execute(db)
  for (const id of ['a', 'b', 'free']) await store.create(id, record({ principal: 'ada' }))
  statements()
  await t.rejects(store.deleteAll('ada'), /rows of "sessions" cannot be deleted\. .*row security/)
  t.same(statements(), ['select', 'delete', 'select'], 'as soon as a row is found again')
})

t.test('deleteAll continues when another process deletes the rows of a batch first', async (t) => {
  let afterSelect: (() => unknown) | undefined
  const log = ({ query }: LogEvent): void => { if (query.sql.startsWith('select')) afterSelect?.() }
  const { db, store, record, rows } = await makeBench(t, { ...memory, connect: () => sqliteKysely(openWasm(), { log }) })
  for (let n = 100; n < 620; n++) await store.create(`id${n}`, record({ principal: 'ada' }))
  // SQLite has one connection: this is queued for it before the delete of what was found is.
  afterSelect = () => {
    afterSelect = undefined
    void db.deleteFrom('sessions').where('id', '<', 'id600').where('id', '<>', 'id300').execute()
  }
  t.equal(await store.deleteAll('ada'), 21)
  t.same(await rows(), [])
})

t.test('a delete of an absent session does not end one that a concurrent create has just made under its id', async (t) => {
  const created: Array<Promise<unknown>> = []
  let create: (() => Promise<unknown>) | undefined
  const log = ({ query }: LogEvent): void => { if (create && query.sql.startsWith('delete')) created.push(create()) }
  const { store, record, rows } = await makeBench(t, { ...memory, connect: () => sqliteKysely(openWasm(), { log }) })
  // SQLite has one connection: the insert is queued for it before the next statement of `delete` is.
  create = async () => {
    create = undefined
    return await store.create('a', record())
  }
  t.equal(await store.delete('a'), false)
  t.same(await Promise.all(created), [true])
  t.match(await rows(), [{ id: 'a' }])
})

t.test('a table may be named with its schema, also that of an attached database', async (t) => {
  const file = fileOf(t)
  for (const schema of ['main', 'other']) {
    const { db, store, record, clock } = await makeBench(t, { ...memory, connect: () => {
      const database = openWasm()
      database.prepare(`attach '${file}' as other`).run([])
      return sqliteKysely(database)
    } }, { table: `${schema}.visits` })
    await createTable(db, `${schema}.visits`)
    t.ok(await store.create('a', record({ expiresAt: clock.now() })))
    t.ok(await store.create('a', record({ principal: 'ada' })))
    t.notOk(await store.create('a', record()))
    t.equal(await store.deleteAll('ada'), 1)
    const { rows } = await sql<{ name: string }>`select name from ${sql.table(`${schema}.sqlite_master`)}
      where type = 'index' and tbl_name = 'visits' and sql is not null order by name`.execute(db)
    t.same(rows.map(({ name }) => name), ['visits_expires_at', 'visits_principal'])
  }
})

t.test('an error of createTable reaches the caller', async (t) => {
  const db = sqliteKysely()
  t.teardown(() => db.destroy())
  await t.rejects(createTable(db, 'nowhere.sessions'), /unknown database/)
})

t.test('a list and a count use the index of principals alone', async (t) => {
  const seen: CompiledQuery[] = []
  const log = ({ query }: LogEvent): void => { if (query.sql.startsWith('select')) seen.push(query) }
  const { db, store } = await makeBench(t, { ...memory, connect: () => sqliteKysely(openWasm(), { log }) })
  await store.list('ada', { limit: 10 })
  await store.create('a', { payload: '', version: 1, expiresAt: Date.now() + 60_000, principal: 'ada' })
  await store.deleteAll('ada')
  const plans = await Promise.all(seen.splice(0).map(async (query) => (
    await db.executeQuery<{ detail: string }>({ ...query, sql: `explain query plan ${query.sql}` })
  ).rows.map(({ detail }) => detail).join()))
  t.match(plans, [/^SEARCH sessions USING INDEX sessions_principal \(principal=\? AND id>\?\)$/,
    /^SEARCH sessions USING COVERING INDEX sessions_principal \(principal=\?\)$/,
    /^SEARCH sessions USING COVERING INDEX sessions_principal \(principal=\? AND id>\?\)$/])
})

t.test('a driver that does not tell what it wrote is an error, not a guess', async (t) => {
  const database = openWasm()
  const silent = { ...database, prepare: (sql: string) => ({ ...database.prepare(sql), run: (values: readonly unknown[]) => {
    database.prepare(sql).run(values)
    return {} as never
  } }) }
  const db = new Kysely<unknown>({ dialect: new SqliteDialect({ database: silent }) })
  t.teardown(() => db.destroy())
  await createTable(db)
  const store = new SqlStore({ db, sweepInterval: 0 })
  await t.rejects(store.create('a', { payload: '', version: 1, expiresAt: 1 }), /numAffectedRows/)
})

t.test('options that cannot work are refused', async (t) => {
  const db = sqliteKysely()
  t.teardown(() => db.destroy())
  const mssql = new Kysely<unknown>({
    dialect: {
      createAdapter: () => new MssqlAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (instance) => new MssqlIntrospector(instance),
      createQueryCompiler: () => new MssqlQueryCompiler()
    }
  })
  const refused = (options: object, message: RegExp): void => {
    t.throws(() => new SqlStore({ db, ...options }), { code: 'FST_SESSION_OPTIONS', message })
  }
  for (const wrong of [undefined, {}, 'sqlite://', { getConnection () {} }, { connect () {} }, { prepare () {} }]) refused({ db: wrong }, /new Kysely/)
  refused({ db: mssql }, /PostgreSQL, MySQL, MariaDB or SQLite/)
  for (const table of ['', 5]) refused({ table }, /table must be the name/)
  for (const sweepInterval of [-1, NaN, Infinity, 3e6, 'x']) refused({ sweepInterval }, /SqlStore: sweepInterval must be/)
  await db.transaction().execute(async (transaction) => refused({ db: transaction }, /new Kysely/))
  await t.rejects(createTable(mssql), { code: 'FST_SESSION_OPTIONS', message: /createTable: db must be a Kysely instance for/ })
})
