import { once } from 'node:events'
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
import { inspect } from 'node:util'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import t, { type Test } from 'tap'
import { RedisStore, type RedisStoreOptions } from 'fastify-openapi-session/redis'
import { createClock } from 'fastify-openapi-session/testing'
import type { SessionRecord, StoreReport } from 'fastify-openapi-session'
import { createGate } from '../support/gate.js'
import { until } from '../support/servers-process.js'
import { startRedis, startRedisSentinel } from '../support/servers.js'

const MINUTE = 60_000

/** A client of the test's own. */
function connect<Client extends { disconnect (): void, on (event: 'error', listener: () => void): unknown }> (t: Test, client: Client): Client {
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

const record = (over: Partial<SessionRecord> = {}): SessionRecord =>
  ({ payload: '{"n":1}', version: 1, expiresAt: Date.now() + MINUTE, ...over })

/** The ids of all sessions of a principal. */
async function idsOf (store: RedisStore, principal: string, limit = 100): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await store.list(principal, { limit, cursor })
    ids.push(...page.sessions.map(({ id }) => id));
    ({ cursor } = page)
  } while (cursor !== undefined)
  return ids.sort()
}

const reportsOf = (store: RedisStore): StoreReport[] => {
  const reports: StoreReport[] = []
  store.observe((report) => reports.push(report))
  return reports
}

/** Counts what calls cost: the commands as the server sees them, without those of a script, and the writes to the socket. */
async function createMeter (t: Test, port: number, client: Redis) {
  const inspector = connect(t, new Redis(port))
  const monitor = createConnection(port, '127.0.0.1', () => monitor.write('MONITOR\r\n'))
  t.teardown(() => { monitor.destroy() })
  const lines = createInterface(monitor)
  await once(lines, 'line')
  const seen: string[] = []
  let mark = (): void => {}
  lines.on('line', (line: string) => {
    const [, source, command = ''] = /\[\d+ (\S+)\] "(\w+)"/.exec(line) ?? []
    if (command === 'echo') mark()
    else if (source !== 'lua') seen.push(command.toLowerCase())
  })
  /** The server reports a command after it has answered: until it reports this one, more may come. */
  const reported = async (): Promise<void> => {
    const marked = new Promise<void>((resolve) => { mark = resolve })
    await inspector.echo('reported')
    await marked
  }
  await client.ping()
  let writes = 0
  const socket = client.stream as unknown as Record<'_write' | '_writev', (...args: unknown[]) => void>
  for (const name of ['_write', '_writev'] as const) {
    const write = socket[name]
    socket[name] = function (...args) {
      writes++
      write.apply(this, args)
    }
  }
  return async (call: () => Promise<unknown>): Promise<[string, number]> => {
    await reported()
    seen.length = writes = 0
    await call()
    await reported()
    return [seen.join(' '), writes]
  }
}

