import { setImmediate as turn } from 'node:timers/promises'
import { MemoryStore } from 'fastify-openapi-session'
import { createClock } from 'fastify-openapi-session/testing'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t from 'tap'
import { createGate } from '../support/gate.js'
import { ProbeStore } from '../support/probe-store.js'
import { ask, guarded, reported } from '../support/harness.js'
import { setUp } from './support.js'

const user = (userId: string, a?: number): { userId: string, roles: string[], cart: Record<string, number>, a?: number } =>
  ({ userId, roles: [], cart: {}, ...(a === undefined ? {} : { a }) })

t.test('issue begins a session without a request', async (t) => {
  const { app, client, events, store } = await setUp(t, { principal: (data) => data.userId, absoluteTimeout: 7200 })
  app.get('/', { schema: guarded }, async ({ session }) => [session.id, session.data])
  const issued = await app.session.issue(user('ada'))
  t.same(store.take(), ['create'])
  t.match(issued, { id: /^[\w-]{22}$/, cookie: /^__Host-session=[\w-]{22}\.[\w-]{43}$/, setCookie: /^__Host-session=[\w-]{22}\.[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/ })
  t.ok(issued.setCookie.startsWith(issued.cookie))
  t.ok(issued.cookie.startsWith(`__Host-session=${issued.id}.`))
  t.same(events, [{ scheme: 'session', type: 'created', reason: 'issue', id: issued.id, principal: 'ada' }])
  t.same((await ask(app, '/', issued.cookie)).json(), [issued.id, user('ada')])
  client.jar.take((await app.session.issue(user('ada'), { persistent: true, absoluteTimeout: 60 })).setCookie)
  t.equal((await client.get('/')).statusCode, 200)
  t.match((await app.session.issue(user('ada'), { persistent: true })).setCookie, /Max-Age=7200/)
  t.same((await app.session.issue({ userId: 'bob' } as never)).id.length, 22, 'defaults are filled in')
  await t.rejects(app.session.issue({ userId: 5 } as never), { code: 'FST_SESSION_INVALID_DATA' })
  await t.rejects(app.session.issue(user('ada'), { absoluteTimeout: -1 }), { code: 'FST_SESSION_OPTIONS' })
})

t.test('list returns the live sessions of a principal, the latest login first', async (t) => {
  const { app, clock } = await setUp(t, { principal: (data) => data.userId, idleTimeout: 100 })
  const ids: string[] = []
  const start = clock.now()
  for (let n = 0; n < 3; n++) {
    ids.unshift((await app.session.issue(user('ada', n))).id)
    clock.advance(40_000)
  }
  const other = await app.session.issue(user('bob'))
  t.same((await app.session.list('ada')).sessions, [
    { id: ids[0], principal: 'ada', data: user('ada', 2), createdAt: start + 80_000, authenticatedAt: start + 80_000, expiresAt: start + 180_000 },
    { id: ids[1], principal: 'ada', data: user('ada', 1), createdAt: start + 40_000, authenticatedAt: start + 40_000, expiresAt: start + 140_000 }
  ])
  t.same((await app.session.list('bob')).sessions.map(({ id }) => id), [other.id])
  t.same((await app.session.list('nobody')).sessions, [])
})

t.test('a misspelt option of a method is refused with the right one', async (t) => {
  const { app: { session } } = await setUp(t, { principal: (data) => data.userId })
  const calls: Record<string, () => Promise<unknown>> = {
    'there is no option tuch of find(): did you mean touch?': () => session.find('x', { tuch: true } as object),
    'there is no option evry of watch(): did you mean every?': () => session.watch('x', { evry: 5 } as object),
    'there is no option limt of list(): did you mean limit?': () => session.list('ada', { limt: 5 } as object),
    'there is no option exept of revokeAll(): did you mean except?': () => session.revokeAll('ada', { exept: 'x' } as object)
  }
  for (const [message, call] of Object.entries(calls)) await t.rejects(call(), { code: 'FST_SESSION_OPTIONS', message })
})

t.test('find returns a live session without counting as activity', async (t) => {
  const { app, clock, store } = await setUp(t, { idleTimeout: 100 })
  const { id } = await app.session.issue(user('ada'))
  clock.advance(60_000)
  t.match(await app.session.find(id), { id, data: user('ada'), principal: undefined })
  clock.advance(40_000)
  t.equal(await app.session.find(id), undefined, 'it does not count as activity')
  store.take()
  for (const junk of ['', 'x', id.slice(1), `${id}x`, '__proto__']) t.equal(await app.session.find(junk), undefined)
  t.same(store.take(), [], 'only ids are looked up')
})

t.test('a change of what a method returned changes no session', async (t) => {
  const { app } = await setUp(t, { principal: (data) => data.userId })
  const { id, cookie } = await app.session.issue(user('ada'))
  const found = [
    (await app.session.find(id))?.data, (await app.session.fromCookie(cookie))?.data,
    (await app.session.list('ada')).sessions[0]?.data, await app.session.update(id, () => {})
  ]
  for (const data of found) {
    data?.roles.push('admin')
    Object.assign(data ?? {}, { userId: 'eve' })
    t.same((await app.session.find(id))?.data, user('ada'))
  }
})

t.test('a session that has expired by the clock of the app has ended, also where the clock of the store is behind', async (t) => {
  const clock = createClock()
  const slow = new MemoryStore({ now: () => clock.now() - 60_000 })
  const { app } = await setUp(t, { principal: (data) => data.userId, idleTimeout: 100, store: slow, now: clock.now })
  const { id, cookie } = await app.session.issue(user('ada'))
  app.get('/', { schema: guarded, config: { session: { touch: false } } }, async () => '')
  clock.advance(100_000)
  t.not(slow.read(id), undefined, 'the store has it')
  t.equal((await ask(app, '/', cookie)).statusCode, 401)
  t.equal(await app.session.find(id), undefined)
  t.same((await app.session.list('ada')).sessions, [])
  t.equal(await app.session.watch(id, { signal: new AbortController().signal }), true, 'a watch ends')
})

t.test('revoke ends a session by its id', async (t) => {
  const { app, events, store } = await setUp(t)
  app.get('/', { schema: guarded }, async () => '')
  const { id, cookie } = await app.session.issue(user('ada'))
  events.length = 0
  t.equal(await app.session.revoke(id), true)
  t.equal(await app.session.revoke(id), false)
  t.equal((await ask(app, '/', cookie)).statusCode, 401)
  t.same(reported(events), ['destroyed:revoke', 'expired:absent', 'rejected:unauthenticated'])
  store.take()
  t.equal(await app.session.revoke('junk'), false)
  t.equal(await app.session.revoke(cookie.split('=')[1] as string), false, 'a credential is not an id')
  t.same(store.take(), [])
})

t.test('revokeAll ends the sessions of a principal, all but one', async (t) => {
  const { app, events } = await setUp(t, { principal: (data) => data.userId })
  app.get('/', { schema: guarded }, async ({ session }) => session.id)
  const mine = [await app.session.issue(user('ada')), await app.session.issue(user('ada')), await app.session.issue(user('ada'))]
  const other = await app.session.issue(user('bob'))
  events.length = 0
  t.equal(await app.session.revokeAll('ada', { except: mine[1]?.id }), 2)
  t.same(events, [{ scheme: 'session', type: 'destroyed', reason: 'revoke', principal: 'ada', detail: '2 sessions' }])
  const status = async (cookie = ''): Promise<number> => (await ask(app, '/', cookie)).statusCode
  t.same(await Promise.all(mine.map(({ cookie }) => status(cookie))), [401, 200, 401])
  t.equal(await status(other.cookie), 200)
  t.equal(await app.session.revokeAll('ada', {}), 1)
  t.equal(await app.session.revokeAll('ada'), 0)
  t.equal(await status(mine[1]?.cookie), 401)
  t.equal(events.filter(({ type }) => type === 'destroyed').length, 2)
})

t.test('list and revokeAll need a principal', async (t) => {
  const { app } = await setUp(t)
  for (const call of [() => app.session.list('ada'), () => app.session.revokeAll('ada')] as Array<() => Promise<unknown>>) {
    await t.rejects(call, { code: 'FST_SESSION_OPTIONS', message: /needs the option principal/ })
  }
})

t.test('a login above maxPerPrincipal ends the sessions of the oldest logins', async (t) => {
  const { app, client, clock, events } = await setUp(t, { principal: (data) => data.userId, maxPerPrincipal: 2 })
  app.post('/login', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => { session.start(user('ada')) })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  app.post('/guest', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => { session.data.a = 1 })
  const ids: string[] = []
  for (let n = 0; n < 4; n++) {
    ids.push((await app.session.issue(user('ada', n))).id)
    clock.advance(1000)
  }
  t.same((await app.session.list('ada')).sessions.map(({ id }) => id), [ids[3], ids[2]])
  t.same(reported(events).filter((event) => event.startsWith('destroyed')), ['destroyed:limit', 'destroyed:limit'])
  await client.post('/login')
  t.same((await app.session.list('ada')).sessions.map(({ data }) => data.a), [undefined, 3])
  await client.post('/renew')
  t.equal((await app.session.list('ada')).sessions.length, 2, 'a renewal ends no other session')
  client.jar.clear()
  for (let n = 0; n < 3; n++) await client.post('/guest')
  await Promise.all(Array.from({ length: 10 }, () => app.session.issue(user('eve'))))
  t.equal((await app.session.list('eve')).sessions.length, 2, 'concurrent logins, too')
})

t.test('list returns pages, and each session of the principal is on one of them', async (t) => {
  const { app } = await setUp(t, { principal: (data) => data.userId, maxPerPrincipal: 500 })
  const ids: string[] = []
  for (let n = 0; n < 250; n++) ids.push((await app.session.issue(user('ada', n))).id)
  const first = await app.session.list('ada')
  t.ok(first.sessions.length >= 50 && first.sessions.length <= 200, 'a page has about 100 by default')
  const found: string[] = []
  let cursor: string | undefined
  do {
    const page = await app.session.list('ada', { limit: 60, cursor })
    t.ok(page.sessions.length <= 120, 'about as many as the limit says')
    found.push(...page.sessions.map(({ id }) => id))
    cursor = page.cursor
  } while (cursor !== undefined)
  t.same(found.sort(), ids.sort())
  for (const limit of [0, -1, 1.5, '5', NaN]) {
    await t.rejects(app.session.list('ada', { limit: limit as number }), { code: 'FST_SESSION_OPTIONS', message: 'limit must be a whole number, 1 or more' })
  }
})

t.test('update changes the stored data without a request', async (t) => {
  const { app, store } = await setUp(t, { principal: (data) => data.userId })
  const { id } = await app.session.issue(user('ada', 1))
  store.take()
  t.same(await app.session.update(id, (data) => { data.a = (data.a ?? 0) + 1 }), user('ada', 2))
  t.same(store.take(), ['read', 'update'])
  t.same(await app.session.update(id, async (data) => ({ ...data, b: 5 })), { ...user('ada', 2), b: 5 })
  const returned = await app.session.update(id, () => {})
  returned.cart['changed'] = 1
  t.match(await app.session.find(id), { data: { a: 2, b: 5, cart: {} } })
  await t.rejects(app.session.update(id, (data) => { data.userId = 'eve' }), { code: 'FST_SESSION_INVALID_DATA', message: /update\(\) cannot change the principal of a session/ })
  await t.rejects(app.session.update(id, (data) => { data.a = 'x' as never }), { code: 'FST_SESSION_INVALID_DATA' })
  await t.rejects(app.session.update(id, () => { throw new Error('sold out') }), { message: 'sold out' })
  t.match(await app.session.find(id), { data: user('ada', 2) })
  await Promise.all(Array.from({ length: 20 }, () => app.session.update(id, async (data) => { data.a = (data.a ?? 0) + 1 })))
  t.match(await app.session.find(id), { data: { a: 22 } }, 'no parallel update is lost')
  await app.session.revoke(id)
  for (const ended of [id, 'junk']) await t.rejects(app.session.update(ended, () => { t.fail('ran') }), { code: 'FST_SESSION_REQUIRED', statusCode: 401 })
})

t.test('revokeEverything ends every session, of guests and of running requests too', async (t) => {
  const { app, client, store, events } = await setUp(t, { principal: (data) => data.userId })
  const gate = createGate()
  const loaded = createGate()
  app.get('/slow', { schema: guarded }, async ({ session }) => {
    session.data.a = 5
    loaded.open()
    await gate.pass()
    return 'changed'
  })
  app.get('/', { schema: guarded }, async () => 'in')
  const { id, setCookie } = await app.session.issue(user('ada', 1))
  const others = await Promise.all(['bob', 'cyd'].map(async (name) => (await app.session.issue(user(name, 1))).id))
  const guest = (await app.session.issue({ roles: [], cart: {} })).id
  client.jar.take(setCookie)
  const slow = client.get('/slow')
  await loaded.pass()
  store.take()
  events.length = 0
  await app.session.revokeEverything()
  t.same(store.take(), ['clear'])
  t.match(events, [{ type: 'destroyed', reason: 'revoke', detail: 'all sessions' }])
  gate.open()
  await slow
  for (const each of [id, guest, ...others]) t.equal(await app.session.find(each), undefined)
  t.equal((await client.get('/')).statusCode, 401)
  client.jar.take((await app.session.issue(user('ada', 1))).setCookie)
  t.equal((await client.get('/')).statusCode, 200, 'a new login works')
})

t.test('revokeEverything says what is missing', async (t) => {
  const without = Object.assign(new ProbeStore(), { clear: undefined })
  const refusals: ReadonlyArray<[options: object, message: RegExp]> = [
    [{ store: without }, /^app\.session\.revokeEverything\(\) needs a store with the method clear\(\): add clear\(\) to the store/],
    [{ store: sealedCookie({ keys: [makeKey()] }) }, /^app\.session\.revokeEverything\(\) needs a store.* or replace all keys, which ends all sessions\.$/],
    [{ adopt: { cookieName: 'old', identify () {}, find () {} } }, /^app\.session\.revokeEverything\(\) does not end the old sessions of the other plugin.*: remove the option adopt first$/]
  ]
  for (const [options, message] of refusals) {
    const { app } = await setUp(t, options)
    await t.rejects(app.session.revokeEverything(), { code: 'FST_SESSION_OPTIONS', message })
  }
})

t.test('an update of the manager does not count as activity, and one of a request does', async (t) => {
  const { app, client, clock } = await setUp(t, { principal: (data) => data.userId, idleTimeout: 100 })
  app.get('/', { schema: guarded }, async ({ session }) => (await session.update((data) => { data.b = 1 })).b)
  const { id, setCookie } = await app.session.issue(user('ada', 1))
  const expiry = async (): Promise<number | undefined> => (await app.session.find(id))?.expiresAt
  const first = await expiry() as number
  clock.advance(50_000)
  await app.session.update(id, (data) => { data.a = 2 })
  t.equal(await expiry(), first)
  client.jar.take(setCookie)
  await client.get('/')
  t.equal(await expiry(), first + 50_000)
  t.match(await app.session.find(id), { data: { a: 2, b: 1 } })
})

t.test('an update of the manager ends no session that was active while it ran, and revives none that was not', async (t) => {
  const { app, clock } = await setUp(t, { principal: (data) => data.userId, idleTimeout: 100 })
  const { id } = await app.session.issue(user('ada', 1))
  clock.advance(60_000)
  const updated = await app.session.update(id, async (data) => {
    data.a = 2
    await app.session.find(id, { touch: true })
    clock.advance(60_000)
  })
  t.equal(updated.a, 2)
  t.match(await app.session.find(id), { data: { a: 2 }, expiresAt: clock.now() + 40_000 })
  await t.rejects(app.session.update(id, async () => { clock.advance(40_000) }), { code: 'FST_SESSION_REQUIRED' })
  t.equal(await app.session.find(id), undefined)
})

t.test('an update of the manager and one of a request are both kept', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    await app.session.update(session.id, (data) => { data.b = 2 })
    return session.data.b ?? 'not seen'
  })
  const { id, setCookie } = await app.session.issue(user('ada'))
  client.jar.take(setCookie)
  t.equal((await client.post('/')).body, 'not seen')
  t.match(await app.session.find(id), { data: { ...user('ada'), a: 1, b: 2 } })
})

