import t, { type Test } from 'tap'
import { backends } from './backends.js'
import { isSelected } from './selection.js'
import { ask, managerOf, reported, sessionOf, setCookies } from '../support/harness.js'
import { COOKIE, createWorld, onEach, replay, sessionsOf, type SessionStore, startSlow, stored, tokenOf, type World } from './support.js'

const tokenIn = (response: { headers: Record<string, unknown> }): string => setCookies(response)[0]?.slice(COOKIE.length + 1).split(';')[0] as string

onEach(t, 'a late logout ends the session, however often it was renewed in between', async (t, backend) => {
  const world = await createWorld(t, backend)
  for (const times of [1, 2, 3]) {
    const ada = await world.signedIn()
    const old = tokenOf(ada)
    const logout = await startSlow(world, ada, 'destroy')
    for (let i = 0; i < times; i++) await ada.post('/do/renew')
    const renewed = tokenOf(ada)
    t.equal(await replay(world, renewed), 200)
    const answer = await logout.release()
    t.match(setCookies(answer)[0], /Max-Age=0/)
    t.equal(await replay(world, renewed), 401, `renewed ${times} times`)
    t.equal(await replay(world, old), 401)
    t.same(await sessionsOf(world.app, 'ada'), [])
  }
}, stored)

onEach(t, 'a late login over a session that was renewed in between leaves one session', async (t, backend) => {
  const world = await createWorld(t, backend)
  world.app.post('/slow-login', { schema: { security: [{ session: [] }] } }, async (request) => {
    void sessionOf(request).data
    await world.gates.get('login')?.pass()
    sessionOf(request).start({ userId: 'ada', fresh: true })
  })
  const { createGate } = await import('../support/gate.js')
  const gate = createGate()
  world.gates.set('login', gate)
  const ada = await world.signedIn()
  const login = ada.post('/slow-login')
  await gate.reached
  const renewed = tokenIn(await ada.post('/do/renew'))
  gate.open()
  const started = tokenIn(await login)
  t.same([await replay(world, renewed), await replay(world, started)], [401, 200])
  t.equal((await sessionsOf(world.app, 'ada')).length, 1)
}, stored)

onEach(t, 'a late save is kept although the session was renewed in between', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  await ada.post('/put', { n: 1, kept: 1 })
  for (const work of ['write', 'update', 'commit', 'renew']) {
    await ada.post('/put', { late: false })
    const slow = await startSlow(world, ada, work)
    const token = tokenIn(await ada.post('/do/renew'))
    await ada.post('/put', { n: 2 })
    const answer = await slow.release()
    t.equal(answer.statusCode, 200, work)
    t.same(setCookies(answer), [], 'the browser has the cookie of the renewal')
    t.equal(await replay(world, token), 200)
    t.same((await ada.get('/me')).json(), { userId: 'ada', roles: [], n: 2, kept: 1, late: work !== 'renew' }, work)
  }
  t.notOk(reported(world.events).includes('discarded:ended-meanwhile'))
  t.equal((await sessionsOf(world.app, 'ada')).length, 1)
}, stored)

onEach(t, 'what another request saves while this one changes the principal is kept', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const slow = await startSlow(world, ada, 'become')
  t.equal((await ada.post('/put', { n: 1 })).statusCode, 200)
  const old = tokenOf(ada)
  t.equal((await slow.release()).statusCode, 200)
  t.same((await ada.get('/me')).json(), { userId: 'eve', roles: [], n: 1 })
  t.equal(await replay(world, old), 401)
  t.equal(await world.place.count(), 1)
}, stored)

onEach(t, 'a request with the cookie from before a renewal cannot take the session to another principal', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const slow = await startSlow(world, ada, 'become')
  const renewed = tokenIn(await ada.post('/do/renew'))
  const answer = await slow.release()
  t.equal(answer.statusCode, 409)
  t.same(setCookies(answer), [])
  t.equal(await replay(world, renewed), 200)
  t.same(await sessionsOf(world.app, 'eve'), [])
  t.equal(await world.place.count(), 1)
}, stored)

