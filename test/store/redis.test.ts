import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import t, { type Test } from 'tap'
import { type RedisClient, RedisStore } from 'fastify-openapi-session/redis'
import { type Clock, createClock, storeContract } from 'fastify-openapi-session/testing'
import type { SessionRecord, StoreReport } from 'fastify-openapi-session'
import { startRedis, startRedisCluster, startRedisSentinel } from '../support/servers.js'

const MINUTE = 60_000

/** A client of the test's own. */
function connect<Client extends { disconnect (): void, on (event: 'error', listener: () => void): unknown }> (t: Test, client: Client): Client {
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  return client
}

const damages = [
  () => 'garbage',
  (value: string) => value.slice(0, 30),
  (value: string) => value.replace('=user', '?user'),
  (value: string) => value.replace(/^1/, '2')
]

async function contract (t: Test, client: RedisClient): Promise<void> {
  let damaged = 0
  for (const { name, run } of storeContract) {
    await t.test(name, async (t) => {
      const outcome = await run((clock: Clock) => ({
        store: new RedisStore({ client, now: clock.now, timeout: 20 }),
        async damage (id) {
          const key = `session:id:${id}`
          const value = await (client as Redis).get(key) ?? ''
          await (client as Redis).set(key, damages[damaged++ % damages.length]!(value), 'KEEPTTL')
        }
      }))
      t.equal(outcome, 'passed')
    })
  }
}

t.test('the contract', async (t) => {
  const { port } = await startRedis(t)
  const inspector = connect(t, new Redis(port))
  await t.test('with ioredis 6', (t) => contract(t, connect(t, new Redis(port))))
  await t.test('with ioredis 5, a keyPrefix and automatic pipelines', async (t) => {
    await contract(t, connect(t, new Redis5(port, { keyPrefix: 'my app:', enableAutoPipelining: true })))
    const keys = await inspector.keys('*')
    t.ok(keys.some((key) => key.startsWith('my app:session:id:')))
  })
  await t.test('every key has a time to live', async (t) => {
    const keys = await inspector.keys('*')
    t.ok(keys.length > 100)
    for (const key of keys) if (await inspector.pttl(key) <= 0) t.fail(`${key} has none`)
  })
})

t.test('the contract in a cluster', async (t) => {
  const { nodes } = await startRedisCluster(t)
  await t.test('with ioredis 6, connecting when it is first used', (t) =>
    contract(t, connect(t, new Cluster([...nodes], { lazyConnect: true }))))
  await t.test('with ioredis 5, a keyPrefix and automatic pipelines', (t) =>
    contract(t, connect(t, new Cluster5([...nodes], { keyPrefix: '{x}y:', enableAutoPipelining: true }))))
})

const record = (over: Partial<SessionRecord> = {}): SessionRecord =>
  ({ payload: '{"n":1}', version: 1, expiresAt: Date.now() + MINUTE, ...over })

const reportsOf = (store: RedisStore): StoreReport[] => {
  const reports: StoreReport[] = []
  store.observe((report) => reports.push(report))
  return reports
}

