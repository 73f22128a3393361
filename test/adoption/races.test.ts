import { setImmediate as turn } from 'node:timers/promises'
import { MemoryStore, type SessionRecord } from 'fastify-openapi-session'
import { adoptCookies, adoptExpressSessions } from 'fastify-openapi-session/migration'
import t, { type Test } from 'tap'
import { createGate } from '../support/gate.js'
import { ask, cookieOf, sessionOf, type World } from '../support/harness.js'
import { ProbeStore } from '../support/probe-store.js'
import { expressSession, moved, required, secret, withFastifySession } from './support.js'

/** The key of a claim has 43 characters, and a session id has 22. */
const isClaim = (id: string): boolean => id.length === 43

/** An app with a signed-in user of the old one, whose store can be held and broken. */
async function scene (t: Test, options: object = {}): Promise<World & { old: InstanceType<typeof expressSession.MemoryStore>, cookie: string, probe: ProbeStore }> {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const probe = new ProbeStore(new MemoryStore())
  const made = await moved(t, old, 'sessionId', { store: probe, ...options })
  return { ...made, old, cookie, probe }
}

/** Moves the clock of the process forward for those who measure how long a request has taken. */
function passSeconds (t: Test, seconds: number): void {
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + seconds * 1000 })
}

const statusOf = async ({ app }: World, cookie: string, url = '/me'): Promise<number> => (await ask(app, url, cookie)).statusCode

t.test('a parallel request that only reads an adopted session does not undo what the first one saved', async (t) => {
  const world = await scene(t)
  const { app, cookie } = world
  const gate = createGate()
  app.get('/slow', required, async (request) => {
    const { data } = sessionOf(request)
    await gate.pass()
    return data
  })
  app.post('/add', required, async (request) => { sessionOf(request).data.cart.push('cake') })
  const slow = ask(app, '/slow', cookie)
  await gate.reached
  const own = cookieOf(await ask(app, 'POST /add', cookie))
  gate.open()
  t.equal((await slow).headers['set-cookie'], undefined)
  t.same((await ask(app, '/me', own)).json(), { userId: 'ada', cart: ['tea', 'cake'] })
  t.equal((await app.session.list('ada')).sessions.length, 1)
})

t.test('the changes of two parallel requests to an adopted session are both kept', async (t) => {
  const world = await scene(t)
  const { app, cookie } = world
  const gate = createGate()
  app.post('/set/:key', required, async (request) => {
    const { key } = request.params as { key: string }
    const session = sessionOf(request)
    session.data[key] = true
    if (key === 'slow') await gate.pass()
    else await session.update((data: any) => { data.updated = true })
  })
  const post = async (key: string) => await ask(app, `POST /set/${key}`, cookie)
  const slow = post('slow')
  await gate.reached
  const own = cookieOf(await post('fast'))
  gate.open()
  t.equal((await slow).statusCode, 200)
  t.same((await ask(app, '/me', own)).json(), { userId: 'ada', cart: ['tea'], fast: true, updated: true, slow: true })
})

t.test('a request that is slower than an adoption and a logout by other requests begins no session, whatever it read or changed', async (t) => {
  for (const work of ['read', 'write', 'update', 'renew', 'regenerate', 'destroy'] as const) {
    const world = await scene(t)
    const { app, cookie, events } = world
    const gate = createGate()
    app.post('/slow', required, async (request) => {
      const session = sessionOf(request)
      void session.data
      await gate.pass()
      if (work === 'write') session.data.late = true
      if (work === 'update') await session.update((data: any) => { data.late = true })
      if (work === 'renew') session.renew()
      if (work === 'regenerate') await session.regenerate(['userId'])
      if (work === 'destroy') session.destroy()
    })
    const slow = ask(app, 'POST /slow', cookie)
    await gate.reached
    const own = cookieOf(await ask(app, '/me', cookie))
    t.equal((await ask(app, 'POST /logout', own)).statusCode, 200)
    events.length = 0
    gate.open()
    const answer = await slow
    t.equal(answer.statusCode, work === 'update' ? 401 : 200, work)
    t.equal(cookieOf(answer), '', work)
    t.same((await app.session.list('ada')).sessions, [], work)
    t.notOk(events.some(({ type }) => type === 'created'), work)
    if (work === 'write') t.match(events, [{ type: 'discarded', reason: 'ended' }])
  }
})

