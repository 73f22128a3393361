import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openNodeSqlite, openWasm, sqliteKysely } from '../support/sqlite.js'
import { sqlSuite } from '../support/sql-suite.js'

async function file (t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'session-sqlite-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'sessions.db')
}

t.test('SQLite', async (t) => {
  const name = await file(t)
  await sqlSuite(t, { connect: (log) => sqliteKysely(openWasm(name), log && { log }), statementsOverExpired: 1 })
})
