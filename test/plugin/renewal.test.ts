/** Renewals, beside whatever else happens to a session at the same time. */
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t from 'tap'
import sessionPlugin from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import Fastify from 'fastify'
import { createGate } from '../support/gate.js'
import { ask, guarded, optional, reported, type World } from '../support/harness.js'
import { type Options, setUp, Visitor } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }
const owned: Options = { principal: (data) => data.userId }

async function world (t: Parameters<typeof setUp>[0], options: Options = {}): Promise<World> {
  const setup = await setUp(t, { ...owned, ...options })
  setup.app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada) })
  setup.app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  setup.app.get('/', { schema: guarded }, async ({ session }) => session.data)
  return setup
}

const signedIn = async ({ app }: World): Promise<Client> => {
  const client = new Client(app)
  client.jar.take((await app.session.issue(ada)).setCookie)
  return client
}

/** Holds the next call of a method, before it or after it. */
function hold ({ store }: World, method: string, when: 'before' | 'after' = 'before'): ReturnType<typeof createGate> {
  const gate = createGate()
  store[when] = async (call) => {
    if (call.method !== method) return
    store[when] = undefined
    await gate.pass()
  }
  return gate
}

t.test('a session whose creation is not confirmed is not left behind', async (t) => {
  const setup = await world(t)
  const { app, store } = setup
  const client = await signedIn(setup)
  store.after = ({ method }) => {
    if (method !== 'create') return
    store.after = undefined
    throw new Error('too late')
  }
  t.equal((await client.post('/login')).statusCode, 503)
  t.equal((await app.session.list('ada')).sessions.length, 1)
  t.equal((await client.get('/')).statusCode, 200)
})

t.test('a renewal that is not confirmed is a 503 without a cookie, and no secret but the stored one is valid', async (t) => {
  const setup = await world(t)
  const { app, store } = setup
  const client = await signedIn(setup)
  store.after = ({ method }) => {
    if (method !== 'update') return
    store.after = undefined
    throw new Error('too late')
  }
  const renewal = await client.post('/renew')
  t.equal(renewal.statusCode, 503)
  t.equal(renewal.headers['set-cookie'], undefined)
  t.equal((await client.get('/')).statusCode, 401, 'the old secret was replaced in the store')
  t.equal(await app.session.revokeAll('ada'), 1, 'the session can be ended')
})

t.test('maxPerPrincipal counts a session that is being renewed once', async (t) => {
  const setup = await world(t, { maxPerPrincipal: 2 })
  const [first, second] = [await signedIn(setup), new Client(setup.app)]
  const gate = hold(setup, 'update')
  const renewal = first.post('/renew')
  await gate.reached
  await second.post('/login')
  gate.open()
  await renewal
  t.same(await Promise.all([first, second].map(async (client) => (await client.get('/')).statusCode)), [200, 200])
})

t.test('maxPerPrincipal ends a session that is renewed or saved while it is counted', async (t) => {
  const setup = await world(t, { maxPerPrincipal: 1 })
  const [first, second] = [await signedIn(setup), new Client(setup.app)]
  setup.clock.advance(1000)
  // The first look is for the rank of the login, the second one for who is over the limit.
  const look = hold(setup, 'list', 'after')
  const login = second.post('/login')
  await look.reached
  const gate = hold(setup, 'list', 'after')
  look.open()
  await gate.reached
  await first.post('/renew')
  gate.open()
  await login
  t.same(await Promise.all([first, second].map(async (client) => (await client.get('/')).statusCode)), [401, 200])
  t.equal((await setup.app.session.list('ada')).sessions.length, 1)
})

t.test('a login succeeds, and reports it, if other requests change an older session each time that maxPerPrincipal tries to end it', async (t) => {
  const setup = await world(t, { maxPerPrincipal: 1 })
  await signedIn(setup)
  setup.clock.advance(1000)
  let tries = 0
  setup.store.update = () => {
    if (++tries > 1000) throw new Error('the login tries without end')
    return 'conflict'
  }
  t.equal((await new Client(setup.app).post('/login')).statusCode, 200)
  t.match(setup.events.at(-1), { type: 'failed', reason: 'limit', detail: /^Another request changed the same session/ })
})

t.test('the id of a session stays the same through all renewals', async (t) => {
  const setup = await world(t)
  const { app, events } = setup
  const client = await signedIn(setup)
  const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions
  for (let times = 0; times < 300; times++) await client.post('/renew')
  t.match(await app.session.find(id), { id, data: ada })
  events.length = 0
  t.equal(await app.session.revoke(id), true)
  t.same(reported(events), ['destroyed:revoke'])
  t.equal((await client.get('/')).statusCode, 401)
  t.equal(await app.session.revoke(id), false)
})