t.test('parallel adoptions of one session do not count towards maxPerPrincipal, and the adopted session does', async (t) => {
  const world = await scene(t, { maxPerPrincipal: 2 })
  const { app, cookie, events } = world
  const login = await app.session.issue({ userId: 'ada', cart: [] } as never)
  const answers = await Promise.all(Array.from({ length: 5 }, async () => await ask(app, '/me', cookie)))
  t.same(answers.map(({ statusCode }) => statusCode), [200, 200, 200, 200, 200])
  const own = answers.map(cookieOf).filter((line) => line !== '')
  t.equal(own.length, 1)
  t.equal(await statusOf(world, own[0] ?? ''), 200)
  t.equal(await statusOf(world, login.cookie), 200)
  t.notOk(events.some(({ reason }) => reason === 'limit'))
  const another = await withFastifySession(world.old)
  t.equal(await statusOf(world, another), 200)
  t.equal(events.filter(({ reason }) => reason === 'limit').length, 1, 'the third one counts')
})

t.test('maxPerPrincipal holds if a login comes before an adopted session counts', async (t) => {
  const world = await scene(t, { maxPerPrincipal: 1 })
  const { app, cookie, events, probe } = world
  const gate = createGate()
  // The first update of the adopted session makes it count.
  probe.before = async ({ method }) => {
    if (method !== 'update') return
    probe.before = undefined
    await gate.pass()
  }
  const adopting = ask(app, '/me', cookie)
  await gate.reached
  const login = await app.session.issue({ userId: 'ada', cart: [] } as never)
  gate.open()
  t.equal((await adopting).statusCode, 200)
  t.equal((await app.session.list('ada')).sessions.length, 1)
  t.equal(await statusOf(world, login.cookie), 200, 'the login is the later one')
  t.equal(events.filter(({ reason }) => reason === 'limit').length, 1)
})

t.test('a login does not end a session that is being adopted', async (t) => {
  const world = await scene(t, { maxPerPrincipal: 1 })
  const { app, cookie, probe } = world
  const gate = createGate()
  probe.before = async ({ method, of }) => { if (method === 'create' && isClaim(of)) await gate.pass() }
  const adopting = ask(app, '/me', cookie)
  await gate.reached
  await app.session.issue({ userId: 'ada' })
  gate.open()
  const adopted = await adopting
  t.equal(adopted.statusCode, 200)
  t.equal(await statusOf(world, cookieOf(adopted)), 200, 'the adoption counts as the later login')
  t.equal((await app.session.list('ada')).sessions.length, 1)
})

t.test('an old session is adopted by a request with a slow body, too', async (t) => {
  const world = await scene(t)
  const { app, cookie } = world
  const gate = createGate()
  app.post('/upload', { ...required, preParsing: async () => { await gate.pass() } }, async () => 'taken')
  const upload = app.inject({ method: 'POST', url: '/upload', payload: {}, headers: { cookie } })
  await gate.reached
  const { now } = performance
  const later = t.intercept(performance, 'now', { value: () => now.call(performance) + 2000 })
  gate.open()
  const response = await upload
  later.restore()
  t.equal(response.statusCode, 200)
  t.equal(await statusOf(world, cookieOf(response)), 200)
})

t.test('revokeAll ends a session while it is being adopted', async (t) => {
  for (const method of ['create', 'destroy'] as const) {
    const world = await scene(t)
    const { app, cookie, old, probe } = world
    const gate = createGate()
    if (method === 'create') probe.before = async ({ method, of }) => { if (method === 'create' && isClaim(of)) await gate.pass() }
    const destroy = old.destroy.bind(old)
    old.destroy = (id, callback) => { if (method === 'destroy') void gate.pass().then(() => destroy(id, callback)); else destroy(id, callback) }
    const adopting = ask(app, '/me', cookie)
    await gate.reached
    t.equal(await app.session.revokeAll('ada'), 1)
    gate.open()
    const own = cookieOf(await adopting)
    if (own !== '') t.equal(await statusOf(world, own), 401)
    t.equal(await statusOf(world, cookie), 401)
    world.clock.advance(601_000)
    t.equal(await statusOf(world, cookie), 401)
  }
})

