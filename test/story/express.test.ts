import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import session from 'express-session'
import { createClient } from 'redis'
import createFileStore from 'session-file-store'
import t from 'tap'
import { type ExpressStore, fromExpressStore } from 'fastify-openapi-session/express'
import { pgPool } from '../support/connections.js'
import { startPostgres } from '../support/servers-postgres.js'
import { temporaryDirectory } from '../support/servers-process.js'
import { startRedis } from '../support/servers-redis.js'
import { anywhere, onServer } from './story.js'

t.test('express-session MemoryStore', async (t) => {
  const make = (): ReturnType<typeof fromExpressStore> => fromExpressStore(new session.MemoryStore())
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})

t.test('connect-redis', async (t) => {
  const client = await createClient({ url: (await startRedis(t)).url }).connect()
  t.teardown(() => client.close())
  let worlds = 0
  const make = (): ReturnType<typeof fromExpressStore> => fromExpressStore(new RedisStore({ client, prefix: `world${worlds++}:` }))
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})

t.test('connect-pg-simple, with the all() of the documentation', async (t) => {
  const pool = pgPool(await startPostgres(t))
  t.teardown(() => pool.end())
  const store = new (connectPgSimple(session))({ pool, createTableIfMissing: true, pruneSessionInterval: false })
  const all: ExpressStore['all'] = (callback) => pool.query('select sess from session')
    .then(({ rows }) => callback(null, rows.map((row) => row.sess)), callback)
  // It makes its table with the first call.
  await new Promise((resolve) => store.get('nobody', resolve))
  const make = async (): Promise<ReturnType<typeof fromExpressStore>> => {
    await pool.query('delete from session')
    return fromExpressStore(Object.assign(store, { all }))
  }
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
  await t.test('on the server', async (t) => await onServer(t, make, 0.1))
})

// It has no all(), without which nobody is signed out everywhere.
t.test('session-file-store', async (t) => {
  const directory = temporaryDirectory(t, 'express')
  const make = (): ReturnType<typeof fromExpressStore> =>
    fromExpressStore(new (createFileStore(session))({ path: directory, retries: 0, reapInterval: -1, logFn: () => {} }))
  await t.test('anywhere', async (t) => await anywhere(t, make, 0.1))
})
