import { Kysely, type LogEvent, PostgresDialect, sql } from 'kysely'
import type pg from 'pg'
import t from 'tap'
import { createTable, SqlStore } from '../../lib/store/sql.js'
import { pgPool } from '../support/connections.js'
import { until } from '../support/servers-process.js'
import { startPostgres, type SqlServer } from '../support/servers.js'
import { noDeadlocks } from '../support/sql-processes.js'
import { postgresShape } from '../support/sql-shapes.js'
import { makeBench, type Subject, sqlSuite } from '../support/sql-suite.js'

const MINUTE = 60_000

function open (server: SqlServer, options: pg.PoolConfig = {}, log?: (event: LogEvent) => void): Kysely<unknown> {
  return new Kysely({ dialect: new PostgresDialect({ pool: pgPool(server, { max: 4, ...options }) }), ...log && { log } })
}

t.test('PostgreSQL', async (t) => {
  const server = await startPostgres(t)
  const subject: Subject = { connect: (log) => open(server, {}, log), statementsOverExpired: 1, ...postgresShape }
  await sqlSuite(t, subject)
  await t.test('processes never wait for each other in a circle', (t) => noDeadlocks(t, subject))

  await t.test('rows are locked in the order of their ids, whatever their order in the table', async (t) => {
    const { db, store, record } = await makeBench(t, subject)
    for (const id of ['c', 'b', 'a']) await store.create(id, record({ principal: 'p' }))
    const lockable = async (): Promise<string[]> =>
      (await db.selectFrom('sessions').select('id').orderBy('id').forUpdate().skipLocked().execute()).map(({ id }) => id)
    const waiting = async (): Promise<boolean> => {
      const query = sql<{ n: string }>`select count(*) as n from pg_stat_activity where wait_event_type = 'Lock'`
      return Number((await query.execute(db)).rows[0]?.n) > 0
    }
    let ended: Promise<number> | undefined
    await db.transaction().execute(async (other) => {
      await other.selectFrom('sessions').select('id').where('id', '=', 'b').forUpdate().execute()
      ended = store.deleteAll('p')
      while (!await waiting()) await new Promise(setImmediate)
      t.same(await lockable(), ['c'], 'a is locked, b is waited for, c comes after it')
    })
    t.equal(await ended, 3)
  })

  await t.test('a sweep passes over rows that another process has locked', async (t) => {
    const { db, store, clock, statements } = await makeBench(t, subject)
    const values = Array.from({ length: 500 }, (_, n) => ({ id: `x${n}`, payload: '', version: 1, expires_at: clock.now(), principal: null }))
    await db.insertInto('sessions').values(values).execute()
    await db.transaction().execute(async (other) => {
      await other.selectFrom('sessions').select('id').forUpdate().execute()
      statements()
      t.equal(await store.sweep(), 0)
      t.same(statements(), ['select', 'delete'], 'and does not try the same batch again at once')
    })
    t.equal(await store.sweep(), 500)
  })

  await t.test('a table in a schema of its own', async (t) => {
    const db = subject.connect()
    t.teardown(() => db.destroy())
    await db.schema.createSchema('auth').execute()
    const { store, record } = await makeBench(t, subject, { table: 'auth.visits' })
    t.ok(await store.create('a', record()))
    t.notOk(await store.create('a', record()))
    t.equal(await store.update('a', record({ version: 2 })), 'updated')
    t.equal((await sql`select * from auth.visits`.execute(db)).rows.length, 1)
  })

  await t.test('createTable as a role that may not create anything', async (t) => {
    const { db, record } = await makeBench(t, subject)
    await sql`create role visitor login`.execute(db)
    const visitor = open(server, { user: 'visitor' })
    t.teardown(() => visitor.destroy())
    const denied = { code: '42501', message: /schema public/ }
    await t.rejects(createTable(visitor), denied, 'without any right on the table')
    await sql`grant select, insert, update, delete on sessions to visitor`.execute(db)
    await createTable(visitor)
    t.ok(await new SqlStore({ db: visitor, sweepInterval: 0 }).create('a', record()))
    await t.rejects(createTable(visitor, 'missing'), denied)
  })

  await t.test('when no connection is to be had, every call is rejected, and works again afterwards', async (t) => {
    const db = open(server, { max: 1, connectionTimeoutMillis: 3000 })
    t.teardown(() => db.destroy())
    await createTable(db)
    const store = new SqlStore({ db, sweepInterval: 0 })
    const record = { payload: '', version: 1, expiresAt: Date.now() + MINUTE }
    const calls = () => [
      store.create('x', record), store.read('x'), store.update('x', { ...record, version: 2 }), store.delete('x'),
      store.touch('x', record.expiresAt), store.list('p', { limit: 1 }), store.deleteAll('p'), store.sweep()
    ]
    const rejected = async (name: string): Promise<void> => {
      const settled = await Promise.allSettled(calls())
      t.same(settled.map(({ status }) => status), settled.map(() => 'rejected'), name)
    }
    await db.connection().execute(() => rejected('the pool is exhausted'))
    t.equal(await store.read('x'), undefined)
    await server.stop()
    await rejected('the server is down')
    await server.restart()
    // A connection has little time to be made, and a busy machine may take more.
    let tries = 0
    await until('works again', async () => await store.create(`x${tries++}`, record).then(Boolean, () => false))
    t.equal(await store.delete(`x${tries - 1}`), true)
  })
})
