/** Renewals, beside whatever else happens to a session at the same time. */
import { mock } from 'node:test'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t from 'tap'
import sessionPlugin from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import Fastify from 'fastify'
import { createGate } from '../support/gate.js'
import { guarded, type Options, optional, type Setup, setUp, told, Visitor } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }
const owned: Options = { principal: (data) => data.userId }

async function world (t: Parameters<typeof setUp>[0], options: Options = {}): Promise<Setup> {
  const setup = await setUp(t, { ...owned, ...options })
  setup.app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada) })
  setup.app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  setup.app.get('/', { schema: guarded }, async ({ session }) => session.data)
  return setup
}

const signedIn = async ({ app }: Setup): Promise<Client> => {
  const client = new Client(app)
  client.jar.take((await app.session.issue(ada)).setCookie)
  return client
}

/** Holds the next call of a method, before it or after it. */
function hold ({ store }: Setup, method: string, when: 'before' | 'after' = 'before'): ReturnType<typeof createGate> {
  const gate = createGate()
  store[when] = async (call) => {
    if (call.method !== method) return
    store[when] = undefined
    await gate.pass()
  }
  return gate
}

t.test('a session that was stored and answered too late is not left behind', async (t) => {
  const setup = await world(t)
  const { app, store } = setup
  const client = await signedIn(setup)
  for (const url of ['/renew', '/login']) {
    store.after = ({ method }) => {
      if (method !== 'create') return
      store.after = undefined
      throw new Error('too late')
    }
    t.equal((await client.post(url)).statusCode, 503)
    t.equal((await app.session.list('ada')).sessions.length, 1, url)
    t.equal((await client.get('/')).statusCode, 200)
  }
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

t.test('and ends one that was renewed while it was being counted', async (t) => {
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

t.test('revoke finds a session by the id that it had before a renewal', async (t) => {
  const setup = await world(t)
  const { app, events } = setup
  const client = await signedIn(setup)
  const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions
  await client.post('/renew')
  await client.post('/renew')
  t.equal(await app.session.find(id), undefined, 'it is not to be read by it')
  events.length = 0
  t.equal(await app.session.revoke(id), true)
  t.same(told(events), ['destroyed:revoke'])
  t.equal((await client.get('/')).statusCode, 401)
  t.equal(await app.session.revoke(id), false)
})

t.test('a store in which a session leads to itself is an error, not a loop', async (t) => {
  const { app, store } = await world(t)
  const { id } = await app.session.issue(ada)
  const inner = store.inner.read.bind(store.inner)
  store.inner.read = async (asked) => {
    const record = await inner(asked)
    return record && { ...record, payload: JSON.stringify({ successor: id, until: record.expiresAt }) }
  }
  await t.rejects(app.session.revoke(id), { code: 'FST_SESSION_CONFLICT' })
})

t.test('the word where a session went is damaged: it is as good as absent', async (t) => {
  const setup = await world(t)
  const { app, store, events } = setup
  let gate = createGate()
  app.post('/slow', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    await gate.pass()
  })
  for (const damaged of ['', '{', 'null', '5', '{"successor":5}', '{"successor":"x","until":5}', `{"successor":"${'A'.repeat(43)}","until":"x"}`]) {
    const client = await signedIn(setup)
    const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions
    gate = createGate()
    const slow = client.post('/slow')
    await gate.reached
    await client.post('/renew')
    const record = await store.inner.read(id)
    await store.inner.update(id, { ...record!, version: record!.version + 1, payload: damaged })
    events.length = 0
    gate.open()
    t.equal((await slow).statusCode, 200, damaged)
    t.same(told(events), ['discarded:damaged', 'discarded:ended-meanwhile'])
    await app.session.revokeAll('ada')
  }
})

t.test('a session that enters the list of its principal keeps the life that it has by now', async (t) => {
  const before = await setUp(t, { idleTimeout: 100 })
  const { setCookie } = await before.app.session.issue(ada)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sessionPlugin, { schema: Visitor, store: before.store, now: before.clock.now, idleTimeout: 100, ...owned })
  const gate = createGate()
  app.get('/slow', { schema: guarded, config: { session: { touch: false } } }, async () => { await gate.pass() })
  app.get('/', { schema: guarded }, async ({ session }) => session.expiresAt)
  const [one, other] = [new Client(app), new Client(app)]
  for (const client of [one, other]) client.jar.take(setCookie)
  before.clock.advance(99_000)
  const slow = one.get('/slow')
  await gate.reached
  const expiresAt = Number((await other.get('/')).body)
  before.clock.advance(2000)
  gate.open()
  t.equal((await slow).statusCode, 200)
  t.match((await app.session.list('ada')).sessions, [{ expiresAt }])
})

t.test('the time to commit a change after the response is that of this change', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => { mock.timers.reset() })
  const setup = await world(t)
  const { app, events } = setup
  let session: any
  app.post('/', { schema: guarded }, async (request) => { session = request.session })
  const client = await signedIn(setup)
  await client.post('/')
  events.length = 0
  session.data.a = 1
  await session.commit()
  mock.timers.tick(4000)
  session.data.a = 2
  mock.timers.tick(4000)
  t.same(told(events), [], 'four seconds are not over')
  await session.commit()
  session.data.a = 3
  mock.timers.tick(5000)
  t.same(told(events), ['discarded:after-commit'])
  await session.commit()
  session.data.a = 4
  mock.timers.tick(5000)
  t.same(told(events), ['discarded:after-commit', 'discarded:after-commit'], 'what was told of before says nothing of the next one')
})