t.test('fromCookie returns the session of a Cookie header, as a request would load it', async (t) => {
  const { app, clock, events, store } = await setUp(t, { principal: (data) => data.userId, idleTimeout: 100 })
  const { id, cookie } = await app.session.issue(user('ada'))
  clock.advance(60_000)
  store.take()
  t.match(await app.session.fromCookie(`a=b; ${cookie}`), { id, principal: 'ada', data: user('ada'), expiresAt: clock.now() + 100_000 })
  t.same(store.take(), ['read', 'touch'], 'it counts as activity')
  events.length = 0
  for (const none of [undefined, '', 'a=b', `${cookie}; ${cookie}`]) t.equal(await app.session.fromCookie(none), undefined)
  t.same(store.take(), [])
  t.equal(await app.session.fromCookie('__Host-session=junk'), undefined)
  t.equal(await app.session.fromCookie(`${cookie.slice(0, -43)}${'A'.repeat(43)}`), undefined)
  t.same(reported(events), ['rejected:malformed-cookie', 'rejected:stale-secret'])
  clock.advance(100_000)
  t.equal(await app.session.fromCookie(cookie), undefined)
})

t.test('a watch ends when the app begins to close, and needs no options', async (t) => {
  const { app } = await setUp(t)
  const { id } = await app.session.issue(user('ada'))
  const watching = app.session.watch(id)
  const other = await app.session.issue(user('bob'))
  await app.session.revoke(other.id)
  t.equal(await app.session.watch(other.id), true)
  await app.close()
  t.equal(await watching, false)
  t.equal(await app.session.watch(id), false)
})

t.test('many watches cause no warning of a leak, and leave no reference behind in a signal that they share', async (t) => {
  const { app } = await setUp(t)
  const { id } = await app.session.issue(user('ada'))
  const warnings = t.capture(process, 'emitWarning')
  const any = t.capture(AbortSignal, 'any', AbortSignal.any.bind(AbortSignal))
  const watching = Array.from({ length: 40 }, (_, n) => app.session.watch(id, n % 2 === 0 ? {} : { signal: new AbortController().signal }))
  await turn()
  await app.close()
  t.same(new Set(await Promise.all(watching)), new Set([false]))
  t.equal(warnings().length, 0)
  const sources = any().flatMap(({ args: [signals] }) => [...signals])
  t.equal(new Set(sources).size, sources.length, 'Node.js 20 keeps a reference to each result in all of its sources')
})