t.test('the old cookie of a session that was adopted, renewed and ended opens nothing, even an hour later', async (t) => {
  const world = await scene(t)
  const { app, cookie, old, clock } = world
  const copy = { ...old.sessions }
  app.post('/renew', required, async (request) => { sessionOf(request).renew() })
  let own = cookieOf(await ask(app, '/me', cookie))
  own = cookieOf(await ask(app, 'POST /renew', own))
  t.equal((await ask(app, 'POST /logout', own)).statusCode, 200)
  for (const passed of [0, 11_000, 601_000, 3_600_000]) {
    clock.advance(passed)
    // The old app saves its session once more, as a request of it that was under way would.
    Object.assign(old.sessions, copy)
    t.equal(await statusOf(world, cookie), 401, `${passed} ms`)
  }
  t.same((await app.session.list('ada')).sessions, [])
})

t.test('the id and secret of an adopted session are random, and contain nothing of the old cookie', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const record = { ...old.sessions }
  const values = new Set<string>()
  for (let round = 0; round < 3; round++) {
    Object.assign(old.sessions, record)
    const { app } = await moved(t, old, 'sessionId')
    const own = cookieOf(await ask(app, '/me', cookie))
    for (const part of own.slice('__Host-session='.length).split('.')) values.add(part)
    t.notOk(own.includes(Object.keys(record)[0] as string))
  }
  t.equal(values.size, 6)
})

t.test('an adopted session fails maxAge, unless authenticatedAt returns a recent login', async (t) => {
  const logins: Array<[unknown, number]> = [
    [undefined, 401], [null, 401], [NaN, 401], [Infinity, 401], ['2999-01-01', 401], [new Date(NaN), 401],
    [Date.now() - 6 * 86_400_000, 401], [Date.now() - 60_000, 200], [Date.now() + 86_400_000, 200]
  ]
  for (const [at, status] of logins) {
    const store = new expressSession.MemoryStore()
    const cookie = await withFastifySession(store)
    const adopt = adoptExpressSessions({ cookieName: 'sessionId', secret, store, authenticatedAt: () => at as number })
    const world = await moved(t, store, 'sessionId', { adopt })
    const { app, clock } = world
    app.get('/pay', { ...required, config: { session: { maxAge: 300 } } as never }, async () => 'paid')
    const first = await ask(app, '/pay', cookie)
    t.equal(first.statusCode, status, String(at))
    const own = cookieOf(first) || cookieOf(await ask(app, '/me', cookie))
    t.equal(await statusOf(world, own, '/pay'), status, `${String(at)}, once adopted`)
    clock.advance(301_000)
    t.equal(await statusOf(world, own, '/pay'), 401, `${String(at)}, five minutes later`)
    t.equal(await statusOf(world, own), 200, `${String(at)}, the session lives`)
  }
})

t.test('if data or authenticatedAt throws, the error is reported, and the user can sign in', async (t) => {
  const thrown = (error: unknown) => () => { throw error }
  const mappers: Record<string, object> = {
    'an error': { data: thrown(new TypeError('hunter2')) },
    'nothing': { data: thrown(undefined) },
    'a rejection': { data: async () => { throw new Error('hunter2') } },
    'its login time': { authenticatedAt: thrown(new Error('hunter2')) }
  }
  for (const [name, mapper] of Object.entries(mappers)) {
    const store = new expressSession.MemoryStore()
    const cookie = await withFastifySession(store)
    const world = await moved(t, store, 'sessionId', { adopt: adoptExpressSessions({ cookieName: 'sessionId', secret, store, ...mapper }) })
    const { app, events } = world
    app.post('/login', { schema: { security: [{ session: [] }, {}] } }, async (request) => { sessionOf(request).start({ userId: 'ada', cart: [] }) })
    t.equal(await statusOf(world, cookie), 401, name)
    t.match(events[0], { type: 'discarded', reason: 'unfit' }, name)
    t.notMatch(JSON.stringify(events), 'hunter2', name)
    const login = await ask(app, 'POST /login', cookie)
    t.equal(login.statusCode, 200, name)
    t.equal(await statusOf(world, `${cookie}; ${cookieOf(login)}`), 200, name)
    t.equal(Object.keys(store.sessions).length, 1, `${name}: the old session is left alone`)
  }
})

