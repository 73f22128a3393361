import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisStore } from 'connect-redis'
import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import createMemoryStore from 'memorystore'
import { createClient } from 'redis'
import createFileStore from 'session-file-store'
import t, { type Test } from 'tap'
import { type ExpressStore, fromExpressStore } from '../../lib/store/express.js'
import { storeContract } from '../../lib/testing/index.js'
import { pgPool } from '../support/connections.js'
import { everything } from '../support/everything.js'
import { startPostgres, startRedis } from '../support/servers.js'

const MINUTE = 60_000

/**
 * Runs the contract and resolves the names of the cases that did not pass, with `'not applicable'` or the error of each.
 *
 * @param before each case; empties a store whose lists take long when it is full
 */
async function notPassed (store: ExpressStore, before?: () => unknown): Promise<Map<string, unknown>> {
  const outcomes = new Map<string, unknown>()
  for (const { name, run } of storeContract) {
    await before?.()
    const outcome = await run((clock) => ({
      store: fromExpressStore(store, { now: clock.now }),
      damage: (id) => new Promise<void>((resolve, reject) => {
        const cookie = { originalMaxAge: MINUTE, maxAge: MINUTE, expires: new Date(Date.now() + MINUTE) }
        store.set(id, { cookie }, (error) => error ? reject(error) : resolve())
      })
    })).catch((error: unknown) => error)
    if (outcome !== 'passed') outcomes.set(name, outcome)
  }
  return outcomes
}

/** A count would read the whole store. */
const notCounted = new Map([['create returns how many live sessions the principal has', 'not applicable']])

t.test('stores that have all() pass the contract within one process', async (t) => {
  const passes = async (t: Test, store: ExpressStore): Promise<void> => {
    t.strictSame(await notPassed(store), notCounted)
  }

  await t.test('express-session MemoryStore', (t) => passes(t, new session.MemoryStore()))
  await t.test('memorystore', (t) => passes(t, new (createMemoryStore(session))({})))
  await t.test('connect-redis', async (t) => {
    const { url } = await startRedis(t)
    const client = await createClient({ url }).connect()
    t.teardown(() => client.close())
    await passes(t, new RedisStore({ client }))
  })
})

// Both write to a disk with each call, which takes a minute on a busy machine.
if (everything) t.test('stores without all() pass each case that needs no list, and all cases once they have one', async (t) => {
  const passes = async (t: Test, store: ExpressStore): Promise<void> => {
    const outcomes = await notPassed(store)
    t.same([...outcomes.values()], [...outcomes.keys()].map(() => 'not applicable'))
    const noAll = { code: 'FST_SESSION_OPTIONS', message: /has no method all\(\)/ }
    await t.rejects(async () => await fromExpressStore(store).list('p', { limit: 1 }), noAll)
    await t.rejects(async () => await fromExpressStore(store).deleteAll('p'), noAll)
    await t.rejects(async () => await fromExpressStore(store).clear?.(), noAll)
  }

  await t.test('connect-pg-simple', async (t) => {
    const pool = pgPool(await startPostgres(t))
    t.teardown(() => pool.end())
    const store = new (connectPgSimple(session))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
    await passes(t, store)
    const all: ExpressStore['all'] = (callback) => pool.query('select sess from session')
      .then(({ rows }) => callback(null, rows.map((row) => row.sess)), callback)
    const empty = () => pool.query('delete from session')
    t.strictSame(await notPassed(Object.assign(store, { all }), empty), notCounted)
  })

  await t.test('session-file-store', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'session-express-'))
    t.teardown(() => rmSync(directory, { recursive: true, force: true }))
    const store = new (createFileStore(session))({ path: directory, retries: 0, reapInterval: -1, logFn: () => {} })
    await passes(t, store)
    const all: ExpressStore['all'] = async (callback) => {
      const ids = readdirSync(directory).filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -5))
      const read = (id: string) => new Promise((resolve) => store.get(id, (_error, found) => resolve(found)))
      callback(null, await Promise.all(ids.map(read)))
    }
    const empty = (): void => readdirSync(directory).forEach((name) => rmSync(join(directory, name)))
    t.strictSame(await notPassed(Object.assign(store, { all }), empty), notCounted)
  })
})