t.test('what each call costs, as the server sees it', async (t) => {
  const { port } = await startRedis(t)
  const clock = createClock()
  const store = new RedisStore({ client: connect(t, new Redis(port)), now: clock.now })
  const inspector = connect(t, new Redis(port))
  const monitor = connect(t, await connect(t, new Redis(port)).monitor())
  const seen: string[] = []
  let mark = (): void => {}
  monitor.on('monitor', (_time: string, args: string[], source: string) => {
    if (args[0] === 'echo') mark()
    else if (source !== 'lua') seen.push(args[0]!.toLowerCase())
  })
  /** The server tells of a command after it has answered: until it tells of this one, more may come. */
  const told = async (): Promise<void> => {
    const marked = new Promise<void>((resolve) => { mark = resolve })
    await inspector.echo('told')
    await marked
  }
  const commandsOf = async (call: () => Promise<unknown>): Promise<string[]> => {
    await told()
    seen.length = 0
    await call()
    await told()
    return [...seen]
  }
  const life = 30 * MINUTE
  const user = (over: Partial<SessionRecord> = {}) => record({ principal: 'user', expiresAt: clock.now() + life, ...over })

  // Every script is sent once: from then on it is known by its digest.
  for (const id of ['x', 'y']) await store.create(id, user())
  await store.read('x')
  await store.update('x', user({ version: 2 }))
  await store.delete('x')
  await store.deleteAll('user')
  await store.list('user')

  t.same(await commandsOf(() => store.create('cart', record({ expiresAt: clock.now() + life }))), ['evalsha'], 'a session without a principal')
  t.same(await commandsOf(() => store.create('a', user())), ['evalsha', 'evalsha'], 'login: record and index')
  t.same(await commandsOf(() => store.read('a')), ['evalsha'])
  t.same(await commandsOf(() => store.read('nothing')), ['evalsha'])
  let version = 1
  for (let minute = 0; minute < 30; minute += 5) {
    clock.advance(5 * MINUTE)
    t.same(await commandsOf(() => store.read('a', clock.now() + life)), ['evalsha'], 'idle expiry moves in the command that reads')
    t.same(await commandsOf(() => store.update('a', user({ version: ++version }))), ['evalsha'], 'save: compare and set')
  }
  t.same(await commandsOf(() => store.update('a', user({ version: 1 }))), ['evalsha'], 'a stale save')
  clock.advance(5 * MINUTE)
  const again = await commandsOf(() => store.read('a', clock.now() + life))
  t.same(again, ['evalsha', 'evalsha', 'evalsha'], 'once an idle timeout the index is told')
  t.same(await commandsOf(() => store.read('a', clock.now() + life)), ['evalsha'])
  const ended = user({ version: ++version, expiresAt: clock.now() - 1 })
  t.same(await commandsOf(() => store.update('a', ended)), ['evalsha', 'zrem'], 'renewal ends the old one')
  await store.create('b', user())
  t.same(await commandsOf(() => store.delete('b')), ['evalsha', 'zrem'], 'logout: record and index')
  t.same(await commandsOf(() => store.delete('cart')), ['evalsha'])
  t.same(await commandsOf(() => store.delete('nothing')), ['evalsha'])
  for (const id of ['c', 'd', 'e']) await store.create(id, user())
  t.same(await commandsOf(() => store.list('user')), Array(4).fill('evalsha'), 'the index and each session')
  const all = await commandsOf(() => store.deleteAll('user', 'e'))
  t.same(all, ['evalsha', 'evalsha', 'evalsha', 'zrem', 'evalsha'], 'and a look whether any came meanwhile')
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
    await store.read('a', clock.now() + MINUTE);
    [own = 0, index = 0] = await ttls()
    t.ok(near(own, MINUTE) && index > own + GRACE - 10_000 && index <= 2 * MINUTE + GRACE, `${own} ${index}`)
  }
  await store.update('a', record({ version: 2, principal: 'user', expiresAt: clock.now() + 100 * MINUTE }));
  [own = 0, index = 0] = await ttls()
  t.ok(near(own, 100 * MINUTE) && near(index, 200 * MINUTE + GRACE), `${own} ${index}`)
  await store.delete('a')
  t.same(await client.keys('*'), [], 'nothing is left after a logout')

  await store.create('cart', record({ expiresAt: clock.now() + 20_000 }))
  await store.read('cart', clock.now() + MINUTE)
  t.ok(near(await client.pttl('p:id:cart'), MINUTE), 'a touch moves the end of the key too')
  await store.delete('cart')

  await store.create('short', record({ expiresAt: clock.now() + 40, principal: 'user' }))
  while ((await client.keys('p:id:*')).length > 0);
  t.ok(near(await client.pttl('p:principal:user'), GRACE + 80), 'the server frees what has expired')
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
  t.same((await store.list('user')).map(({ id }) => id).sort(), ['a', 'c', 'short'])
  t.same(await members(), ['a', 'c', 'short'], 'a record that is gone leaves with the next list')
  clock.advance(2 * MINUTE + GRACE - 1)
  await create('d', MINUTE)
  t.same(await members(), ['a', 'c', 'd', 'short'])
  clock.advance(1)
  await create('e', MINUTE)
  t.same(await members(), ['a', 'c', 'd', 'e'], 'an expired one with a login some minutes later')
  await client.del('id:a')
  t.equal(await store.deleteAll('user'), 3)
  t.same(await client.keys('*'), ['id:short'], 'all with deleteAll; what has expired by the clock of the test alone is left to the server')

  await create('mine', MINUTE)
  await client.zadd('principal:somebody else', clock.now() + MINUTE, 'mine')
  t.same(await store.list('somebody else'), [], 'an entry alone makes nobody the owner')
  t.equal(await store.deleteAll('somebody else'), 0)
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
  const here = new RedisStore({ client, now: clock.now })
  const ahead = new RedisStore({ client, now: () => clock.now() + 5 * MINUTE })
  /** A session that was touched as late as it could be without being entered again, and is in its last minutes. */
  const aged = async (principal: string): Promise<void> => {
    await here.create(principal, record({ principal, expiresAt: clock.now() + 30 * MINUTE }))
    clock.advance(30 * MINUTE - 1)
    await here.read(principal, clock.now() + 30 * MINUTE)
    clock.advance(27 * MINUTE)
  }
  await aged('ada')
  t.equal(await ahead.deleteAll('ada'), 0, 'none that is live by its clock')
  t.equal(await here.read('ada'), undefined, 'and yet it is over everywhere')

  await aged('bob')
  t.same(await ahead.list('bob'), [])
  await ahead.create('another', record({ principal: 'bob', expiresAt: clock.now() + 6 * MINUTE }))
  t.same((await here.list('bob')).map(({ id }) => id).sort(), ['another', 'bob'])
  t.ok(await client.pttl('session:principal:bob') > 4 * MINUTE, 'which has three minutes left')
  t.equal(await here.deleteAll('bob'), 2)
})