t.test('if identify throws, the error is reported, and the user can sign in', async (t) => {
  const store = new expressSession.MemoryStore()
  const adopt = { cookieName: 'old', identify (value: string) { return (JSON.parse(value) as { id: string }).id }, find: () => undefined }
  const world = await moved(t, store, 'old', { adopt })
  const { app, events } = world
  app.post('/login', { schema: { security: [{ session: [] }, {}] } }, async (request) => { (request as any).session.start({ userId: 'ada', cart: [] }) })
  for (const value of ['hunter2', 'null']) {
    t.equal((await ask(app, 'POST /login', `old=${value}`)).statusCode, 200)
    t.equal(await statusOf(world, `old=${value}`), 401)
  }
  t.match(events[0], { type: 'discarded', reason: 'unfit', detail: 'reading it threw SyntaxError' })
  t.notMatch(JSON.stringify(events), 'hunter2')
})

t.test('data may be asynchronous', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const data = async ({ userId }: { userId: string }): Promise<object> => { await turn(); return { userId, cart: [] } }
  const { app } = await moved(t, store, 'sessionId', { adopt: adoptExpressSessions({ cookieName: 'sessionId', secret, store, data }) })
  t.same((await ask(app, '/me', cookie)).json(), { userId: 'ada', cart: [] })
})

t.test('if the confirmation of a claim is lost, the next request adopts the old session', async (t) => {
  const world = await scene(t)
  const { app, cookie, probe, clock } = world
  probe.after = ({ method, of }) => {
    if (method !== 'create' || !isClaim(of)) return
    probe.after = undefined
    throw new Error('the answer was lost')
  }
  t.equal(await statusOf(world, cookie), 503)
  t.same((await app.session.list('ada')).sessions, [], 'no session is left whose cookie was never sent')
  clock.advance(600_000)
  const own = cookieOf(await ask(app, '/me', cookie))
  t.equal(await statusOf(world, own), 200)
})

t.test('a logout by a parallel request ends the session, even if the adoption fails after it', async (t) => {
  const world = await scene(t)
  const { app, cookie, old } = world
  const gate = createGate()
  const destroy = old.destroy.bind(old)
  old.destroy = (_id, callback) => { old.destroy = destroy; void gate.pass().then(() => callback(new Error('down for a moment'))) }
  const adopting = ask(app, '/me', cookie)
  await gate.reached
  const logout = await ask(app, 'POST /logout', cookie)
  t.equal(logout.statusCode, 200)
  t.match(logout.headers['set-cookie'], [/^__Host-session=; Max-Age=0/, /^sessionId=; Max-Age=0/])
  gate.open()
  t.equal((await adopting).statusCode, 503)
  t.equal(await statusOf(world, cookie), 401)
  t.same((await app.session.list('ada')).sessions, [])
})

t.test('an adoption that fails does not remove the claim of another request', async (t) => {
  const adopt = adoptCookies({ cookieName: 'sessionId', open: () => ({ userId: 'ada' }), expiresAt: () => Date.now() + 86_400_000 })
  const world = await scene(t, { adopt })
  const { app, clock, probe } = world
  const gate = createGate()
  let isFirst = true
  probe.before = async ({ method, of }) => {
    if (method !== 'create' || !isClaim(of) || !isFirst) return
    isFirst = false
    await gate.pass()
    throw new Error('down')
  }
  const failing = ask(app, '/me', 'sessionId=token')
  await gate.reached
  const other = await ask(app, '/me', 'sessionId=token')
  t.equal(other.statusCode, 200)
  gate.open()
  t.equal((await failing).statusCode, 503)
  clock.advance(10_000)
  t.equal(await statusOf(world, 'sessionId=token'), 401, 'a copy of the old cookie')
  t.equal(await statusOf(world, cookieOf(other)), 200)
})

