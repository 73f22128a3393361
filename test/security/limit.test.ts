import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { backends } from './backends.js'
import { rounds } from './rounds.js'
import { breakable } from './failing.js'
import { isSelected } from './selection.js'
import { reported } from '../support/harness.js'
import { alone, createWorld, onEach, replay, sessionsOf, type SessionStore, stored, tokenOf, type World } from './support.js'

onEach(t, 'maxPerPrincipal: a login above it ends the oldest, told with its reason', async (t, backend) => {
  const world = await createWorld(t, backend, { maxPerPrincipal: 2 })
  const tokens: string[] = []
  for (let i = 0; i < 4; i++) {
    tokens.push(tokenOf(await world.signedIn()))
    world.clock.advance(1000)
  }
  const bob = tokenOf(await world.signedIn('bob'))
  t.same(await Promise.all(tokens.map((token) => replay(world, token))), [401, 401, 200, 200])
  t.equal(await replay(world, bob), 200, 'others are not concerned')
  t.equal(reported(world.events).filter((event) => event === 'destroyed:limit').length, 2)
  t.equal((await sessionsOf(world.app, 'ada')).length, 2)
}, stored)

alone.test('maxPerPrincipal: a session that is written all the time is ended like any other', async (t) => {
  const { backend, probe } = breakable()
  const world = await createWorld(t, backend, { maxPerPrincipal: 1 })
  const thief = await world.signedIn()
  const { id } = (await sessionsOf(world.app, 'ada'))[0] as { id: string }
  let writes = 0
  // Right before the limit ends the session, its holder writes to it.
  probe.before = async (call) => {
    if (call.method !== 'update' || call.of !== id || writes === 5) return
    const { before } = probe
    probe.before = undefined
    await thief.post('/put', { n: ++writes })
    probe.before = before
  }
  world.clock.advance(1000)
  const owner = await world.signedIn()
  t.equal(writes, 5)
  t.equal((await thief.get('/me')).statusCode, 401)
  t.equal((await owner.get('/me')).statusCode, 200)
})

for (const backend of Object.values(backends).filter((backend) => backend.shared && isSelected(backend))) {
  /** Two processes of one app: the second one's clock is its own. */
  const two = async (t: Test): Promise<[World, World]> => {
    const here = await createWorld(t, backend, { maxPerPrincipal: 3 })
    const { another } = here.place
    const there = await createWorld(t, { make: async (_t, now) => ({ ...here.place, store: (another as (now: () => number) => SessionStore)(now) }) }, { maxPerPrincipal: 3 })
    return [here, there]
  }

  t.test(`maxPerPrincipal: logins in two processes at the same time leave exactly as many as are allowed, ${backend.name}`, async (t) => {
    const worlds = await two(t)
    for (let round = 0; round < rounds(10, 200, backend.share); round++) {
      const clients = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
        for (let waited = 0; waited < (i * round) % 5; waited++) await turn()
        return await (worlds[i % 2] as World).signedIn(`user${round}`)
      }))
      const alive = (await Promise.all(clients.map((client, i) => replay(worlds[(i + 1) % 2] as World, tokenOf(client))))).filter((status) => status === 200)
      t.equal(alive.length, 3, `round ${round}`)
    }
  })

  t.test(`maxPerPrincipal: a login where the clock is behind ends the oldest, not itself, ${backend.name}`, async (t) => {
    const [behind, ahead] = await two(t)
    ahead.clock.advance(300_000)
    const tokens: string[] = []
    for (const world of [ahead, ahead, ahead, behind, behind]) {
      tokens.push(tokenOf(await world.signedIn()))
      behind.clock.advance(1000)
      ahead.clock.advance(1000)
    }
    t.same(await Promise.all(tokens.map((token) => replay(behind, token))), [401, 401, 200, 200, 200])
    t.same(await Promise.all(tokens.map((token) => replay(ahead, token))), [401, 401, 200, 200, 200])
  })
}

onEach(t, 'maxPerPrincipal: a renewal ends no other session, a change of principal counts, guests do not', async (t, backend) => {
  const world = await createWorld(t, backend, { maxPerPrincipal: 2 })
  const [one, two] = [await world.signedIn(), await world.signedIn()]
  await one.post('/do/renew')
  t.same([(await one.get('/me')).statusCode, (await two.get('/me')).statusCode], [200, 200])
  world.clock.advance(1000)
  const guest = world.visitor()
  await guest.post('/put', { cart: 1 })
  await guest.post('/put', { userId: 'ada' })
  t.equal((await guest.get('/me')).statusCode, 200)
  t.equal((await sessionsOf(world.app, 'ada')).length, 2)
  const guests = await Promise.all([1, 2, 3, 4].map(async () => {
    const visitor = world.visitor()
    await visitor.post('/put', { cart: 1 })
    return (await visitor.get('/seen')).json<{ exists: boolean }>().exists
  }))
  t.same(guests, [true, true, true, true])
}, stored)

onEach(t, 'step-up: config.session.maxAge asks for a younger login, with the reason, and renewing is none', async (t, backend) => {
  const world = await createWorld(t, backend)
  world.app.post('/pay', { schema: { security: [{ session: [] }] }, config: { session: { maxAge: 300 } } as never }, async () => 'paid')
  const ada = await world.signedIn()
  t.equal((await ada.post('/pay')).statusCode, 200)
  world.clock.advance(300_000)
  t.equal((await ada.post('/pay')).statusCode, 200, 'at the limit')
  world.clock.advance(1)
  const refused = await ada.post('/pay')
  t.equal(refused.statusCode, 401)
  t.match(refused.headers['www-authenticate'], /error="insufficient_user_authentication", max_age=300$/)
  t.match(refused.json<{ message: string }>().message, /within the last 300 seconds/)
  for (const work of ['touch', 'write', 'renew', 'regenerate', 'update']) await ada.post(`/do/${work}`)
  t.equal((await ada.post('/pay')).statusCode, 401, 'nothing but a login makes it younger')
  t.equal((await ada.get('/me')).statusCode, 200, 'and it is alive for everything else')
  await ada.post('/login', { userId: 'ada' })
  t.equal((await ada.post('/pay')).statusCode, 200)
  world.clock.advance(300_001)
  await ada.post('/do/become')
  t.equal((await ada.post('/pay')).statusCode, 200, 'a change of principal is a login')
})

onEach(t, 'revocation reaches requests under way: what they do is not stored, and verify is asked at each load', async (t, backend) => {
  const disabled = new Set<string>()
  const world = await createWorld(t, backend, { verify: (data) => !disabled.has(data.userId) })
  const [ada, bob] = [await world.signedIn(), await world.signedIn('bob')]
  disabled.add('ada')
  t.equal((await ada.get('/me')).statusCode, 401)
  t.equal((await bob.get('/me')).statusCode, 200)
  disabled.clear()
  t.equal((await ada.get('/me')).statusCode, 401, 'it ended: enabling the account does not bring it back')
  t.ok(reported(world.events).includes('destroyed:verify'))
})