t.test('what is no principal and no persistent is refused', async (t) => {
  const { app } = await world(t)
  const anything = app.session as any
  for (const wrong of [42, undefined, null, ['ada']]) {
    await t.rejects(anything.list(wrong), { code: 'FST_SESSION_OPTIONS', message: /a principal is text/ })
    await t.rejects(anything.revokeAll(wrong), { code: 'FST_SESSION_OPTIONS' })
  }
  await t.rejects(anything.issue(ada, { persistent: 'on' }), { code: 'FST_SESSION_OPTIONS', message: /true or false/ })
})

t.test('what is late finds a renewed session, also where the renewal took longer than the idle timeout', async (t) => {
  const setup = await world(t, { idleTimeout: 100 })
  const { app, clock } = setup
  const [renewing, leaving] = [createGate(), createGate()]
  app.post('/slow-renew', { schema: guarded }, async ({ session }) => { await renewing.pass(); session.renew() })
  app.post('/slow-logout', { schema: guarded }, async ({ session }) => { await leaving.pass(); session.destroy() })
  const client = await signedIn(setup)
  const cookie = client.jar.header() as string
  const renewal = client.post('/slow-renew')
  const logout = app.inject({ method: 'POST', url: '/slow-logout', headers: { cookie } })
  await Promise.all([renewing.reached, leaving.reached])
  clock.advance(90_000)
  t.equal((await app.inject({ url: '/', headers: { cookie } })).statusCode, 200, 'it goes on')
  clock.advance(20_000)
  renewing.open()
  await renewal
  t.equal((await client.get('/')).statusCode, 200)
  leaving.open()
  t.equal((await logout).statusCode, 200)
  t.equal((await client.get('/')).statusCode, 401)
})

t.test('a dead token that is tried again and again keeps nothing in the store', async (t) => {
  const setup = await world(t, { idleTimeout: 1000 })
  const { app, clock, store } = setup
  const client = await signedIn(setup)
  const cookie = client.jar.header() as string
  const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions
  await client.post('/renew')
  for (let seconds = 0; seconds <= 600; seconds += 200) {
    t.not(await store.inner.read(id), undefined, `${seconds} seconds later`)
    t.equal((await app.inject({ url: '/', headers: { cookie } })).statusCode, 401)
    clock.advance(200_000)
  }
  t.equal(await store.inner.read(id), undefined)
})

