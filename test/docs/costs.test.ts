import session from 'express-session'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Awaitable, SessionRecord, SessionStore } from 'fastify-openapi-session'
import { fromExpressStore } from 'fastify-openapi-session/express'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createTable, SqlStore } from 'fastify-openapi-session/sql'
import { createClock, type ManualClock } from 'fastify-openapi-session/testing'
import { startRedis } from '../support/servers-redis.js'
import { openWasm, sqliteKysely } from '../support/sqlite.js'
import { tableUnder } from './markdown.js'

const MINUTE = 60_000

/** A store whose calls of its server are written down. `take` returns those since the last time. */
interface Counted {
  readonly store: SessionStore
  readonly clock: ManualClock
  readonly take: () => string[]
}

async function sql (t: Test): Promise<Counted> {
  const seen: string[] = []
  const db = sqliteKysely(openWasm(), { log: ({ query }) => { seen.push(query.sql.split(' ')[0] ?? '') } }) as any
  t.teardown(async () => { await db.destroy() })
  await createTable(db)
  const clock = createClock()
  return { store: new SqlStore({ db, now: clock.now, sweepInterval: 0 }), clock, take: () => seen.splice(0) }
}

async function redis (t: Test): Promise<Counted> {
  const seen: string[] = []
  const client = new Redis((await startRedis(t)).url)
  t.teardown(() => { client.disconnect() })
  await client.ping()
  const clock = createClock()
  const store = new RedisStore({ client, prefix: 'costs:', now: clock.now })
  await everything(store, clock)
  const send = client.sendCommand.bind(client)
  client.sendCommand = (command, ...others) => {
    seen.push(command.name)
    return send(command, ...others)
  }
  return { store, clock, take: () => seen.splice(0) }
}

async function express (): Promise<Counted> {
  const seen: string[] = []
  const inner = new session.MemoryStore() as unknown as Record<string, (...args: unknown[]) => unknown>
  const store = Object.fromEntries(['get', 'set', 'destroy', 'all'].map((name) => [name, (...args: unknown[]) => {
    seen.push(name)
    return inner[name]?.(...args)
  }]))
  const clock = createClock()
  return { store: fromExpressStore(store as never, { now: clock.now }), clock, take: () => seen.splice(0) }
}

function recordAt (clock: ManualClock, over: Partial<SessionRecord> = {}): SessionRecord {
  return { payload: '{}', version: 1, expiresAt: clock.now() + 30 * MINUTE, principal: 'ada', ...over }
}

/** Makes each call once: a script is sent whole the first time, and by its digest from then on. */
async function everything (store: SessionStore, clock: ManualClock): Promise<void> {
  await store.create('x', recordAt(clock))
  await store.touch('x', clock.now() + 31 * MINUTE)
  await store.update('x', recordAt(clock, { version: 2 }))
  await store.list('ada', { limit: 1 })
  await store.delete('x')
}

/** Counts the calls of its server that each call of a store takes, named as in the docs. */
async function measure ({ store, clock, take }: Counted): Promise<Record<string, string[]>> {
  const taken: Record<string, string[]> = {}
  const count = async (name: string, call: Awaitable<unknown>): Promise<void> => {
    await call
    taken[name] = take()
  }
  take()
  await count('create', store.create('a', recordAt(clock)))
  await count('read', store.read('a'))
  clock.advance(4 * MINUTE)
  await count('touch', store.touch('a', clock.now() + 30 * MINUTE))
  await count('save', store.update('a', recordAt(clock, { version: 2 })))
  await count('save that finds another version, or nothing', store.update('a', recordAt(clock, { version: 2 })))
  await count('list', store.list('ada', { limit: 100 }))
  await count('logout', store.delete('a'))
  await store.create('b', recordAt(clock))
  take()
  await count('sign out everywhere', store.deleteAll('ada'))
  return taken
}

/** Returns the rows of a table of costs by name, without the parentheses after a name. */
function documented (page: string): Map<string, string> {
  return new Map(tableUnder(page, page.endsWith('sql.md') ? 'What each call costs' : 'What it costs')
    .flatMap(([names = '', cost = '']) => names.replace(/ \(.*\)/, '').split(/, (?!or)/).map((name): [string, string] => [name, cost])))
}

t.test('the calls to the server are as many as the table of stores says', async (t) => {
  const [heads = [], ...rows] = tableUnder('docs/stores.md', 'What each promises', { head: true })
  const row = rows.find(([promise]) => promise?.startsWith('calls to the server for a read, touch, save, login, logout'))
  for (const [name, open] of Object.entries({ SQL: sql, Redis: redis, express })) {
    const taken = await measure(await open(t))
    const cost = ['read', 'touch', 'save', 'create', 'logout'].map((call) => taken[call]?.length).join(', ')
    t.equal(row?.[heads.indexOf(name)], cost, name)
  }
})

t.test('Redis: the commands of each call are as many as docs/performance.md says', async (t) => {
  const rows = new Map(tableUnder('docs/performance.md', 'Redis').map(([name = '', commands = '']) => [name, commands]))
  const taken = await measure(await redis(t))
  for (const name of ['read', 'touch', 'save', 'create', 'logout']) t.equal(Number(rows.get(name)), taken[name]?.length, name)
})

t.test('SQL: the statements of each call are as many as docs/stores/sql.md says', async (t) => {
  const rows = documented('docs/stores/sql.md')
  const taken = await measure(await sql(t))
  t.same([...rows.keys()].sort(), Object.keys(taken).sort())
  for (const [name, calls] of Object.entries(taken)) t.equal(Number.parseInt(rows.get(name) ?? ''), calls.length, `${name}: ${calls.join(', ')}`)
})

t.test('express: the calls of the wrapped store are those that docs/stores/express.md names', async (t) => {
  const rows = documented('docs/stores/express.md')
  const taken = await measure(await express())
  t.same([...rows.keys()].sort(), Object.keys(taken).filter((name) => !name.startsWith('save that')).sort())
  for (const name of ['read', 'touch', 'save', 'create', 'logout', 'list']) {
    const calls = taken[name] ?? []
    const said = [...new Set(calls)].map((call) => `${calls.filter((other) => other === call).length} \`${call}\``).join(', ')
    t.ok(rows.get(name)?.startsWith(said), `${name}: ${said}`)
  }
  t.same(taken['sign out everywhere'], ['all', 'get', 'destroy'])
})