t.test('what each call costs, in commands and round trips', async (t) => {
  const { port } = await startRedis(t)
  const clock = createClock()
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:', now: clock.now })
  const cost = await createMeter(t, port, client)
  const life = 30 * MINUTE
  const user = (over: Partial<SessionRecord> = {}) => record({ principal: 'user', expiresAt: clock.now() + life, ...over })

  // The server is given each script once: from then on it knows the script by its digest.
  t.same(await cost(() => store.create('x', user())), ['evalsha eval', 2])
  await store.touch('x', clock.now() + 3 * life)
  await store.update('x', user({ version: 2 }))
  await store.list('user', { limit: 10 })
  await store.delete('x')

  t.same(await cost(() => store.create('cart', record({ expiresAt: clock.now() + life }))), ['evalsha', 1], 'a session without a principal')
  t.same(await cost(async () => { t.equal(await store.create('a', user()), 1) }), ['evalsha', 1], 'a login enters the record and the index, and counts, in one command')
  t.same(await cost(() => store.read('a')), ['mget', 1], 'a read is one MGET')
  t.same(await cost(() => store.read('nothing')), ['mget', 1])
  t.same(await cost(() => Promise.all(Array.from({ length: 100 }, () => store.read('a')))), ['mget', 1], 'reads of one turn share a command')
  t.same(await cost(() => Promise.all(Array.from({ length: 101 }, () => store.read('a')))), ['mget mget', 2], 'up to 100 of them')
  t.same(await cost(() => Promise.all(Array.from({ length: 100 }, () => store.touch('a', 1)))), ['evalsha', 1], 'and so do all other calls')
  t.same(await cost(() => Promise.all([1, 2].map((n) => store.create(`large ${n}`, record({ payload: 'x'.repeat(300_000) }))))), ['evalsha evalsha', 2], 'but large records do not wait for others')
  let version = 1
  for (let minute = 0; minute < 30; minute += 5) {
    clock.advance(5 * MINUTE)
    t.same(await cost(() => store.touch('a', clock.now() + life)), ['evalsha', 1], 'a touch is one command')
    t.same(await cost(() => store.update('a', user({ version: ++version }))), ['evalsha', 1], 'a save is one command')
  }
  t.same(await cost(() => store.update('a', user({ version: 1 }))), ['evalsha', 1], 'a stale save')
  clock.advance(5 * MINUTE)
  t.same(await cost(() => store.touch('a', clock.now() + life)), ['evalsha evalsha evalsha', 3], 'once an idle timeout the session is entered again')
  t.same(await cost(() => store.touch('a', clock.now() + life + 1)), ['evalsha', 1])
  clock.advance(life - 1)
  t.same(await cost(() => store.update('a', user({ version: ++version, expiresAt: clock.now() + 2 * life }))), ['evalsha', 1], 'by a save in the same command')
  t.same(await cost(() => store.update('a', user({ version: ++version, expiresAt: clock.now() - 1 }))), ['evalsha', 1], 'a conditional delete')
  await store.create('b', user())
  t.same(await cost(() => store.update('b', user({ version: 2, principal: 'another' }))), ['evalsha evalsha', 2], 'a change of principal')
  t.same(await cost(() => store.delete('b')), ['evalsha evalsha', 2], 'a logout deletes the record and its entry')
  t.same(await cost(() => store.delete('cart')), ['evalsha', 1])
  t.same(await cost(() => store.delete('nothing')), ['evalsha', 1])
  for (const id of ['c', 'd', 'e']) await store.create(id, user())
  t.same(await cost(() => store.list('user', { limit: 10 })), ['evalsha mget', 2], 'the index, and all sessions of the page together')
  t.same(await cost(() => store.deleteAll('user', 'e')), ['evalsha evalsha evalsha', 3])
})

/** How long entries stay in an index after their time, for processes whose clocks are behind. */
const GRACE = 10 * MINUTE

t.test('the index outlives every record and is gone soon after the last one', async (t) => {
  const { port } = await startRedis(t)
  const clock = createClock()
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'p:', now: clock.now })
  const ttls = async () => [await client.pttl('p:id:a'), await client.pttl('p:principal:user')]
  const near = (actual: number, expected: number): boolean => actual <= expected && actual > expected - 10_000
  await store.create('a', record({ expiresAt: clock.now() + MINUTE, principal: 'user' }))
  let [own = 0, index = 0] = await ttls()
  t.ok(near(own, MINUTE) && near(index, 2 * MINUTE + GRACE), `${own} ${index}`)
  for (let n = 0; n < 50; n++) {
    clock.advance(MINUTE / 3)
    await store.touch('a', clock.now() + MINUTE);
    [own = 0, index = 0] = await ttls()
    t.ok(near(own, MINUTE) && index > own + GRACE - 10_000 && index <= 2 * MINUTE + GRACE, `${own} ${index}`)
  }
  await store.update('a', record({ version: 2, principal: 'user', expiresAt: clock.now() + 100 * MINUTE }));
  [own = 0, index = 0] = await ttls()
  t.ok(near(own, 100 * MINUTE) && near(index, 200 * MINUTE + GRACE), `${own} ${index}`)
  await store.delete('a')
  t.same(await client.keys('*'), [], 'nothing is left after a logout')

  await store.create('cart', record({ expiresAt: clock.now() + 20_000 }))
  await store.touch('cart', clock.now() + MINUTE)
  t.ok(near(await client.pttl('p:id:cart'), MINUTE), 'a touch moves the end of the key too')
  await store.delete('cart')

  await store.create('short', record({ expiresAt: clock.now() + 40, principal: 'user' }))
  while ((await client.keys('p:id:*')).length > 0);
  t.ok(near(await client.pttl('p:principal:user'), GRACE + 80), 'the server frees what has expired')
})

