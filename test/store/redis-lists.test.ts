import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { RedisStore } from 'fastify-openapi-session/redis'
import { createClock } from 'fastify-openapi-session/testing'
import { everything } from '../support/everything.js'
import { startRedis } from '../support/servers-redis.js'

const commands = new Set(['mget', 'evalsha', 'eval'])

/** A client that counts its commands, and how many of them are under way. */
function createClient (t: Test, port: number) {
  const client = new Redis(port)
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  const counted = { sent: 0, underWay: 0, most: 0 }
  const counting = new Proxy(client, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (!commands.has(name as string)) return value.bind(target) as unknown
      return async (...args: unknown[]) => {
        counted.sent++
        counted.most = Math.max(counted.most, ++counted.underWay)
        try {
          return await (Reflect.apply(value, target, args) as Promise<unknown>)
        } finally {
          counted.underWay--
        }
      }
    }
  })
  return { client: counting, counted }
}

/** Copies a session of the principal on the server, as if so many had begun in the same millisecond. */
async function copyMany (client: Redis, principal: string, id: string, count: number): Promise<void> {
  const lua = `
    local value, score = redis.call('GET', KEYS[1]), math.floor(redis.call('ZSCORE', KEYS[2], ARGV[1]))
    for n = 1, ARGV[2] do
      redis.call('SET', string.sub(KEYS[1], 1, -#ARGV[1] - 1) .. n, value, 'PX', 1800000)
      redis.call('ZADD', KEYS[2], score + n % 1024 / 1024, n)
    end`
  await client.call('EVAL', lua, 2, `s:id:${id}`, `s:principal:${principal}`, id, count)
}

async function createMany (store: RedisStore, principal: string, count: number, expiresAt: number): Promise<void> {
  for (let n = 0; n < count; n += 1000) {
    const ids = Array.from({ length: Math.min(1000, count - n) }, (_, m) => `${principal} ${n + m}`)
    await Promise.all(ids.map((id) => store.create(id, { payload: '{"n":1}', version: 1, expiresAt, principal })))
  }
}

async function * pagesOf (store: RedisStore, principal: string, limit: number): AsyncGenerator<Awaited<ReturnType<RedisStore['list']>>> {
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const page = await store.list(principal, { limit, cursor });
    ({ cursor } = page)
    yield page
  }
}

t.test('a principal with very many sessions, all of one millisecond, is listed and signed out in batches', async (t) => {
  const many = everything ? 100_000 : 10_000
  const live = many * 0.95
  const { port } = await startRedis(t)
  const { client, counted } = createClient(t, port)
  const clock = createClock()
  const store = new RedisStore({ client, prefix: 's:', now: clock.now, timeout: 240 })
  await createMany(store, 'ada', 1, clock.now() + 30 * 60_000)
  await copyMany(client, 'ada', 'ada 0', many - 2)
  t.equal(await store.create('last', { payload: '{"n":1}', version: 1, expiresAt: clock.now() + 30 * 60_000, principal: 'ada' }), many)
  for (let n = 1; n <= many - live; n++) void client.unlink(`s:id:${n}`)
  await store.delete('nothing')

  Object.assign(counted, { sent: 0, most: 0 })
  const found = new Set<string>()
  let pages = 0
  let longest = 0
  for await (const { sessions } of pagesOf(store, 'ada', 500)) {
    pages++
    longest = Math.max(longest, sessions.length)
    for (const { id } of sessions) found.add(id)
  }
  t.equal(found.size, live, 'every session is on a page')
  t.ok(pages <= many / 500 && longest <= 600, `${pages} pages, the longest of ${longest}`)
  t.ok(counted.most <= 100, `${counted.most} commands at once`)
  t.ok(counted.sent <= many + 3 * pages, `${counted.sent} commands`)
  t.equal(await client.zcard('s:principal:ada'), live, 'what had ended is taken out of the index')

  Object.assign(counted, { sent: 0, most: 0 })
  t.equal(await store.deleteAll('ada', `${many / 2}`), live - 1)
  t.ok(counted.most <= 100, `${counted.most} commands at once`)
  t.ok(counted.sent <= live + 2 * (live / 500 + 1), `${counted.sent} commands`)
  t.equal(await client.zcard('s:principal:ada'), 1)
  t.same((await client.keys('*')).sort(), [`s:id:${many / 2}`, 's:principal:ada'])
})

t.test('a sign-out everywhere is complete when it returns, whatever happens to the sessions beside it', async (t) => {
  const { port } = await startRedis(t)
  const { client } = createClient(t, port)
  const clock = createClock()
  const store = new RedisStore({ client, prefix: 's:', now: clock.now, timeout: 240 })
  const other = new RedisStore({ client: createClient(t, port).client, prefix: 's:', now: clock.now, timeout: 240 })
  const principal = 'ada'
  await createMany(store, principal, 3000, clock.now() + 60_000)
  let signedOut = false
  const busy = Array.from({ length: 20 }, async (_, n) => {
    for (let step = 0; !signedOut; step++) {
      const id = `ada ${(n * 150 + step) % 3000}`
      // Longer lives than the index knows of, so that the entry moves.
      await other.touch(id, clock.now() + 60_000 * (step + 2))
      await other.update(id, { payload: '{}', version: 2, expiresAt: clock.now() + 60_000 * (step + 3), principal })
    }
  })
  for await (const { sessions } of pagesOf(store, principal, 100)) {
    if (sessions.length > 150) t.fail(`a page of ${sessions.length} for 100 sessions that began in the same millisecond`)
  }
  t.equal(await store.deleteAll(principal), 3000)
  t.same(await client.keys('s:id:*'), [])
  signedOut = true
  await Promise.all(busy)
  t.same(await client.keys('s:id:*'), [])
})

t.test('300 concurrent lists of 50 sessions leave room for every other user', async (t) => {
  const { port } = await startRedis(t)
  const { client, counted } = createClient(t, port)
  const store = new RedisStore({ client, prefix: 's:', timeout: 240, maxPending: 1000 })
  await createMany(store, 'ada', 50, Date.now() + 30 * 60_000)
  await createMany(store, 'bob', 1, Date.now() + 30 * 60_000)
  counted.most = 0
  let listing = 300
  const lists = Array.from({ length: 300 }, async () => {
    const { sessions } = await store.list('ada', { limit: 50 })
    listing--
    return sessions.length
  })
  let reads = 0
  while (listing > 0) {
    await Promise.all([1, 2, 3, 4, 5, 6, 7, 8, 9].map(() => store.read('bob 0')))
    reads += 9
  }
  t.same(new Set(await Promise.all(lists)), new Set([50]), 'every list is whole')
  t.ok(reads >= 100, `${reads} reads beside them`)
  t.ok(counted.most <= 400, `${counted.most} commands at once`)
})

t.test('a page that an app asks for may be of any size, and a cursor of any text', async (t) => {
  const { port } = await startRedis(t)
  const { client, counted } = createClient(t, port)
  const store = new RedisStore({ client, prefix: 's:', timeout: 240 })
  await createMany(store, 'ada', 1200, Date.now() + 30 * 60_000)
  counted.most = 0
  const ids = new Set<string>()
  for await (const { sessions } of pagesOf(store, 'ada', 1_000_000)) for (const { id } of sessions) ids.add(id)
  t.equal(ids.size, 1200)
  t.ok(counted.most <= 100)
  const first = await store.list('ada', { limit: 10, cursor: undefined })
  for (const cursor of ['made up', '', '0b1', '(1']) t.same(await store.list('ada', { limit: 10, cursor }), first, 'clients may make a cursor up: the first page')
})
