import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import Fastify from 'fastify'
import type { SessionStore } from 'fastify-openapi-session'
import { FileStore } from 'fastify-openapi-session/file'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { bare, bundle } from '../support/bundle.js'
import { postgresDb } from '../support/connections.js'
import { startPostgres } from '../support/servers-postgres.js'
import { temporaryDirectory } from '../support/servers-process.js'
import { startRedis } from '../support/servers-redis.js'
import { ask, guarded, managerOf, plugin } from '../support/harness.js'
import { sessionsOf } from './support.js'

const dyingApp = new URL('./fixtures/dying-app.ts', import.meta.url)

/** The next message of a child that has a field; a loader may send messages of its own. */
async function told (child: ChildProcess, field: string): Promise<any> {
  for (;;) {
    const [message] = await once(child, 'message', { signal: AbortSignal.timeout(240_000) }) as [Record<string, unknown>]
    if (message[field] !== undefined) return message[field]
  }
}

const cookieOf = (line: string | null): string => line?.split(';')[0] ?? ''

/** The deaths: what is asked of the app, the call of the store beside which it dies, and what the old token is answered then. */
const deaths = [
  { url: '/login', method: 'create', when: 'before', old: 200 }, { url: '/login', method: 'create', when: 'after', old: 200 },
  { url: '/login', method: 'delete', when: 'before', old: 200 }, { url: '/login', method: 'delete', when: 'after', old: 401 },
  { url: '/become', method: 'create', when: 'before', old: 200 }, { url: '/become', method: 'create', when: 'after', old: 200 },
  { url: '/become', method: 'update', when: 'before', old: 200 }, { url: '/become', method: 'update', when: 'after', old: 401 },
  { url: '/renew', method: 'update', when: 'before', old: 200 }, { url: '/renew', method: 'update', when: 'after', old: 401 },
  { url: '/logout', method: 'delete', when: 'before', old: 200 }, { url: '/logout', method: 'delete', when: 'after', old: 401 }
] as const

interface Place {
  readonly kind: string
  readonly address: string
  readonly reopen: () => SessionStore
  /** What is kept and would never end by itself. */
  readonly endless: () => Promise<unknown[]>
}

async function redis (t: Test): Promise<Place> {
  const { url } = await startRedis(t)
  const client = new Redis(url)
  t.teardown(() => { client.disconnect() })
  return {
    kind: 'redis',
    address: url,
    reopen: () => new RedisStore({ client, prefix: 'dying:' }),
    endless: async () => {
      const keys = await client.keys('*')
      const lives = await Promise.all(keys.map((key) => client.pttl(key)))
      return keys.filter((_, index) => (lives[index] as number) < 0)
    }
  }
}

async function file (t: Test): Promise<Place> {
  const directory = temporaryDirectory(t, 'death')
  // Each line has its expiry within, by which the sweep goes.
  return { kind: 'file', address: directory, reopen: () => new FileStore({ directory }), endless: async () => [] }
}

async function postgres (t: Test): Promise<Place> {
  const server = await startPostgres(t)
  const db = postgresDb(t, server)
  await createTable(db)
  return {
    kind: 'postgres',
    address: server.url,
    reopen: () => new SqlStore({ db, sweepInterval: 0 }),
    endless: async () => await db.selectFrom('sessions').select('id').where('expires_at', '>', Date.now() + 43_200_000).execute()
  }
}

/** What a request of an app that died left behind: everything or nothing of it, and a way to end it. */
async function lookAt (t: Test, { kind, reopen, endless }: Place, cookie: string, old: number): Promise<void> {
  const app = Fastify()
  await app.register(plugin, { store: reopen(), storeTimeout: 30, principal: (data) => data.userId })
  app.get('/me', { schema: guarded }, async () => 'in')
  const status = async (): Promise<number> => (await ask(app, '/me', cookie)).statusCode
  t.equal(await status(), old, `${kind}: all or nothing`)
  t.same(await endless(), [], `${kind}: everything that is kept has an end`)
  await managerOf(app).revokeAll('ada')
  await managerOf(app).revokeAll('eve')
  t.equal(await status(), 401, `${kind}: signing out everywhere finds all of it`)
  t.same(await sessionsOf(app, 'ada'), [])
  await app.close()
}

t.test('an app that is killed in the middle of a login, a renewal or a logout leaves all or nothing of it, and no record without an end', async (t) => {
  const [program, ...places] = await Promise.all([bundle(t, dyingApp), redis(t), file(t), postgres(t)])
  const start = (): ChildProcess => {
    const child = fork(program, places.map(({ kind, address }) => `${kind}=${address}`), bare)
    t.teardown(() => { child.kill('SIGKILL') })
    return child
  }
  for (const { url, method, when, old } of deaths) {
    await t.test(`${url}: ${when} ${method}`, async (t) => {
      const child = start()
      const addresses: Record<string, string> = await told(child, 'addresses')
      const post = async ({ kind }: Place, path: string, cookie = ''): Promise<Response> =>
        await fetch(`${addresses[kind]}${path}`, { method: 'POST', headers: cookie === '' ? {} : { cookie } })
      const cookies = await Promise.all(places.map(async (place) => cookieOf((await post(place, '/login')).headers.get('set-cookie'))))
      child.send({ when, method })
      await told(child, 'armed')
      const exit = once(child, 'exit')
      const answers = await Promise.allSettled(places.map(async (place, index) => await post(place, url, cookies[index])))
      t.same(answers.map(({ status }) => status), ['rejected', 'rejected', 'rejected'], 'no request was answered')
      await exit
      for (const [index, place] of places.entries()) await lookAt(t, place, cookies[index] ?? '', old)
    })
  }
})