t.test('clear ends the sessions of its own prefix and no others, whatever is in the prefix', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const prefixes = ['', '*:', '[ab]:', 'a:', 'ab:', '\\a:']
  const stores = prefixes.map((prefix) => new RedisStore({ client, prefix: `shop:${prefix}` }))
  await client.set('*', 'not a session')
  for (const [index, store] of stores.entries()) {
    await Promise.all(stores.map((each) => each.create('a', record({ principal: 'user' }))))
    await store.clear()
    t.same(await Promise.all(stores.map(async (each) => await each.read('a') === undefined)), stores.map((_, other) => other === index), `prefix ${prefixes[index]}`)
    t.same(await idsOf(store, 'user'), [])
  }
  t.equal(await client.get('*'), 'not a session')
  const answering = new RedisStore({ client: proxyOf(client, () => 'soon'), prefix: 'shop:' })
  await t.rejects(answering.clear(), /unexpected reply/)
})

t.test('the index heals itself', async (t) => {
  const { port } = await startRedis(t)
  const clock = createClock()
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: '', now: clock.now })
  const members = async () => (await client.zrange('principal:user', '0', '-1')).sort()
  const create = (id: string, life: number) => store.create(id, record({ principal: 'user', expiresAt: clock.now() + life }))
  for (const id of ['a', 'b', 'c']) await create(id, 30 * MINUTE)
  await create('short', MINUTE)
  await client.del('id:b')
  t.same(await idsOf(store, 'user'), ['a', 'c', 'short'])
  t.same(await members(), ['a', 'c', 'short'], 'a record that is gone leaves with the next list')
  clock.advance(2 * MINUTE + GRACE - 1)
  await create('d', MINUTE)
  t.same(await members(), ['a', 'c', 'd', 'short'])
  clock.advance(2)
  await create('e', MINUTE)
  t.same(await members(), ['a', 'c', 'd', 'e'], 'an expired one with a login some minutes later')
  await client.del('id:a')
  t.equal(await store.deleteAll('user'), 3)
  t.same(await client.keys('*'), ['id:short'], 'all with deleteAll; what has expired by the clock of the test alone is left to the server')

  await create('mine', MINUTE)
  await client.zadd('principal:another', clock.now() + MINUTE, 'mine')
  t.same(await idsOf(store, 'another'), [], 'an entry alone makes no owner')
  t.equal(await store.deleteAll('another'), 0)
  t.ok(await store.read('mine'))

  const reports = reportsOf(store)
  await create('e', MINUTE)
  await client.set('principal:user', 'not an index', 'EX', 10)
  t.equal(await store.delete('e'), true, 'a logout is one, even if the index cannot be tidied up')
  t.match(reports, [{ kind: 'failed', task: /index/, error: Error }])
  await t.rejects(create('f', MINUTE), /WRONGTYPE/, 'but nobody is signed in whom a sign-out everywhere would not find')
})

t.test('the index forgets no session that is live by the clock of another process', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const clock = createClock()
  const here = new RedisStore({ client, prefix: 'session:', now: clock.now })
  const ahead = new RedisStore({ client, prefix: 'session:', now: () => clock.now() + 5 * MINUTE })
  /** A session that was touched as late as it could be without being entered again, and is in its last minutes. */
  const aged = async (principal: string): Promise<void> => {
    await here.create(principal, record({ principal, expiresAt: clock.now() + 30 * MINUTE }))
    clock.advance(30 * MINUTE - 1)
    await here.touch(principal, clock.now() + 30 * MINUTE)
    clock.advance(27 * MINUTE)
  }
  await aged('ada')
  t.equal(await ahead.deleteAll('ada'), 0, 'none that is live by its clock')
  t.equal(await here.read('ada'), undefined, 'and yet it is over everywhere')

  await aged('bob')
  t.same(await idsOf(ahead, 'bob'), [])
  await ahead.create('another', record({ principal: 'bob', expiresAt: clock.now() + 6 * MINUTE }))
  t.same(await idsOf(here, 'bob'), ['another', 'bob'])
  t.ok(await client.pttl('session:principal:bob') > 4 * MINUTE, 'which has three minutes left')
  t.equal(await here.deleteAll('bob'), 2)
})

