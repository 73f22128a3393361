import { type CompiledQuery, Kysely, type LogEvent, MysqlDialect, sql } from 'kysely'
import { createPool, type PoolOptions } from 'mysql2'
import t from 'tap'
import { createTable, SqlStore } from '../../lib/store/sql.js'
import { startMariaDb } from '../support/servers.js'
import { noDeadlocks } from '../support/sql-processes.js'
import { mysqlShape } from '../support/sql-shapes.js'
import { makeBench, type Subject, sqlSuite } from '../support/sql-suite.js'

const MINUTE = 60_000

t.test('MariaDB', async (t) => {
  const server = await startMariaDb(t)
  const open = (options: PoolOptions, log?: (event: LogEvent) => void): Kysely<unknown> =>
    new Kysely({ dialect: new MysqlDialect({ pool: createPool({ uri: server.url, connectionLimit: 4, ...options }) }), ...log && { log } })
  const subject: Subject = { connect: (log) => open({}, log), statementsOverExpired: 2, ...mysqlShape }
  await sqlSuite(t, subject)
  await t.test('processes never wait for each other in a circle', (t) => noDeadlocks(t, subject))

  await t.test('many rows are deleted by the primary key, so that all lock them in its order', async (t) => {
    const deletes: CompiledQuery[] = []
    const log = ({ query }: LogEvent): void => { if (query.sql.startsWith('delete') && query.sql.includes(' in ')) deletes.push(query) }
    const { db, clock, store } = await makeBench(t, { ...subject, connect: () => open({}, log) })
    const fill = async (expiredEvery: number): Promise<void> => {
      await db.deleteFrom('sessions').execute()
      const row = (n: number) => {
        const expires = clock.now() + (n % expiredEvery === 0 ? -1 : n)
        return { id: `${n}`, payload: '', version: 1, expires_at: expires, principal: `p${n % 100}` }
      }
      for (let n = 0; n < 2000; n += 200) await db.insertInto('sessions').values(Array.from({ length: 200 }, (_, i) => row(n + i))).execute()
      await sql`analyze table sessions`.execute(db)
    }
    await fill(400)
    t.equal(await store.sweep(), 5)
    t.equal(await store.deleteAll('p1'), 20)
    // Many more have expired by now: the index of expires_at would look good for the few ids of the statement.
    await fill(5)
    for (const query of deletes) {
      const plan = await db.executeQuery<{ key: string }>({ ...query, sql: `explain ${query.sql}` })
      t.equal(plan.rows[0]?.key, 'PRIMARY', query.sql.replace(/\?, /g, ''))
    }
    t.equal(deletes.length, 2)
  })

  await t.test('drivers may hand out big numbers as text, and report changed rows only', async (t) => {
    const connect = (log?: (event: LogEvent) => void) => open({ supportBigNumbers: true, bigNumberStrings: true, flags: ['-FOUND_ROWS'] }, log)
    const { store, record, clock } = await makeBench(t, { ...subject, connect })
    const given = record()
    t.ok(await store.create('a', given))
    t.same(await store.read('a'), given)
    t.equal(await store.update('a', record({ version: 2 })), 'updated')
    await store.touch('a', clock.now() + 2 * MINUTE)
    t.equal((await store.read('a'))?.expiresAt, clock.now() + 2 * MINUTE)
    t.notOk(await store.create('a', given))
    await clock.advance(2 * MINUTE)
    t.ok(await store.create('a', given))
  })

  await t.test('createTable as a role that may not create anything', async (t) => {
    const { db, record } = await makeBench(t, subject)
    await sql`create user visitor`.execute(db)
    const visitor = open({ uri: server.url.replace('root', 'visitor') })
    t.teardown(() => visitor.destroy())
    await sql`grant select, insert, update, delete on test.sessions to visitor`.execute(db)
    await createTable(visitor)
    t.ok(await new SqlStore({ db: visitor, sweepInterval: 0 }).create('a', record()))
    await t.rejects(createTable(visitor, 'missing'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
  })

  await t.test('errors of the database reach the caller', async (t) => {
    const { db, store: working, record } = await makeBench(t, subject)
    await t.rejects(working.create('x', record({ version: 2 ** 31 })), { code: 'ER_WARN_DATA_OUT_OF_RANGE' }, 'only a duplicate means that the id is taken')
    const store = new SqlStore({ db, table: 'nowhere', sweepInterval: 0 })
    await t.rejects(store.create('x', { payload: '', version: 1, expiresAt: 1 }), { code: 'ER_NO_SUCH_TABLE' })
    await t.rejects(store.read('x'), { code: 'ER_NO_SUCH_TABLE' })
  })
})
