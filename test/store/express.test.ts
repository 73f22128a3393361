import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisStore } from 'connect-redis'
import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import createMemoryStore from 'memorystore'
import pg from 'pg'
import { createClient } from 'redis'
import createFileStore from 'session-file-store'
import t, { type Test } from 'tap'
import { type ExpressStore, fromExpressStore } from '../../lib/store/express.js'
import { storeContract } from '../../lib/testing/index.js'
import { startPostgres, startRedis } from '../support/servers.js'

const MINUTE = 60_000

/** The cases of the contract that a store without all() cannot pass: those that list the sessions of a principal. */
const casesThatList = [
  'create writes nothing when the id is taken',
  'update over any other version is a conflict and writes nothing',
  'after a logout, a late save or touch brings nothing back',
  'an update that is already expired deletes, if nobody wrote in between',
  'nobody holds a live reference into the store',
  'a damaged record is an absent one, and is reported',
  'an expired record is undefined, missing, false, and in no list',
  'the id of an expired record is free',
  'what has expired before it is created is never there',
  'a touch moves the expiry forward, and nothing else',
  'a touch may reach far beyond the first expiry',
  'a session in steady use stays alive, and listed, however small its touches are',
  'update sets the expiry, be it later or earlier',
  'any text is a principal of its own',
  'list gives the live sessions of the principal, whole',
  'nobody has no sessions',
  'deleteAll ends the sessions of the principal and of nobody else',
  'deleteAll spares the session named by except',
  'deleteAll counts live sessions only',
  'a hundred sessions of one principal',
  'a session follows a change of its principal',
  'a session that ended is in no list, and does not come back with its id',
  'no save or touch survives a logout beside it',
  'deleteAll is final for sessions that are renewed meanwhile'
]

/**
 * Runs the contract and tells the names of the cases that failed, with the error of each.
 *
 * @param before each case; empties a store whose lists take long when it is full
 */
async function failures (store: ExpressStore, before?: () => unknown): Promise<Map<string, unknown>> {
  const failed = new Map<string, unknown>()
  for (const { name, run } of storeContract) {
    await before?.()
    try {
      await run((clock) => ({
        store: fromExpressStore(store, { now: clock.now }),
        damage: (id) => new Promise<void>((resolve, reject) => {
          const cookie = { originalMaxAge: MINUTE, maxAge: MINUTE, expires: new Date(Date.now() + MINUTE) }
          store.set(id, { cookie }, (error) => error ? reject(error) : resolve())
        })
      }))
    } catch (error) {
      failed.set(name, error)
    }
  }
  return failed
}

t.test('stores that have all() pass the contract within one process', async (t) => {
  const passes = async (t: Test, store: ExpressStore): Promise<void> => {
    t.strictSame(await failures(store), new Map())
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

t.test('stores without all() pass what needs no list, and everything once they are given one', async (t) => {
  const passes = async (t: Test, store: ExpressStore): Promise<void> => {
    const failed = await failures(store)
    t.strictSame([...failed.keys()], casesThatList)
    for (const [name, error] of failed) t.match(error, { code: 'FST_SESSION_OPTIONS', message: /has no all\(\)/ }, name)
  }

  await t.test('connect-pg-simple', async (t) => {
    const { url } = await startPostgres(t)
    const pool = new pg.Pool({ connectionString: url })
    // Without a listener, an idle connection that the stopping server ends would end the process.
    pool.on('error', () => {})
    t.teardown(() => pool.end())
    const store = new (connectPgSimple(session))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
    await passes(t, store)
    const all: ExpressStore['all'] = (callback) => pool.query('select sess from session')
      .then(({ rows }) => callback(null, rows.map((row) => row.sess)), callback)
    const empty = () => pool.query('delete from session')
    t.strictSame(await failures(Object.assign(store, { all }), empty), new Map())
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
    t.strictSame(await failures(Object.assign(store, { all }), empty), new Map())
  })
})