t.test('a value of another type counts as absent', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:' })
  await client.rpush('session:id:a', 'list')
  await store.create('b', record())
  const [absent, found] = await Promise.all([store.read('a'), store.read('b')])
  t.equal(absent, undefined)
  t.ok(found)
  t.equal(await store.update('a', record({ version: 2 })), 'missing')
  t.equal(await store.create('a', record()), true)
  t.ok(await store.read('a'))
})

t.test('a damaged record is reported to every observer, and other reads of the turn succeed', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:' })
  const [reports, others] = [reportsOf(store), reportsOf(store)]
  await client.set('session:id:a', 'damaged')
  await store.create('b', record())
  const [absent, found] = await Promise.all([store.read('a'), store.read('b')])
  t.equal(absent, undefined)
  t.ok(found)
  t.same(reports, [{ kind: 'damaged', id: 'a' }])
  t.same(others, reports)
  t.same(await client.keys('*'), ['session:id:b'])
})

t.test('calls of one turn run in their order, each with its own result', async (t) => {
  const { port } = await startRedis(t)
  const store = new RedisStore({ client: connect(t, new Redis(port)), prefix: 'session:' })
  const user = record({ principal: 'user' })
  t.same(await Promise.all([
    store.create('a', user), store.create('a', record()), store.create('b', record({ payload: '"two\\nlines"\n\0\u{1f512}' })), store.touch('b', Date.now() + 2 * MINUTE),
    store.update('a', { ...user, version: 2 }), store.update('a', { ...user, version: 2, payload: '"late"' }), store.create('c', user), store.delete('a'),
    store.update('a', { ...user, version: 3 }), store.delete('nothing')
  ]), [1, false, true, undefined, 'updated', 'conflict', 2, true, 'missing', false])
  t.same((await store.read('b'))?.payload, '"two\\nlines"\n\0\u{1f512}')
  const [, before, , after] = await Promise.all([store.update('c', { ...user, version: 2 }), store.read('c'), store.delete('c'), store.read('c')])
  t.same([before?.version, after], [2, undefined], 'reads too')
  await store.create('c', user)
  t.same(await idsOf(store, 'user'), ['c'])
})

t.test('a call that fails fails no other call of its turn', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:' })
  await store.create('a', record())
  await client.set('session:principal:broken', 'not an index')
  const outcomes = await Promise.allSettled([
    store.update('a', record({ version: 2 })), store.create('b', record({ principal: 'broken' })), store.create('c', record({ principal: 'user' })), store.delete('a')
  ])
  t.match(outcomes, [{ value: 'updated' }, { reason: /^Error: RedisStore: WRONGTYPE/ }, { value: 1 }, { value: true }])
  t.same((await client.keys('*:id:*')), ['session:id:c'])
})

t.test('a time that is not a whole number fails its own call alone', async (t) => {
  const { port } = await startRedis(t)
  const store = new RedisStore({ client: connect(t, new Redis(port)), prefix: 'session:' })
  const outcomes = await Promise.allSettled([
    store.create('a', record()), store.create('b', record({ expiresAt: Date.now() + MINUTE + 0.5 })), store.update('a', record({ version: 2 })), store.delete('a')
  ])
  t.match(outcomes, [{ value: true }, { reason: /^Error: RedisStore: / }, { value: 'updated' }, { value: true }])
})

t.test('the latest time that a number can hold is read back, and so is the session', async (t) => {
  const { port } = await startRedis(t)
  const store = new RedisStore({ client: connect(t, new Redis(port)), prefix: 'session:' })
  const endless = record({ expiresAt: Number.MAX_SAFE_INTEGER, principal: 'user' })
  t.equal(await store.create('a', endless), 1)
  t.same(await store.read('a'), endless)
  t.equal(await store.create('a', endless), false)
  t.same(await idsOf(store, 'user'), ['a'])
})

