import { randomInt, randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { createTable, SqlStore } from '../../lib/store/sql.js'
import type { SessionRecord } from '../../lib/store/store.js'
import type { Subject } from './sql-suite.js'

const PROCESSES = 4
const CLIENTS = 6
const STEPS = 60

/**
 * Several processes on one table, each with its own pool, do everything at once to few sessions of few principals, while
 * they all sweep: every call is answered, so no two of them ever waited for each other.
 */
export async function noDeadlocks (t: Test, subject: Subject): Promise<void> {
  const connections = Array.from({ length: PROCESSES }, () => subject.connect())
  t.teardown(() => Promise.all(connections.map((db) => db.destroy())))
  await createTable(connections[0]!)
  let calls = 0
  const client = async (store: SqlStore): Promise<void> => {
    for (let step = 0; step < STEPS; step++) {
      await anything(store)
      calls++
    }
  }
  await Promise.all(connections.map(async (db, process) => {
    // Clocks that are apart: one process deletes what another one still writes.
    const store = new SqlStore({ db, sweepInterval: 0, now: () => Date.now() + process * 20 })
    await Promise.all(Array.from({ length: CLIENTS }, () => client(store)))
  }))
  t.equal(calls, PROCESSES * CLIENTS * STEPS)
}

/** The sessions that the clients know of. A login makes a new id, as an id is never used twice. */
const ids = Array.from({ length: 12 }, () => randomUUID())

async function anything (store: SqlStore): Promise<unknown> {
  const slot = randomInt(ids.length)
  const id = ids[slot]!
  const principal = `p-${randomInt(2)}`
  const record: SessionRecord = { payload: 'x'.repeat(randomInt(3000)), version: randomInt(1, 3), expiresAt: Date.now() + randomInt(60), principal }
  switch (randomInt(8)) {
    case 0: return await store.sweep()
    case 1: return await store.deleteAll(principal)
    case 2: return await store.delete(id)
    case 3: return await store.touch(id, Date.now() + 60)
    case 4: return await store.update(id, record)
    default: return await store.create(ids[slot] = randomUUID(), { ...record, version: 1 })
  }
}
