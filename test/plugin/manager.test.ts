import { MemoryStore } from 'fastify-openapi-session'
import { createClock } from 'fastify-openapi-session/testing'
import t from 'tap'
import { guarded, setUp, told } from './support.js'

const user = (userId: string, a?: number): { userId: string, roles: string[], cart: Record<string, number>, a?: number } =>
  ({ userId, roles: [], cart: {}, ...(a === undefined ? {} : { a }) })

t.test('issue: a session without a request', async (t) => {
  const { app, client, events, store } = await setUp(t, { principal: (data) => data.userId, absoluteTimeout: 7200 })
  app.get('/', { schema: guarded }, async ({ session }) => [session.id, session.data])
  const issued = await app.session.issue(user('ada'))
  t.same(store.take(), ['create'])
  t.match(issued, { id: /^[\w-]{43}$/, cookie: /^__Host-session=[\w-]{43}$/, setCookie: /^__Host-session=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/ })
  t.ok(issued.setCookie.startsWith(issued.cookie))
  t.notOk(issued.cookie.includes(issued.id))
  t.same(events, [{ scheme: 'session', type: 'created', reason: 'issue', id: issued.id, principal: 'ada' }])
  t.same((await app.inject({ url: '/', headers: { cookie: issued.cookie } })).json(), [issued.id, user('ada')])
  client.jar.take((await app.session.issue(user('ada'), { persistent: true, absoluteTimeout: 60 })).setCookie)
  t.equal((await client.get('/')).statusCode, 200)
  t.match((await app.session.issue(user('ada'), { persistent: true })).setCookie, /Max-Age=7200/)
  t.same((await app.session.issue({ userId: 'bob' } as never)).id.length, 43, 'defaults are filled in')
  await t.rejects(app.session.issue({ userId: 5 } as never), { code: 'FST_SESSION_INVALID_DATA' })
  await t.rejects(app.session.issue(user('ada'), { absoluteTimeout: -1 }), { code: 'FST_SESSION_OPTIONS' })
})

t.test('list: the live sessions of a principal, youngest login first', async (t) => {
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

t.test('find', async (t) => {
  const { app, clock, store } = await setUp(t, { idleTimeout: 100 })
  const { id } = await app.session.issue(user('ada'))
  clock.advance(60_000)
  t.match(await app.session.find(id), { id, data: user('ada'), principal: undefined })
  clock.advance(40_000)
  t.equal(await app.session.find(id), undefined, 'it does not count as activity')
  store.take()
  for (const junk of ['', 'x', id.slice(1), `${id}x`, '__proto__']) t.equal(await app.session.find(junk), undefined)
  t.same(store.take(), [], 'what is no id is not asked for')
})

t.test('what has expired by the clock of the app is over, also where the store has a slower one', async (t) => {
  const clock = createClock()
  const slow = new MemoryStore({ now: () => clock.now() - 60_000 })
  const { app } = await setUp(t, { principal: (data) => data.userId, idleTimeout: 100, store: slow, now: clock.now })
  const { id, cookie } = await app.session.issue(user('ada'))
  app.get('/', { schema: guarded, config: { session: { touch: false } } }, async () => '')
  clock.advance(100_000)
  t.not(await slow.read(id), undefined, 'the store has it')
  t.equal((await app.inject({ url: '/', headers: { cookie } })).statusCode, 401)
  t.equal(await app.session.find(id), undefined)
  t.same((await app.session.list('ada')).sessions, [])
  t.equal(await app.session.watch(id, { signal: new AbortController().signal }), true, 'and nobody who watches it asks again and again')
})

t.test('revoke', async (t) => {
  const { app, events, store } = await setUp(t)
  app.get('/', { schema: guarded }, async () => '')
  const { id, cookie } = await app.session.issue(user('ada'))
  events.length = 0
  t.equal(await app.session.revoke(id), true)
  t.equal(await app.session.revoke(id), false)
  t.equal((await app.inject({ url: '/', headers: { cookie } })).statusCode, 401)
  t.same(told(events), ['destroyed:revoke', 'expired:absent', 'rejected:unauthenticated'])
  store.take()
  t.equal(await app.session.revoke('junk'), false)
  t.equal(await app.session.revoke(cookie.split('=')[1] as string), false, 'a token is no id')
  t.same(store.take(), ['read', 'delete'])
})

t.test('revokeAll', async (t) => {
  const { app, events } = await setUp(t, { principal: (data) => data.userId })
  app.get('/', { schema: guarded }, async ({ session }) => session.id)
  const mine = [await app.session.issue(user('ada')), await app.session.issue(user('ada')), await app.session.issue(user('ada'))]
  const other = await app.session.issue(user('bob'))
  events.length = 0
  t.equal(await app.session.revokeAll('ada', { except: mine[1]?.id }), 2)
  t.same(events, [{ scheme: 'session', type: 'destroyed', reason: 'revoke', principal: 'ada', detail: '2 sessions' }])
  const status = async (cookie = ''): Promise<number> => (await app.inject({ url: '/', headers: { cookie } })).statusCode
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

t.test('maxPerPrincipal: a login above it ends the oldest', async (t) => {
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
  t.same(told(events).filter((event) => event.startsWith('destroyed')), ['destroyed:limit', 'destroyed:limit'])
  await client.post('/login')
  t.same((await app.session.list('ada')).sessions.map(({ data }) => data.a), [undefined, 3])
  await client.post('/renew')
  t.equal((await app.session.list('ada')).sessions.length, 2, 'a renewal takes nobody\'s place')
  client.jar.clear()
  for (let n = 0; n < 3; n++) await client.post('/guest')
  await Promise.all(Array.from({ length: 10 }, () => app.session.issue(user('eve'))))
  t.equal((await app.session.list('eve')).sessions.length, 2, 'also of logins at the same moment')
})