t.test('a session from before the option principal enters the list of its principal at its next request', async (t) => {
  const before = await setUp(t, { idleTimeout: 100 })
  const { setCookie } = await before.app.session.issue(ada)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sessionPlugin, { schema: Visitor, store: before.store, now: before.clock.now, idleTimeout: 100, ...owned })
  app.get('/', { schema: guarded }, async ({ session }) => session.expiresAt)
  const client = new Client(app)
  client.jar.take(setCookie)
  t.same((await app.session.list('ada')).sessions, [])
  before.clock.advance(99_000)
  const response = await client.get('/')
  t.equal(response.headers['set-cookie'], undefined)
  t.match((await app.session.list('ada')).sessions, [{ expiresAt: Number(response.body) }])
  before.store.take()
  await client.get('/')
  t.same(before.store.take(), ['read'], 'and is written once')
})

t.test('the manager refuses a principal that is not text, and a persistent that is not a boolean', async (t) => {
  const { app } = await world(t)
  const anything = app.session as any
  for (const wrong of [42, undefined, null, ['ada']]) {
    await t.rejects(anything.list(wrong), { code: 'FST_SESSION_OPTIONS', message: /a principal is text/ })
    await t.rejects(anything.revokeAll(wrong), { code: 'FST_SESSION_OPTIONS' })
  }
  await t.rejects(anything.issue(ada, { persistent: 'on' }), { code: 'FST_SESSION_OPTIONS', message: /true or false/ })
})

t.test('a slow logout ends a session that was renewed in between, also where that took longer than the idle timeout', async (t) => {
  const setup = await world(t, { idleTimeout: 100 })
  const { app, clock } = setup
  const [renewing, leaving] = [createGate(), createGate()]
  app.post('/slow-renew', { schema: guarded }, async ({ session }) => { await renewing.pass(); session.renew() })
  app.post('/slow-logout', { schema: guarded }, async ({ session }) => { await leaving.pass(); session.destroy() })
  const client = await signedIn(setup)
  const cookie = client.jar.header() as string
  const renewal = client.post('/slow-renew')
  const logout = ask(app, 'POST /slow-logout', cookie)
  await Promise.all([renewing.reached, leaving.reached])
  clock.advance(90_000)
  t.equal((await ask(app, '/', cookie)).statusCode, 200, 'it goes on')
  clock.advance(20_000)
  renewing.open()
  await renewal
  t.equal((await client.get('/')).statusCode, 200)
  leaving.open()
  t.equal((await logout).statusCode, 200)
  t.equal((await client.get('/')).statusCode, 401)
})

t.test('a cookie with an old secret touches nothing, is reported, and keeps no session alive', async (t) => {
  const setup = await world(t, { idleTimeout: 1000 })
  const { app, clock, store, events } = setup
  const client = await signedIn(setup)
  const cookie = client.jar.header() as string
  const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions
  await client.post('/renew')
  store.take()
  events.length = 0
  for (let seconds = 0; seconds < 1000; seconds += 200) {
    const response = await ask(app, '/', cookie)
    t.equal(response.statusCode, 401)
    t.equal(response.headers['set-cookie'], undefined, 'the browser may have the new cookie by now')
    t.same(store.take(), ['read'])
    clock.advance(200_000)
  }
  t.match(events[0], { type: 'rejected', reason: 'stale-secret', id, principal: 'ada' })
  t.equal(reported(events).filter((event) => event === 'rejected:stale-secret').length, 5)
  t.equal(store.inner.read(id), undefined)
})

t.test('a logout with an old secret ends nothing', async (t) => {
  const setup = await world(t)
  const { app, events } = setup
  app.post('/logout', { schema: optional }, async ({ session }) => { session.destroy() })
  const client = await signedIn(setup)
  const cookie = client.jar.header() as string
  await client.post('/renew')
  events.length = 0
  t.equal((await ask(app, 'POST /logout', cookie)).statusCode, 200)
  t.same(reported(events), ['rejected:stale-secret'])
  t.equal((await client.get('/')).statusCode, 200)
})

t.test('a session that enters the list of its principal keeps a concurrent renewal', async (t) => {
  const before = await setUp(t)
  const { setCookie } = await before.app.session.issue(ada)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sessionPlugin, { schema: Visitor, store: before.store, now: before.clock.now, ...owned })
  const gate = createGate()
  app.post('/slow', { schema: guarded }, async ({ session }) => {
    await gate.pass()
    await session.commit()
    session.data.a = 1
    return session.exists
  })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  const [one, other] = [new Client(app), new Client(app)]
  for (const client of [one, other]) client.jar.take(setCookie)
  const slow = one.post('/slow')
  await gate.reached
  await other.post('/renew')
  gate.open()
  const answer = await slow
  t.equal(answer.body, 'true')
  t.equal(answer.headers['set-cookie'], undefined)
  t.match((await other.get('/')).json(), { userId: 'ada', a: 1 })
})

