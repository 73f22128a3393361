import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createGate } from '../support/gate.js'
import { backends } from './backends.js'
import { rounds } from './rounds.js'
import { isSelected } from './selection.js'
import { ask, guarded, managerOf, reported, sessionOf, setCookies } from '../support/harness.js'
import { COOKIE, createWorld, onEach, replay, sessionsOf, type SessionStore, startSlow, stored, tokenOf, workNames, type World } from './support.js'

/* Requests of one session at the same time, on every store. */

const tokenIn = (response: { headers: Record<string, unknown> }): string => setCookies(response)[0]?.slice(COOKIE.length + 1).split(';')[0] as string

onEach(t, 'nothing revives a session that was ended meanwhile (CVE-2025-46336)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const count = rounds(25, 1000, backend.share)
  for (const work of workNames) {
    for (let round = 0; round < count; round++) {
      const ada = await world.signedIn(`ada${round}`)
      const token = tokenOf(ada)
      const slow = await startSlow(world, ada, work)
      await ask(world.app, 'POST /logout', `${COOKIE}=${token}`)
      const answer = await slow.release()
      world.gates.clear()
      const tokens = [token, ...setCookies(answer).filter((line) => !line.includes('Max-Age=0')).map((line) => line.slice(COOKIE.length + 1).split(';')[0] as string)]
      const alive = await Promise.all(tokens.map((each) => replay(world, each)))
      if (alive.includes(200) || tokens.length > 1 || await world.place.count() > 0) {
        t.fail(`${work}, round ${round}: alive again`, { alive, tokens })
        return
      }
    }
    t.pass(`${work}: ${count} rounds, dead in all of them`)
  }
}, stored)

onEach(t, 'nothing revives a session that ended in any other way while a request was under way', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ends: Record<string, (token: string) => unknown> = {
    revoke: async () => { for (const { id } of await sessionsOf(world.app, 'ada')) await managerOf(world.app).revoke(id) },
    revokeAll: () => managerOf(world.app).revokeAll('ada'),
    'another login': (token) => world.app.inject({ method: 'POST', url: '/login', payload: { userId: 'bob' }, headers: { cookie: `${COOKIE}=${token}` } }),
    idle: () => world.clock.advance(1_800_001)
  }
  for (const [name, end] of Object.entries(ends)) {
    for (const work of workNames) {
      const ada = await world.signedIn()
      const token = tokenOf(ada)
      const slow = await startSlow(world, ada, work)
      world.events.length = 0
      await end(token)
      const answer = await slow.release()
      t.same(setCookies(answer).filter((line) => !line.includes('Max-Age=0')), [], `${name}, ${work}`)
      t.equal(await replay(world, token), 401, `${name}, ${work}`)
      for (const principal of ['ada', 'eve']) t.same(await sessionsOf(world.app, principal), [])
      const isDiscarded = reported(world.events).includes(`discarded:${name === 'idle' ? 'idle-during-request' : 'ended'}`)
      t.equal(isDiscarded, !['read', 'touch', 'destroy'].includes(work), `${name}, ${work}: what is not stored is reported`)
      if (work === 'commit') t.equal(answer.json().exists, false)
      if (name === 'another login') await managerOf(world.app).revokeAll('bob')
    }
  }
}, stored)

onEach(t, 'signing out everywhere is final for renewals and logins by cookie that are under way', async (t, backend) => {
  const world = await createWorld(t, backend)
  for (let round = 0; round < rounds(30, 500, backend.share); round++) {
    const clients = await Promise.all([1, 2, 3].map(() => world.signedIn()))
    // Renewals and the sign-out start in the same turn of the event loop, in every order.
    const work = [...clients.map((client) => client.post('/do/renew')), managerOf(world.app).revokeAll('ada'), ...clients.map((client) => client.post('/do/become'))]
    await Promise.all(work.toSorted(() => round % 3 - 1))
    const left = await sessionsOf(world.app, 'ada')
    const answers = await Promise.all(clients.map((client) => client.get('/me')))
    const known = answers.filter(({ statusCode }) => statusCode === 200).map((answer) => answer.json<{ userId: string }>().userId)
    if (left.length > 0 || known.includes('ada')) {
      t.fail(`round ${round}`, { left, known })
      return
    }
    await managerOf(world.app).revokeAll('eve')
  }
  t.pass('final in every round')
}, stored)

onEach(t, 'no update is lost: ten parallel requests, ten keys', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const count = rounds(40, 200, backend.share)
  let kept = 0
  for (let round = 0; round < count; round++) {
    await Promise.all(Array.from({ length: 10 }, async (_, key) => {
      const slow = await startSlow(world, ada, 'read')
      const put = ada.post('/put', { [`k${key}`]: round })
      await Promise.all([slow.release(), put])
    }))
    world.gates.clear()
    const data = (await ada.get('/me')).json<Record<string, number>>()
    kept += Array.from({ length: 10 }, (_, key) => data[`k${key}`]).filter((value) => value === round).length
  }
  t.equal(kept, count * 10)
}, stored)

onEach(t, 'update() on one key never loses one: the sum is exact', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const count = rounds(20, 100, backend.share)
  for (let round = 0; round < count; round++) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => ada.post('/add/n')))
    t.same(answers.filter(({ statusCode }) => statusCode !== 200), [])
  }
  t.equal((await ada.get('/me')).json<{ n: number }>().n, count * 10)
}, stored)