t.test('a primary that has become a replica makes the client reconnect', async (t) => {
  const { port } = await startRedis(t)
  const errors: string[] = []
  const client = connect(t, new Redis(port, { reconnectOnError: ({ message }) => { errors.push(message); return false } }))
  const store = new RedisStore({ client, prefix: 'session:' })
  await store.create('a', record())
  await client.call('REPLICAOF', '127.0.0.1', '1')
  errors.length = 0
  await t.rejects(store.delete('a'), /READONLY/)
  const calls = [store.create('b', record()), store.delete('a'), store.update('a', record({ version: 2 }))]
  for (const outcome of await Promise.allSettled(calls)) t.match(outcome, { reason: /READONLY/ })
  t.match(errors, [/READONLY/, /READONLY/], 'ioredis shows it to reconnectOnError')
  t.equal(errors.length, 2)
  t.ok(await store.read('a'))
})

/** A client whose commands pass through `intercept`. */
function proxyOf (client: Redis, intercept: (command: string, args: string[], send: () => Promise<unknown>) => unknown): Redis {
  return new Proxy(client, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (!['mget', 'evalsha', 'eval'].includes(name as string)) return value.bind(target) as unknown
      return async (...args: string[]) => await intercept(name as string, args, async () => await (Reflect.apply(value, target, [...args]) as Promise<unknown>))
    }
  })
}

t.test('a write that the client sends again counts once', async (t) => {
  const { port } = await startRedis(t)
  /** Sends every script twice, as ioredis does when the connection is lost before the answer. */
  const client = proxyOf(connect(t, new Redis(port)), async (command, _args, send) => {
    if (command.startsWith('eval')) await send()
    return await send()
  })
  const store = new RedisStore({ client, prefix: 'session:' })
  for (const principal of [undefined, 'user']) {
    const id = `of ${principal}`
    const whose = principal === undefined ? {} : { principal }
    t.equal(await store.create(id, record(whose)), principal === undefined ? true : 1)
    t.equal(await store.create(id, record(whose)), false)
    for (let version = 2; version < 10; version++) t.equal(await store.update(id, record({ version, ...whose })), 'updated')
    t.equal(await store.update(id, record({ version: 9, ...whose })), 'conflict')
    t.equal((await store.read(id))?.version, 9)
  }
  t.same(await idsOf(store, 'user'), ['of user'])
})

t.test('a server that has forgotten the scripts is given them again', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:' })
  await client.script('FLUSH')
  t.equal(await store.create('a', record()), true)
  await client.script('FLUSH')
  t.same(await Promise.all([store.delete('a'), store.create('b', record())]), [true, true])

  // The answer NOSCRIPT comes after the time limit: by then the call has been given up.
  const gate = createGate()
  const slow = proxyOf(client, async (_command, _args, send) => {
    await gate.pass()
    return await send()
  })
  await t.rejects(new RedisStore({ client: slow, prefix: 'session:', timeout: 0.05 }).create('c', record()), /no reply within 50 ms/)
  await client.script('FLUSH')
  gate.open()
  await new Promise(setImmediate)
  await client.ping()
  await client.ping()
  t.equal(await client.exists('session:id:c'), 0, 'a call that was given up is not sent as a script')
})

t.test('an answer that is not understood is an error', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  await new RedisStore({ client, prefix: 'session:' }).create('a', record({ principal: 'user' }))
  for (const answer of [undefined, 1, {}, [], 'text', Buffer.from('created')]) {
    const store = new RedisStore({ client: proxyOf(client, () => answer), prefix: 'session:' })
    const calls: Array<() => Promise<unknown>> = [
      () => store.create('b', record()), () => store.touch('a', Date.now() + 2 * MINUTE), () => store.update('a', record({ version: 2 })),
      () => store.delete('a'), () => store.deleteAll('user'), () => store.list('user', { limit: 10 })
    ]
    if (typeof answer !== 'string') calls.push(() => store.read('a'))
    if (typeof answer !== 'number') calls.push(() => store.create('b', record({ principal: 'user' })))
    for (const call of calls) await t.rejects(call, /unexpected reply/, `${call.toString()}: ${typeof answer}`)
  }
  const found = proxyOf(client, (_command, args) => args[2]?.includes('principal') === true ? ['', 'a'] : 5)
  await t.rejects(new RedisStore({ client: found, prefix: 'session:' }).deleteAll('user'), /unexpected reply/, 'an entry that is not understood is no success')
})