onEach(t, 'a late login by data does not begin a session when the session it would change has ended', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const slow = await startSlow(world, ada, 'become')
  await managerOf(world.app).revokeAll('ada')
  const answer = await slow.release()
  t.same(setCookies(answer), [])
  t.equal(await world.place.count(), 0)
  t.ok(reported(world.events).includes('discarded:ended-meanwhile'))
}, stored)

onEach(t, 'a late logout or save of one session does not reach another session of the same principal', async (t, backend) => {
  const world = await createWorld(t, backend)
  const [ada, other] = [await world.signedIn(), await world.signedIn()]
  await other.post('/do/renew')
  const logout = await startSlow(world, ada, 'destroy')
  const write = await startSlow(world, ada, 'write')
  for (const { id } of await sessionsOf(world.app, 'ada')) if (id !== tokenOf(other).split('.')[0]) await managerOf(world.app).revoke(id)
  await Promise.all([logout.release(), write.release()])
  const left = await sessionsOf(world.app, 'ada')
  t.equal(left.length, 1, 'the other one is untouched')
  t.notOk(left[0]?.data.late, 'nothing of one came into the other')
}, stored)

onEach(t, 'a late save of a guest does not reach the user who has signed in since', async (t, backend) => {
  const world = await createWorld(t, backend)
  world.app.post('/slow-guest', { schema: { security: [{ session: [] }, {}] } }, async (request) => {
    void sessionOf(request).data
    await world.gates.get('guest')?.pass()
    sessionOf(request).data.roles = ['admin']
  })
  const { createGate } = await import('../support/gate.js')
  const gate = createGate()
  world.gates.set('guest', gate)
  const guest = world.visitor()
  await guest.post('/put', { cart: 1 })
  const slow = guest.post('/slow-guest')
  await gate.reached
  await guest.post('/put', { userId: 'ada' })
  gate.open()
  await slow
  t.same((await guest.get('/me')).json(), { userId: 'ada', roles: [], cart: 1 })
  t.ok(reported(world.events).includes('discarded:ended-meanwhile'))
}, stored)

for (const backend of Object.values(backends).filter((backend) => backend.shared && isSelected(backend))) {
  /** Two processes of one app, the second of which has a clock that is behind. */
  const two = async (t: Test, idleTimeout: number, seconds: number): Promise<[World, World]> => {
    const ahead = await createWorld(t, backend, { idleTimeout })
    const { another } = ahead.place
    const now = (): number => ahead.clock.now() - seconds * 1000
    const store = (another as (now: () => number) => SessionStore)(now)
    return [ahead, await createWorld(t, { make: async () => ({ ...ahead.place, store }) }, { idleTimeout, now })]
  }

  t.test(`a logout by a process for which the session has expired holds where the clock is behind, ${backend.name}`, async (t) => {
    const [ahead, behind] = await two(t, 600, 120)
    const ada = await ahead.signedIn()
    const token = tokenOf(ada)
    const slow = await startSlow(ahead, ada, 'destroy')
    ahead.clock.advance(650_000)
    t.equal((await slow.release()).statusCode, 200)
    t.equal(await replay(behind, token), 401)
  })

  t.test(`a logout where the clock is ahead ends a session that was renewed where it is behind, ${backend.name}`, async (t) => {
    const [ahead, behind] = await two(t, 120, 100)
    const ada = await ahead.signedIn()
    const slow = await startSlow(ahead, ada, 'destroy')
    const renewed = tokenIn(await ask(behind.app, 'POST /do/renew', `${COOKIE}=${tokenOf(ada)}`))
    ahead.clock.advance(60_000)
    t.equal((await slow.release()).statusCode, 200)
    t.equal(await replay(behind, renewed), 401)
  })
}