t.test('values of another type are damaged records', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client })
  const [reports, others] = [reportsOf(store), reportsOf(store)]
  await client.rpush('session:id:a', 'list')
  t.equal(await store.read('a'), undefined)
  t.same(reports, [{ kind: 'damaged', id: 'a' }])
  t.same(others, reports, 'told to everyone who listens')
  t.same(await client.keys('*'), [])
})

t.test('a write that the client sends again counts once', async (t) => {
  const { port } = await startRedis(t)
  const real = connect(t, new Redis(port))
  /** Sends every script twice, as ioredis does when the connection is lost before the answer. */
  const client = new Proxy(real, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (!String(name).startsWith('fastifyOpenapiSession')) return value.bind(target) as unknown
      return async (...args: unknown[]) => {
        await Reflect.apply(value, target, [...args])
        return await Reflect.apply(value, target, args) as unknown
      }
    }
  })
  const store = new RedisStore({ client })
  t.equal(await store.create('a', record()), true)
  t.equal(await store.create('a', record()), false)
  for (let version = 2; version < 10; version++) t.equal(await store.update('a', record({ version })), 'updated')
  t.equal(await store.update('a', record({ version: 9 })), 'conflict')
  t.equal((await store.read('a'))?.version, 9)
})

t.test('a server that does not answer', async (t) => {
  const server = await startRedis(t)
  const client = connect(t, new Redis(server.port))
  const store = new RedisStore({ client, timeout: 1, maxPending: 50 })
  t.teardown(() => server.resume())
  await new RedisStore({ client, timeout: 20 }).create('a', record())
  server.pause()
  const started = performance.now()
  const outcomes = await Promise.allSettled(Array.from({ length: 200 }, () => store.read('a')))
  const took = performance.now() - started
  t.ok(took >= 990 && took < 1900, `all are answered after ${took} ms`)
  const reasons = outcomes.map((outcome) => outcome.status === 'rejected' ? String(outcome.reason) : 'read')
  t.equal(reasons.filter((reason) => /no answer within 1000 ms/.test(reason)).length, 50)
  t.equal(reasons.filter((reason) => /50 commands are without an answer/.test(reason)).length, 150, 'refused at once')
  await t.rejects(store.read('a'), /without an answer/, 'what the client still holds counts')
  server.resume()
  await client.ping()
  await new Promise(setImmediate)
  t.ok(await store.read('a'), 'and all is well again')
})

t.test('a server that is not there', async (t) => {
  const server = await startRedis(t)
  const client = connect(t, new Redis(server.port, { retryStrategy: () => 20 }))
  const store = new RedisStore({ client, timeout: 0.2, maxPending: 20 })
  const patient = new RedisStore({ client, timeout: 20 })
  await patient.create('a', record())
  await server.kill9()
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => store.create(`${n}`, record())))
  t.ok(outcomes.every(({ status }) => status === 'rejected'))
  t.ok(outcomes.some((outcome) => /no answer within 200 ms/.test(String((outcome as PromiseRejectedResult).reason))))

  const waiting = patient.create('in time', record())
  await server.restart()
  t.equal(await waiting, true, 'a call that has time left waits for the server')
  t.same(await client.keys('*'), ['session:id:in time'], 'calls that were given up are not carried out later')
  client.disconnect()
  await new Promise((resolve) => client.once('end', resolve))
  await t.rejects(store.read('a'), /ended its connection/)
})

t.test('a client that connects when it is first used', async (t) => {
  const server = await startRedis(t)
  for (const client of [new Redis(server.port, { lazyConnect: true }), new Redis5(server.port, { lazyConnect: true })]) {
    const store = new RedisStore({ client: connect<Redis | Redis5>(t, client) })
    t.same(await Promise.all([store.create('a', record()), store.delete('a')]), [true, true], 'in the order of the calls')
  }

  await server.kill9()
  const client = connect(t, new Redis(server.port, { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 20 }))
  await t.rejects(new RedisStore({ client, timeout: 0.2 }).create('given up', record()), /no answer within 200 ms/)
  await server.restart()
  t.equal(await new RedisStore({ client, timeout: 20 }).create('in time', record()), true)
  t.same(await client.keys('*'), ['session:id:in time'], 'its first command is not carried out later either')
})