t.test('an error carries no data of a session', async (t) => {
  const { port } = await startRedis(t, { args: ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'] })
  const store = new RedisStore({ client: connect(t, new Redis(port)), prefix: 'session:' })
  const error: unknown = await store.create('a', record({ payload: '"secret"', principal: 'user' })).catch((error: unknown) => error)
  t.match(error, /OOM/)
  t.notMatch(inspect(error, { depth: 9, showHidden: true }), 'secret')
})

t.test('a damaged record that was replaced in between stays', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:' })
  await client.set('session:id:a', 'damaged', 'EX', 60)
  const late = proxyOf(client, async (command, _args, send) => {
    if (command === 'evalsha') t.equal(await store.create('a', record()), true)
    return await send()
  })
  t.equal(await new RedisStore({ client: late, prefix: 'session:' }).read('a'), undefined)
  t.ok(await store.read('a'))
})

t.test('a server that does not answer', async (t) => {
  const server = await startRedis(t)
  const client = connect(t, new Redis(server.port))
  const store = new RedisStore({ client, prefix: 'session:', timeout: 1, maxPending: 50 })
  t.teardown(() => server.resume())
  await new RedisStore({ client, prefix: 'session:', timeout: 240 }).create('a', record())
  server.pause()
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => store.read('a')))
  const reasons = outcomes.map((outcome) => outcome.status === 'rejected' ? String(outcome.reason) : 'read')
  t.equal(reasons.filter((reason) => /no reply within 1000 ms/.test(reason)).length, 50)
  t.equal(reasons.filter((reason) => /50 calls are waiting for a reply/.test(reason)).length, 150, 'refused at once')
  await t.rejects(store.read('a'), /waiting for a reply/, 'what the client still holds counts')
  server.resume()
  await client.ping()
  await new Promise(setImmediate)
  for (let turn = 0; turn < 2; turn++) {
    t.notOk((await Promise.all(Array.from({ length: 50 }, () => store.read('a')))).includes(undefined), 'and all is well again')
  }
})

t.test('a reply after the time limit starts no further call', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const gate = createGate()
  const slow = proxyOf(client, async (_command, _args, send) => {
    const reply = await send()
    await gate.pass()
    return reply
  })
  const store = new RedisStore({ client: slow, prefix: 'session:', timeout: 0.05 })
  const unhandled: unknown[] = []
  const keep = (error: unknown): void => { unhandled.push(error) }
  process.on('unhandledRejection', keep)
  t.teardown(() => process.off('unhandledRejection', keep))
  await client.set('session:id:a', 'damaged')
  await t.rejects(store.read('a'), /no reply within 50 ms/)
  await store.close()
  gate.open()
  await client.ping()
  await new Promise(setImmediate)
  t.same(unhandled, [], 'no error that nobody can catch')
  t.equal(await client.get('session:id:a'), 'damaged')
})

t.test('a client that throws an error fails the call, and the call counts no longer', async (t) => {
  const client = connect(t, new Redis((await startRedis(t)).port))
  await client.ping()
  const throwing = new Proxy(client, {
    get: (target, name) => name === 'mget' ? () => { throw new TypeError('no slots') } : Reflect.get(target, name)
  })
  const store = new RedisStore({ client: throwing, prefix: 'session:', maxPending: 1 })
  for (let call = 0; call < 3; call++) await t.rejects(store.read('a'), /^RedisStore: no slots$/)
})