t.test('however often a session was renewed, the id that somebody knows it by ends it', async (t) => {
  const setup = await world(t)
  const { app } = setup
  const client = await signedIn(setup)
  const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions
  for (let times = 0; times < 300; times++) await client.post('/renew')
  t.equal(await app.session.revoke(id), true)
  t.equal((await client.get('/')).statusCode, 401)
})

t.test('a session that enters the list of its principal is followed through a renewal', async (t) => {
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

t.test('verify ends what it judged, and not what was written meanwhile', async (t) => {
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
    const late = app.inject({ url: '/', headers: { cookie: client.jar.header() as string } })
    await gate.reached
    if (meanwhile !== 'nothing') await client.post('/password')
    generation = 2
    events.length = 0
    gate.open()
    const answer = await late
    t.equal(answer.statusCode, meanwhile === 'save' ? 200 : 401, meanwhile)
    t.equal(answer.headers['set-cookie'] === undefined, meanwhile !== 'nothing', 'the cookie of the one that lives stays')
    t.equal((await client.get('/')).statusCode, meanwhile === 'nothing' ? 401 : 200)
    t.equal(told(events).includes('destroyed:verify'), meanwhile === 'nothing')
  }
})

t.test('an update beside the end of the session in the same request changes nothing', async (t) => {
  for (const store of [undefined, sealedCookie({ keys: [makeKey()] })]) {
    const { app, events } = await setUp(t, { ...owned, ...store && { store: store as never } })
    app.post('/', { schema: guarded }, async ({ session }) => {
      const gate = createGate()
      const update = session.update(async (data) => { await gate.pass(); data.a = 1 })
      await gate.reached
      session.destroy()
      await session.commit()
      gate.open()
      await t.rejects(update, { code: 'FST_SESSION_REQUIRED' })
    })
    const { cookie } = await app.session.issue(ada)
    events.length = 0
    const answer = await app.inject({ method: 'POST', url: '/', headers: { cookie } })
    t.match(answer.headers['set-cookie'], /Max-Age=0/)
    t.equal(told(events)[0], 'destroyed:destroy')
    t.notOk(told(events).some((event) => event.startsWith('created')))
  }
})

t.test('an update whose answer is late undoes no end and no login of the same request', async (t) => {
  for (const then of ['destroy', 'start'] as const) {
    const setup = await world(t)
    const { app, store } = setup
    app.post('/', { schema: guarded }, async ({ session }) => {
      const held = hold(setup, 'update', then === 'start' ? 'before' : 'after')
      const update = session.update((data) => { data.a = 1 })
      await held.reached
      if (then === 'destroy') session.destroy()
      else session.start({ ...ada, userId: 'bob' })
      await session.commit()
      held.open()
      if (then === 'destroy') await t.rejects(update, { code: 'FST_SESSION_REQUIRED' })
      else await update.catch(() => {})
      return [session.exists, session.data.userId]
    })
    const client = await signedIn(setup)
    const answer = await client.post('/')
    t.same(answer.json(), then === 'destroy' ? [false, null] : [true, 'bob'], then)
    store.before = store.after = undefined
    t.equal((await client.get('/')).statusCode, then === 'destroy' ? 401 : 200)
  }
})

t.test('of two things that one request stored at once, the later one is what it sees', async (t) => {
  for (const second of ['commit', 'update'] as const) {
    const setup = await world(t)
    const { app, store } = setup
    app.post('/', { schema: guarded }, async ({ session }) => {
      const held = hold(setup, 'update', 'after')
      const update = session.update((data) => { data.a = 1 })
      await held.reached
      if (second === 'commit') {
        session.renew()
        await session.commit()
      } else {
        await session.update((data) => { data.b = 2 })
      }
      const { id } = session
      held.open()
      t.match(await update, { a: 1, ...second === 'update' && { b: 2 } })
      t.equal(session.id, id)
      await app.session.revokeAll('ada', { except: session.id })
      return session.data
    })
    const client = await signedIn(setup)
    t.match((await client.post('/')).json(), { a: 1 }, second)
    store.after = undefined
    t.match((await client.get('/')).json(), { a: 1 })
  }
})
