import type { Client } from 'fastify-openapi-session/testing'
import t from 'tap'
import { backends } from './backends.js'
import { rounds } from './rounds.js'
import { ask, managerOf, reported, setCookies } from '../support/harness.js'
import { alone, COOKIE, createWorld, onEach, replay, sessionsOf, startSlow, stored, tokenOf } from './support.js'

onEach(t, 'a logout ends the session on the server and in the browser, once and twice (CVE-2024-31999)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const token = tokenOf(ada)
  t.equal(await replay(world, token), 200)
  const [line = ''] = setCookies(await ada.post('/logout'))
  t.match(line, new RegExp(`^${COOKIE}=; Max-Age=0; Path=/; .*HttpOnly; Secure; SameSite=Lax$`))
  t.equal(tokenOf(ada), '')
  t.equal((await ada.get('/me')).statusCode, 401)
  if (!backend.sealed) {
    t.equal(await replay(world, token), 401, 'the server does not know it any more')
    t.equal(await world.place.count(), 0)
    const again = await ask(world.app, 'POST /logout', `${COOKIE}=${token}`)
    t.equal(again.statusCode, 200)
    t.match(setCookies(again)[0], /Max-Age=0/, 'a browser that still has the cookie is told again')
  }
  const twice = await ada.post('/logout')
  t.equal(twice.statusCode, 200)
  t.same(setCookies(twice), [], 'one that has none is not')
})

alone.test('a sealed cookie is ended on the server by verify and a number per user', async (t) => {
  const generation = new Map([['ada', 1]])
  const world = await createWorld(t, backends['sealed'], { verify: (data) => data.generation === generation.get(data.userId) })
  const ada = world.visitor()
  await ada.post('/login', { userId: 'ada', generation: 1 })
  const token = tokenOf(ada)
  t.equal(await replay(world, token), 200)
  generation.set('ada', 2)
  const [line = ''] = setCookies(await ada.get('/me'))
  t.match(line, /Max-Age=0/)
  t.equal(await replay(world, token), 401)
})

onEach(t, 'the server enforces the idle timeout', async (t, backend) => {
  const world = await createWorld(t, backend, { idleTimeout: 600, absoluteTimeout: 3600 })
  const ada = await world.signedIn()
  const token = tokenOf(ada)
  world.clock.advance(599_000)
  t.equal(await replay(world, token), 200, 'a second before')
  const bob = await world.signedIn('bob')
  const bobs = tokenOf(bob)
  world.clock.advance(601_000)
  t.equal(await replay(world, bobs), 401, 'a second after')
  if (!backend.sealed) t.equal(await replay(world, token), 401, 'also where a request came in between')
  t.ok(reported(world.events).includes('expired:absent'))
})

onEach(t, 'each request moves the idle deadline, unless its route has touch: false', async (t, backend) => {
  const world = await createWorld(t, backend, { idleTimeout: 600, absoluteTimeout: 36_000 })
  world.app.get('/poll', { schema: { security: [{ session: [] }] }, config: { session: { touch: false } } as never }, async () => 'alive')
  const ada = await world.signedIn()
  for (let minute = 0; minute < 60; minute += 9) {
    world.clock.advance(9 * 60_000)
    t.equal((await ada.get('/me')).statusCode, 200)
  }
  world.clock.advance(9 * 60_000)
  t.equal((await ada.get('/poll')).statusCode, 200)
  world.clock.advance(61_000)
  t.equal((await ada.get('/poll')).statusCode, 401)
})

onEach(t, 'neither activity nor a renewal moves the absolute deadline', async (t, backend) => {
  const world = await createWorld(t, backend, { idleTimeout: 600, absoluteTimeout: 3600 })
  const ada = await world.signedIn()
  const end = world.clock.now() + 3_600_000
  const tokens: string[] = []
  while (world.clock.now() + 300_000 < end) {
    world.clock.advance(300_000)
    t.equal((await ada.get('/me')).statusCode, 200)
    t.equal((await ada.post('/do/renew')).statusCode, 200)
    t.equal((await ada.post('/put', { n: world.clock.now() })).statusCode, 200)
    tokens.push(tokenOf(ada))
  }
  world.clock.advance(end - world.clock.now() - 1)
  t.equal((await ada.get('/me')).statusCode, 200, 'a millisecond before')
  world.clock.advance(1)
  t.equal((await ada.get('/me')).statusCode, 401, 'at the deadline')
  for (const token of tokens) t.equal(await replay(world, token), 401)
  t.ok(reported(world.events).some((event) => event.startsWith('expired:')))
})