t.test('a server that is not there', async (t) => {
  const server = await startRedis(t)
  const client = connect(t, new Redis(server.port, { retryStrategy: () => 20 }))
  let sent = 0
  const counting = proxyOf(client, async (_command, _args, send) => {
    sent++
    return await send()
  })
  const store = new RedisStore({ client: counting, prefix: 'session:', timeout: 0.2, maxPending: 20 })
  const patient = new RedisStore({ client, prefix: 'session:', timeout: 240 })
  await patient.create('a', record())
  // ioredis listens, too, while it connects.
  const countListeners = () => client.listeners('ready').filter(({ name }) => name !== 'connectionReadyHandler').length
  const listeners = countListeners()
  const closed = once(client, 'close')
  await server.kill9()
  await closed
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => store.create(`${n}`, record())))
  const reasons = outcomes.map((outcome) => outcome.status === 'rejected' ? String(outcome.reason) : 'created')
  t.equal(reasons.filter((reason) => /no reply within 200 ms/.test(reason)).length, 20)
  t.equal(reasons.filter((reason) => /20 calls are waiting for a reply/.test(reason)).length, 80)
  await t.rejects(store.read('a'), /no reply within 200 ms/)
  t.equal(countListeners(), listeners + 1, 'a store listens once, however many calls wait and are given up')

  const waiting = patient.create('in time', record())
  await server.restart()
  t.equal(await waiting, true, 'a call that has time left waits for the server')
  t.equal(countListeners(), listeners)
  t.same(await client.keys('*'), ['session:id:in time'])
  t.equal(sent, 0, 'calls that were given up are never sent')
  client.disconnect()
  await new Promise((resolve) => client.once('end', resolve))
  await t.rejects(store.read('a'), /client is closed or was never connected/)
})

t.test('a client that connects when it is first used', async (t) => {
  const server = await startRedis(t)
  for (const client of [new Redis(server.port, { lazyConnect: true }), new Redis5(server.port, { lazyConnect: true })]) {
    const store = new RedisStore({ client: connect<Redis | Redis5>(t, client), prefix: 'session:' })
    t.same(await Promise.all([store.create('a', record()), store.delete('a')]), [true, true], 'in the order of the calls')
  }

  await server.kill9()
  const client = connect(t, new Redis(server.port, { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 20 }))
  await t.rejects(new RedisStore({ client, prefix: 'session:', timeout: 0.2 }).create('given up', record()), /no reply within 200 ms/)
  await server.restart()
  t.equal(await new RedisStore({ client, prefix: 'session:', timeout: 240 }).create('in time', record()), true)
  t.same(await client.keys('*'), ['session:id:in time'], 'its first command is not carried out later either')
})

t.test('close leaves the client to the app', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const listeners = client.listenerCount('ready')
  const store = new RedisStore({ client, prefix: 'session:' })
  const creating = store.create('a', record())
  await store.close()
  t.equal(await creating, true)
  await t.rejects(store.read('a'), /closed/)
  t.equal(await client.ping(), 'PONG')
  t.equal(client.listenerCount('ready'), listeners)
})

t.test('a call before close is carried out even if the app quits its client in the same turn', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const leaving = connect(t, new Redis(port))
  await leaving.ping()
  const store = new RedisStore({ client: leaving, prefix: 'session:' })
  // The first call of all is made twice, because the server does not have the script yet.
  await store.delete('none')
  const creating = store.create('a', record())
  void store.close()
  const left = leaving.quit()
  t.equal(await creating, true)
  t.equal(await left, 'OK')
  t.same(await client.keys('*'), ['session:id:a'])
})

t.test('wrong options', async (t) => {
  const client = connect(t, new Redis({ lazyConnect: true }))
  const prefix = 'session:'
  const replicas = connect(t, new Cluster([1], { lazyConnect: true, scaleReads: 'slave' }))
  const wrong: Array<[unknown, RegExp]> = [
    [undefined, /client must be a client of ioredis/],
    [{ client: {}, prefix }, /client must be a client of ioredis/],
    [{ client: replicas, prefix }, /client must have scaleReads: "master"/],
    ...[undefined, 5, null].map((prefix) => [{ client, prefix }, /prefix is missing\. Give each app its own, such as prefix: "shop:session:"/] as [unknown, RegExp]),
    ...[0, -1, NaN, Infinity, '2', 2 ** 31 / 1000].map((timeout) => [{ client, prefix, timeout }, /RedisStore: timeout must be/] as [unknown, RegExp]),
    ...[0, 1.5, NaN, Infinity].map((maxPending) => [{ client, prefix, maxPending }, /maxPending must be/] as [unknown, RegExp])
  ]
  for (const [options, message] of wrong) {
    t.throws(() => new RedisStore(options as RedisStoreOptions), { code: 'FST_SESSION_OPTIONS', message })
  }
})