onEach(t, 'of two requests at once that change different keys both are kept, and of the same key the later one', async (t, backend) => {
  const world = await createWorld(t, backend)
  world.app.post('/change/:gate', { schema: guarded }, async (request) => {
    const { gate } = request.params as { gate: string }
    const session = sessionOf(request)
    session.data.same = gate
    session.data[gate] = 1
    if (gate === 'first') session.unset('old')
    await world.gates.get(gate)?.pass()
  })
  const ada = await world.signedIn()
  await ada.post('/put', { old: 1 })
  for (const gate of ['first', 'second']) world.gates.set(gate, createGate())
  const slow = [ada.post('/change/first'), ada.post('/change/second')]
  await Promise.all([...world.gates.values()].map(({ reached }) => reached))
  for (const n of [1, 0] as const) {
    world.gates.get(['first', 'second'][n]!)!.open()
    t.equal((await slow[n]!).statusCode, 200)
  }
  t.same((await ada.get('/me')).json(), { userId: 'ada', roles: [], same: 'first', first: 1, second: 1 })
  t.notOk(reported(world.events).some((event) => event.startsWith('discarded')))
}, stored)

onEach(t, 'an update by id does not undo the activity of a concurrent request', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const id = tokenOf(ada).split('.')[0] as string
  world.clock.advance(600_000)
  const gate = createGate()
  const update = managerOf(world.app).update(id, async (data: any) => {
    data.n = 1
    await gate.pass()
  })
  await gate.reached
  t.equal((await ada.get('/me')).statusCode, 200)
  gate.open()
  await update
  t.equal((await sessionsOf(world.app, 'ada'))[0]?.expiresAt, world.clock.now() + 1_800_000)
}, stored)

onEach(t, 'of several renewals at once one wins, and only its cookie opens the session', async (t, backend) => {
  const world = await createWorld(t, backend)
  for (let round = 0; round < rounds(30, 1000, backend.share); round++) {
    const ada = await world.signedIn(`ada${round}`)
    const old = tokenOf(ada)
    const slow = await Promise.all([1, 2, 3, 4].map(() => startSlow(world, ada, 'renew')))
    const answers = await Promise.all(slow.map(({ release }) => release()))
    const tokens = answers.flatMap(setCookies).map((line) => line.slice(COOKIE.length + 1).split(';')[0] as string)
    const alive = (await Promise.all(tokens.map((token) => replay(world, token)))).filter((status) => status === 200)
    t.equal(await replay(world, old), 401)
    t.equal(tokens.length, 1, 'one of the four renewed it, and only that one was given a token')
    t.equal(alive.length, 1)
    t.equal((await sessionsOf(world.app, `ada${round}`)).length, 1)
  }
  t.notOk(reported(world.events).includes('discarded:ended'))
}, stored)

onEach(t, 'maxPerPrincipal: logins at the same time leave exactly as many as are allowed', async (t, backend) => {
  const world = await createWorld(t, backend, { maxPerPrincipal: 3 })
  for (let round = 0; round < rounds(10, 200, backend.share); round++) {
    const clients = await Promise.all(Array.from({ length: 8 }, async (_, i) => {
      for (let waited = 0; waited < (i * round) % 5; waited++) await turn()
      return await world.signedIn(`user${round}`)
    }))
    const alive = (await Promise.all(clients.map((client) => replay(world, tokenOf(client))))).filter((status) => status === 200)
    t.equal(alive.length, 3, `round ${round}`)
    t.equal((await sessionsOf(world.app, `user${round}`)).length, 3)
  }
}, stored)

/** The store of a place, which writes down its calls. */
function counted (store: SessionStore, calls: string[]): SessionStore {
  return new Proxy(store, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        calls.push(String(name))
        return Reflect.apply(value, target, args)
      }
    }
  })
}

onEach(t, 'n parallel requests that write one session, in one process or two, make no more than a few calls of the store each', async (t, backend) => {
  const calls: string[] = []
  const place = await backend.make(t, Date.now)
  const stores = [place.store as SessionStore, ...place.another === undefined ? [] : [place.another(Date.now)]]
  const worlds = await Promise.all(stores.map(async (store) => await createWorld(t, { make: async () => ({ ...place, store: counted(store, calls) }) }, { now: Date.now })))
  const { cookie } = await managerOf((worlds[0] as World).app).issue({ userId: 'ada', roles: [] })
  const count = rounds(100, 600, backend.share)
  for (const write of ['/put', '/add/n']) {
    calls.length = 0
    const answers = await Promise.all(Array.from({ length: count }, async (_, index) => {
      const { app } = worlds[index % worlds.length] as World
      return await app.inject({ method: 'POST', url: write, payload: { [`k${index}`]: index }, headers: { cookie } })
    }))
    t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
    t.ok(calls.length <= 5 * count, `${write}: ${calls.length} calls for ${count} requests`)
  }
  const data = (await (worlds[0] as World).app.inject({ url: '/me', headers: { cookie } })).json<Record<string, number>>()
  t.equal(data['n'], count)
  t.equal(Object.keys(data).filter((key) => key.startsWith('k')).length, count)
}, stored)

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
  t.notOk(reported(world.events).includes('discarded:ended'))
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
  t.ok(reported(world.events).includes('discarded:ended'))
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
  t.ok(reported(world.events).includes('discarded:ended'))
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
