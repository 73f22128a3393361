/** A model app in a process of its own, `fork`ed with the store's name, its directory, the time and a seed. Sends its origin. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { SessionStore } from 'fastify-openapi-session'
import { FileStore } from 'fastify-openapi-session/file'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { createClock } from 'fastify-openapi-session/testing'
import { generator } from '../support/random.js'
import { openWasm, sqliteKysely } from '../support/sqlite.js'
import { createModelApp } from './app.js'

const [name, directory = '', time, seed] = process.argv.slice(2)
const clock = createClock(Number(time))

async function store (): Promise<SessionStore> {
  if (name === 'file') return new FileStore({ directory, now: clock.now })
  const file = join(directory, 'sessions.db')
  // The lock of SQLite in WebAssembly is a directory, which a process that was killed leaves behind. No other process uses the database.
  rmSync(`${file}.lock`, { recursive: true, force: true })
  const db = sqliteKysely(openWasm(file)) as any
  await createTable(db)
  return new SqlStore({ db, now: clock.now, sweepInterval: 0 })
}

const app = await createModelApp(await store(), clock, generator(Number(seed)))
process.send?.(await app.listen({ host: '127.0.0.1', port: 0 }))
process.on('disconnect', () => { process.exit() })