t.test('an adoption that fails is not tried again by the response to its error', async (t) => {
  const { app, cookie, probe, old } = await scene(t)
  app.post('/put', required, async (request) => { sessionOf(request).set('late', true) })
  let fails = 1
  probe.before = ({ method }) => { if (method === 'create' && fails-- > 0) throw new Error('down for a moment') }
  const response = await ask(app, 'POST /put', cookie)
  t.equal(response.statusCode, 503)
  t.equal(response.headers['set-cookie'], undefined)
  t.equal(Object.keys(old.sessions).length, 1)
  t.equal((await ask(app, 'POST /put', cookie)).statusCode, 200)
})

t.test('a damaged claim opens no session', async (t) => {
  const world = await scene(t)
  const { cookie, probe } = world
  const claims: string[] = []
  probe.before = ({ method, of }) => { if (method === 'create' && isClaim(of)) claims.push(of) }
  await statusOf(world, cookie)
  t.equal(claims.length, 1)
  const claim = await probe.inner.read(claims[0] as string) as SessionRecord
  for (const payload of ['', 'null', '{}', '{"claim":5}', claim.payload.replace(/"claim":"[^"]*"/, '"claim":"../x"')]) {
    await probe.inner.delete(claims[0] as string)
    await probe.inner.create(claims[0] as string, { ...claim, payload, version: 1 })
    t.equal(await statusOf(world, cookie), 401, payload)
  }
  t.equal(await statusOf(world, `__Host-session=${claims[0] as string}`), 401, 'nor is its key a cookie')
})

t.test('a client that withholds the body of a request until the session that it adopts has ended does not reach the handler', async (t) => {
  let isDisabled = false
  const endings: Record<string, (world: Awaited<ReturnType<typeof scene>>) => unknown> = {
    'ended in the old app': ({ old }) => { old.sessions = {} },
    'adopted and signed out by another request': async (world) => await ask(world.app, 'POST /logout', world.cookie),
    'adopted and then signed out everywhere': async (world) => {
      await ask(world.app, '/me', world.cookie)
      await world.app.session.revokeAll('ada')
    },
    'refused by verify': () => { isDisabled = true }
  }
  for (const [name, end] of Object.entries(endings)) {
    await t.test(name, async (t) => {
      isDisabled = false
      const world = await scene(t, { verify: () => !isDisabled })
      const gate = createGate()
      let entered = 0
      world.app.post('/transfer', { ...required, preParsing: async () => { await gate.pass() } }, async () => ++entered)
      const withheld = world.app.inject({ method: 'POST', url: '/transfer', payload: {}, headers: { cookie: world.cookie } })
      await gate.reached
      await end(world)
      passSeconds(t, 2)
      gate.open()
      t.equal((await withheld).statusCode, 401)
      t.equal(entered, 0)
    })
  }
})

t.test('a request with a slow body adopts the session, or gets the one that a faster request has adopted', async (t) => {
  for (const isFaster of [false, true]) {
    await t.test(isFaster ? 'another request is faster' : 'no other request comes', async (t) => {
      const world = await scene(t)
      const { app, cookie } = world
      const gate = createGate()
      app.post('/change', { ...required, preParsing: async () => { await gate.pass() } }, async (request) => {
        sessionOf(request).data.slow = true
      })
      const slow = app.inject({ method: 'POST', url: '/change', payload: {}, headers: { cookie } })
      await gate.reached
      const own = isFaster ? cookieOf(await ask(app, '/me', cookie)) : undefined
      passSeconds(t, 2)
      gate.open()
      const answer = await slow
      t.equal(answer.statusCode, 200)
      t.match((await ask(app, '/me', own ?? cookieOf(answer))).json(), { userId: 'ada', slow: true })
      t.equal((await app.session.list('ada')).sessions.length, 1)
    })
  }
})