t.test('close leaves the client to the app', async (t) => {
  const { port } = await startRedis(t)
  const client = connect(t, new Redis(port))
  const listeners = client.listenerCount('ready')
  const store = new RedisStore({ client })
  const creating = store.create('a', record())
  await store.close()
  t.equal(await creating, true)
  await t.rejects(store.read('a'), /closed/)
  t.equal(await client.ping(), 'PONG')
  t.equal(client.listenerCount('ready'), listeners)
})

t.test('wrong options', async (t) => {
  const client = connect(t, new Redis({ lazyConnect: true }))
  const wrong: Array<[unknown, RegExp]> = [
    [undefined, /client must be a client of ioredis/],
    [{ client: {} }, /client must be a client of ioredis/],
    [{ client, prefix: 5 }, /prefix must be/],
    ...[0, -1, NaN, Infinity, '2'].map((timeout) => [{ client, timeout }, /timeout must be/] as [unknown, RegExp]),
    ...[0, 1.5, NaN, Infinity].map((maxPending) => [{ client, maxPending }, /maxPending must be/] as [unknown, RegExp])
  ]
  for (const [options, message] of wrong) {
    t.throws(() => new RedisStore(options as { client: RedisClient }), { code: 'FST_SESSION_OPTIONS', message })
  }
})

t.test('a primary that falls silent under a Sentinel', async (t) => {
  const { sentinels, name, primary } = await startRedisSentinel(t)
  const client = connect(t, new Redis({ sentinels: [...sentinels], name, sentinelRetryStrategy: () => 50, retryStrategy: () => 50 }))
  const store = new RedisStore({ client, timeout: 0.5 })
  await new RedisStore({ client, timeout: 20 }).create('a', record({ principal: 'user', expiresAt: Date.now() + 10 * MINUTE }))
  await client.wait(1, 5000)
  await primary.kill9()
  await t.rejects(store.read('a'), /no answer within 500 ms/)
  // Each try takes up to half a second: the replica is the primary long before the last one.
  let found: SessionRecord | undefined
  for (let tries = 0; tries < 60 && found === undefined; tries++) found = await store.read('a').catch(() => undefined)
  t.equal(found?.principal, 'user')
})

t.test('no record outlives its entry, whatever happens meanwhile', async (t) => {
  const { port } = await startRedis(t)
  const clock = createClock()
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, now: clock.now, timeout: 20 })
  const life = (minutes: number, over: Partial<SessionRecord> = {}) => record({ expiresAt: clock.now() + minutes * MINUTE, ...over })
  const indexed = async (id: string, principal: string) => {
    const key = `session:principal:${principal}`
    const entry = Number(await client.zscore(key, id))
    // The server's time goes on while the clock of the test stands still: it has had a few milliseconds between the two.
    const keeps = await client.pttl(key) + 10_000 >= await client.pttl(`session:id:${id}`)
    return keeps && entry >= (await store.read(id))!.expiresAt
  }

  await t.test('touches that reach differently far', async (t) => {
    await store.create('a', life(1, { principal: 'user' }))
    await Promise.all([store.read('a', clock.now() + 10 * MINUTE), store.read('a', clock.now() + 5 * MINUTE)])
    t.equal((await store.read('a', clock.now() + 18 * MINUTE))?.expiresAt, clock.now() + 18 * MINUTE)
    t.ok(await indexed('a', 'user'))
  })

  await t.test('a change of principal in the middle of a touch', async (t) => {
    await store.create('b', life(1, { principal: 'first' }))
    let changing: Promise<unknown> | undefined
    const meddling = new Proxy(client, {
      get (target, name) {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        return async (...args: unknown[]) => {
          if (name === 'fastifyOpenapiSession_index') await (changing ??= store.update('b', life(1, { version: 2, principal: 'second' })))
          return await Reflect.apply(value, target, args) as unknown
        }
      }
    })
    await new RedisStore({ client: meddling, now: clock.now, timeout: 20 }).read('b', clock.now() + 10 * MINUTE)
    t.equal(await changing, 'updated')
    t.ok(await indexed('b', 'second'))
    t.same((await store.list('second')).map(({ id }) => id), ['b'])
    t.same(await store.list('first'), [])
  })
})

t.test('a full Redis with maxmemory-policy noeviction loses nothing that was acknowledged', async (t) => {
  const { port } = await startRedis(t, { args: ['--maxmemory-policy', 'noeviction'] })
  const client = connect(t, new Redis(port))
  const store = new RedisStore({ client, timeout: 20 })
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
  await t.rejects(store.read('0', Date.now() + 60 * MINUTE), /OOM/, 'a touch takes memory as well')
  await t.rejects(store.update('0', record({ version: 2 })), /OOM/)
  t.equal(await store.delete('0'), true, 'a logout takes none')
  let ended = 1
  for (let n = 0; n < 50; n++) ended += await store.deleteAll(`user ${n}`)
  t.equal(ended, kept.length, 'nor does signing out everywhere, and the index knows every session')
})