t.test('verify ends the session that it judged, and not one that was changed in between', async (t) => {
  for (const meanwhile of ['save', 'renew', 'nothing'] as const) {
    const gate = createGate()
    let generation = 1
    let slow = true
    const setup = await setUp(t, {
      ...owned,
      verify: async ({ a }) => {
        if (slow) { slow = false; await gate.pass() }
        return a === generation
      }
    })
    const { app, events } = setup
    app.post('/password', { schema: guarded }, async ({ session }) => {
      session.data.a = 2
      if (meanwhile === 'renew') session.renew()
    })
    app.get('/', { schema: guarded }, async ({ session }) => session.data.a)
    const client = new Client(app)
    client.jar.take((await app.session.issue({ ...ada, a: 1 })).setCookie)
    const late = ask(app, '/', client.jar.header() as string)
    await gate.reached
    if (meanwhile !== 'nothing') await client.post('/password')
    generation = 2
    events.length = 0
    gate.open()
    const response = await late
    t.equal(response.statusCode, 401, meanwhile)
    t.equal(response.headers['set-cookie'] === undefined, meanwhile !== 'nothing', 'the cookie of a session that lives stays')
    t.equal((await client.get('/')).statusCode, meanwhile === 'nothing' ? 401 : 200)
    t.equal(reported(events).includes('destroyed:verify'), meanwhile === 'nothing')
  }
})

t.test('what one request does to its session happens in the order of the calls', async (t) => {
  for (const sealed of [undefined, sealedCookie({ keys: [makeKey()] })]) {
    const { app, events } = await setUp(t, { ...owned, ...sealed && { store: sealed as never } })
    app.post('/update-destroy', { schema: guarded }, async ({ session }) => {
      const gate = createGate()
      const update = session.update(async (data) => { await gate.pass(); data.a = 1 })
      await gate.reached
      session.destroy()
      const commit = session.commit()
      gate.open()
      await Promise.all([update, commit])
      t.equal(session.exists, false)
    })
    app.post('/update-start', { schema: guarded }, async ({ session }) => {
      const gate = createGate()
      const update = session.update(async (data) => { await gate.pass(); data.a = 1 })
      await gate.reached
      session.start({ ...ada, userId: 'bob' })
      gate.open()
      await update
      return [session.exists, session.data.userId, session.data.a]
    })
    app.post('/parallel', { schema: guarded }, async ({ session }) => {
      await Promise.all([session.update((data) => { data.a = 1 }), session.update((data) => { data.b = 2 }), session.commit()])
      return session.data
    })
    app.get('/', { schema: optional }, async ({ session }) => ({ exists: session.exists, ...session.data }))
    const client = new Client(app)
    client.jar.take((await app.session.issue(ada)).setCookie)
    t.match((await client.post('/parallel')).json(), { a: 1, b: 2 })
    t.match((await client.get('/')).json(), { exists: true, a: 1, b: 2 })
    t.same((await client.post('/update-start')).json(), [true, 'bob', null], 'a login is not mixed with the session before it')
    const { a, userId } = (await client.get('/')).json()
    t.same([a, userId], [undefined, 'bob'])
    events.length = 0
    t.match((await client.post('/update-destroy')).headers['set-cookie'], /Max-Age=0/)
    t.same(reported(events), ['destroyed:destroy'])
    t.equal((await client.get('/')).json().exists, false)
  }
})

t.test('an update that is slow to return undoes no end and no login of the same request', async (t) => {
  for (const then of ['destroy', 'start'] as const) {
    const setup = await world(t)
    const { app, store } = setup
    app.post('/', { schema: guarded }, async ({ session }) => {
      const held = hold(setup, 'update', 'after')
      const update = session.update((data) => { data.a = 1 })
      await held.reached
      if (then === 'destroy') session.destroy()
      else session.start({ ...ada, userId: 'bob' })
      const commit = session.commit()
      held.open()
      await Promise.all([update, commit])
      return [session.exists, session.data.userId]
    })
    const client = await signedIn(setup)
    const response = await client.post('/')
    t.same(response.json(), then === 'destroy' ? [false, null] : [true, 'bob'], then)
    store.before = store.after = undefined
    t.equal((await client.get('/')).statusCode, then === 'destroy' ? 401 : 200)
  }
})