t.test('a primary that falls silent under a Sentinel', async (t) => {
  const { sentinels, name, primary } = await startRedisSentinel(t)
  const client = connect(t, new Redis({ sentinels: [...sentinels], name, sentinelRetryStrategy: () => 50, retryStrategy: () => 50 }))
  const store = new RedisStore({ client, prefix: 'session:', timeout: 0.5 })
  await new RedisStore({ client, prefix: 'session:', timeout: 240 }).create('a', record({ principal: 'user', expiresAt: Date.now() + 10 * MINUTE }))
  await client.wait(1, 5000)
  await primary.kill9()
  await t.rejects(store.read('a'), /no reply within 500 ms/)
  let found: SessionRecord | undefined
  await until('the replica is the primary', async () => {
    found = await store.read('a').catch(() => undefined)
    return found !== undefined
  })
  t.equal(found?.principal, 'user')
})

t.test('no record outlives its entry, whatever happens meanwhile', async (t) => {
  const { port } = await startRedis(t)
  const clock = createClock()
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:', now: clock.now, timeout: 240 })
  const life = (minutes: number, over: Partial<SessionRecord> = {}) => record({ expiresAt: clock.now() + minutes * MINUTE, ...over })
  const indexed = async (id: string, principal: string) => {
    const key = `session:principal:${principal}`
    const entry = Number(await client.zscore(key, id))
    // The server's time goes on while the clock of the test stands still: it has had a few milliseconds between the two.
    const keeps = await client.pttl(key) + 10_000 >= await client.pttl(`session:id:${id}`)
    return keeps && entry >= (await store.read(id))!.expiresAt
  }

  await t.test('touches of different lengths leave the longest life', async (t) => {
    await store.create('a', life(1, { principal: 'user' }))
    await Promise.all([40, 10, 5].map((minutes) => store.touch('a', clock.now() + minutes * MINUTE)))
    t.equal((await store.read('a'))?.expiresAt, clock.now() + 40 * MINUTE)
    t.ok(await indexed('a', 'user'))
  })

  await t.test('a change of principal in the middle of a touch moves the entry', async (t) => {
    await store.create('b', life(1, { principal: 'first' }))
    let changing: Promise<unknown> | undefined
    const meddling = proxyOf(client, async (command, args, send) => {
      if (command === 'evalsha' && args[2] === 'session:principal:first') await (changing ??= store.update('b', life(1, { version: 2, principal: 'second' })))
      return await send()
    })
    await new RedisStore({ client: meddling, prefix: 'session:', now: clock.now, timeout: 240 }).touch('b', clock.now() + 10 * MINUTE)
    t.equal(await changing, 'updated')
    t.equal((await store.read('b'))?.expiresAt, clock.now() + 10 * MINUTE)
    t.ok(await indexed('b', 'second'))
    t.same(await idsOf(store, 'second'), ['b'])
    t.same(await idsOf(store, 'first'), [])
  })
})

t.test('a full Redis with maxmemory-policy noeviction loses nothing that was acknowledged', async (t) => {
  const { port } = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] })
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, prefix: 'session:', timeout: 240 })
  await client.config('SET', 'maxmemory', String(Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]) + 500_000))
  const kept: string[] = []
  const create = async (n: number): Promise<void> => {
    const id = `${n}`
    // Ends that differ, as in an app that is in use.
    const given = record({ payload: 'x'.repeat(200), principal: `user ${n % 50}`, expiresAt: Date.now() + (10 + n % 20) * MINUTE })
    if (await store.create(id, given)) kept.push(id)
  }
  let full: unknown
  for (let n = 0; full === undefined && n < 5000; n++) await create(n).catch((error: unknown) => { full = error })
  t.match(full, /OOM/)
  t.ok(kept.length > 100)
  t.notOk((await Promise.all(kept.map((id) => store.read(id)))).includes(undefined))
  // From here on it stays full, whatever the memory of its connections does.
  await client.config('SET', 'maxmemory', '1')
  await t.rejects(store.touch('0', Date.now() + 60 * MINUTE), /OOM/, 'a touch takes memory as well')
  await t.rejects(store.update('0', record({ version: 2 })), /OOM/)
  t.equal(await store.delete('0'), true, 'a logout takes none')
  let ended = 1
  for (let n = 0; n < 50; n++) ended += await store.deleteAll(`user ${n}`)
  t.equal(ended, kept.length, 'nor does signing out everywhere, and the index knows every session')
})