onEach(t, 'a change of principal does not move the absolute deadline, and a login does', async (t, backend) => {
  const world = await createWorld(t, backend, { idleTimeout: 3000, absoluteTimeout: 3600 })
  const ada = await world.signedIn()
  world.clock.advance(2_000_000)
  await ada.post('/do/become')
  const eves = tokenOf(ada)
  await ada.post('/login', { userId: 'bob' })
  world.clock.advance(1_600_000)
  t.equal(await replay(world, eves), 401)
  t.equal((await ada.get('/me')).statusCode, 200)
})

onEach(t, 'a store that keeps expired records does not move the absolute deadline', async (t, backend) => {
  // One whose clock is five minutes behind.
  const world = await createWorld(t, { ...backend, make: async (t, now) => await backend.make(t, () => now() - 300_000) }, { idleTimeout: 600, absoluteTimeout: 3600 })
  const ada = await world.signedIn()
  const token = tokenOf(ada)
  for (let passed = 0; passed < 3600; passed += 400) {
    t.equal(await replay(world, token), 200, `${passed} s`)
    world.clock.advance(400_000)
  }
  t.equal(await replay(world, token), 401)
}, stored)

onEach(t, 'requests without a cookie leave no record and get no cookie', async (t, backend) => {
  const world = await createWorld(t, backend)
  for (let i = 0; i < rounds(1000, 1000, backend.share); i++) {
    const response = await world.visitor().inject(i % 2 === 0 ? '/seen' : { method: 'POST', url: '/logout' })
    if (response.statusCode !== 200 || setCookies(response).length > 0) t.fail(`request ${i}`, { status: response.statusCode, headers: response.headers })
  }
  t.equal(await world.place.atRest(), '', 'no call of the store')
  t.equal(await world.place.count(), 0)
  t.same(reported(world.events), [])
})

onEach(t, 'sessions of a principal are listed and revoked: one, all others, all', async (t, backend) => {
  const world = await createWorld(t, backend)
  const app = managerOf(world.app)
  const clients: Client[] = []
  for (let i = 0; i < 5; i++) {
    clients.push(await world.signedIn())
    world.clock.advance(1000)
  }
  const bob = await world.signedIn('bob')
  const status = async (): Promise<number[]> => await Promise.all(clients.map(async (client) => (await client.get('/me')).statusCode))
  const all = await sessionsOf(world.app, 'ada')
  t.equal(all.length, 5)
  t.equal(new Set(all.map(({ id }) => id)).size, 5)
  t.ok(await app.revoke((all.at(-1) as { id: string }).id), 'the oldest')
  t.notOk(await app.revoke((all.at(-1) as { id: string }).id), 'it was over already')
  t.same(await status(), [401, 200, 200, 200, 200])

  // A request of each is under way when the others are revoked.
  const slow = await Promise.all(clients.slice(1).map((client) => startSlow(world, client, 'write')))
  t.equal(await app.revokeAll('ada', { except: (all[0] as { id: string }).id }), 3)
  await Promise.all(slow.map(({ release }) => release()))
  t.same(await status(), [401, 401, 401, 401, 200])
  t.equal(await app.revokeAll('ada'), 1)
  t.same(await status(), [401, 401, 401, 401, 401])
  t.equal((await bob.get('/me')).statusCode, 200, 'nobody else is signed out')
  t.same(await sessionsOf(world.app, 'ada'), [])
}, stored)

onEach(t, 'an unknown or malformed id revokes nothing', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  for (const id of ['', 'x', tokenOf(ada), '../../etc/passwd', '*', '__proto__', 'A'.repeat(22), 'A'.repeat(43), '%', '\0']) {
    t.notOk(await managerOf(world.app).revoke(id), id)
    t.equal(await managerOf(world.app).find(id), undefined)
  }
  for (const principal of ['', '*', '__proto__', 'ad', 'ADA', 'ada ', 'ada\0', '%', 'a_a']) t.equal(await managerOf(world.app).revokeAll(principal), 0, JSON.stringify(principal))
  t.equal((await ada.get('/me')).statusCode, 200)
}, stored)

onEach(t, 'expired sessions leave nothing in the list or in an index', async (t, backend) => {
  // Some stores leave it to a server, whose clock no test can move, to drop what has expired.
  const world = await createWorld(t, backend, { idleTimeout: 5, absoluteTimeout: 5 })
  world.clock.advance(Math.max(0, Date.now() - world.clock.now()))
  const clients = await Promise.all([1, 2, 3, 4, 5].map(() => world.signedIn()))
  await clients[0]?.post('/do/renew')
  await clients[1]?.post('/do/become')
  t.ok(await world.place.count() > 0)
  world.clock.advance(5001)
  t.same(await sessionsOf(world.app, 'ada'), [])
  t.equal(await managerOf(world.app).revokeAll('ada'), 0)
  t.same(await world.place.leftovers(), [])
}, stored)
