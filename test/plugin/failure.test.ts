import t, { type Test } from 'tap'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { SessionError } from 'fastify-openapi-session'
import { createGate } from '../support/gate.js'
import { ask, guarded, managerOf, optional, plugin, reported, setCookies, stopTimers, type World } from '../support/harness.js'
import { ProbeStore } from '../support/probe-store.js'
import { anySession, setUp, type VisitorSession } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }
const down = (): never => { throw new Error('ECONNREFUSED redis://:hunter2@10.0.0.1:6379') }

async function world (t: Test): Promise<World & { cookie: string }> {
  const setup = await setUp(t, { storeTimeout: 0.05, verifiers: { bearer: () => true } })
  const { app, client } = setup
  app.get('/guarded', { schema: guarded }, async () => t.fail('entered'))
  app.get('/optional', { schema: optional }, async ({ session }) => ({ exists: session.exists }))
  app.get('/either', { schema: { security: [{ bearer: [] }, { session: [] }] } }, async () => t.fail('entered'))
  app.get('/plain', async () => 'plain')
  app.post('/write', { schema: optional }, async ({ session }, reply) => {
    session.data.a = 1
    return await reply.header('x-handler', 'yes').send({ handler: 'bytes' })
  })
  app.post('/start', { schema: optional }, async ({ session }) => { session.start({ ...ada, a: 1 }); return { handler: 'bytes' } })
  app.post('/renew', { schema: optional }, async (request) => { anySession(request).renew(); return { handler: 'bytes' } })
  app.post('/destroy', { schema: optional }, async ({ session }) => { session.destroy(); return { handler: 'bytes' } })
  app.post('/update', { schema: optional }, async ({ session }) => await session.update((data) => { data.a = 1 }))
  app.get('/data', { schema: guarded }, async ({ session }) => session.data)
  const { cookie, setCookie } = await app.session.issue(ada)
  client.jar.take(setCookie)
  setup.store.take()
  return { ...setup, cookie }
}

function isUnavailable (t: Test, response: { statusCode: number, headers: Record<string, unknown>, body: string, json: () => unknown }): void {
  t.match(response.json(), { statusCode: 503, code: 'FST_SESSION_STORE', error: 'Service Unavailable' })
  t.match(response.headers['retry-after'], /^[1-9]\d*$/)
  t.same(setCookies(response), [])
  t.notMatch(response.body, /ECONNREFUSED|hunter2|handler/)
}

t.test('load: a store that is down is a 503 with Retry-After wherever a session is declared and a cookie was sent', async (t) => {
  const setup = await world(t)
  const { client, app, store, log } = setup
  store.before = down
  for (const url of ['/guarded', '/optional', '/either']) isUnavailable(t, await client.get(url))
  t.ok(log.some(({ err }) => err?.code === 'FST_SESSION_STORE' && err?.stack?.includes('ECONNREFUSED')), 'the reason is in the log')
  t.equal((await client.get('/plain')).statusCode, 200, 'a route without a session does not need the store')
  t.equal((await app.inject('/guarded')).statusCode, 401, 'nor does a request without a cookie')
  t.same((await app.inject('/optional')).json(), { exists: false })
  store.before = undefined
  t.same((await client.get('/data')).json(), ada, 'no user was signed out')
})

t.test('load: a store that returns what cannot be awaited is a store that fails', async (t) => {
  const { client, store } = await world(t)
  // oxlint-disable-next-line unicorn/no-thenable -- some query builders throw when they are awaited instead of executed
  store.read = (): any => ({ then: down })
  isUnavailable(t, await client.get('/guarded'))
})

t.test('load: a store that hangs is a store that fails, within its time limit', async (t) => {
  const setup = await world(t)
  const { client, store } = setup
  const asked = createGate()
  store.before = async () => await asked.pass()
  const pass = stopTimers(t)
  let status = 0
  const response = client.get('/optional').finally(() => { status = 503 })
  await asked.reached
  pass(0.04)
  await turn()
  t.equal(status, 0, 'the limit is not over')
  pass(0.02)
  isUnavailable(t, await response)
})

t.test('no timer is set for longer than timers can run, although a call for many sessions may take thirty times the limit', async (t) => {
  const { app, store } = await setUp(t, { storeTimeout: 86_400, principal: (data) => data.userId })
  const delays: unknown[] = []
  const { setTimeout: real } = globalThis
  t.intercept(globalThis, 'setTimeout', { value: (callback: () => void, delay: number) => {
    delays.push(delay)
    return real(callback, Math.min(delay, 1e9))
  } })
  await app.session.issue({ userId: 'ada', roles: [], cart: {} })
  store.before = async () => {}
  t.equal(await app.session.revokeAll('ada'), 1)
  t.same(delays, [2 ** 31 - 1], 'the longest delay that a timer knows')
})

t.test('load: an error that comes after the time limit does no harm', async (t) => {
  const setup = await world(t)
  const { client, store } = setup
  let fail = (): void => {}
  store.before = async () => await new Promise((resolve, reject) => { fail = () => reject(new Error('late')) })
  isUnavailable(t, await client.get('/optional'))
  fail()
  await turn()
  store.before = undefined
  t.equal((await client.get('/optional')).json().exists, true)
})

t.test('load: where one session fails at once and another later, before a late handler, the second error does no harm', async (t) => {
  const [slow, quick] = [new ProbeStore(), new ProbeStore()]
  const { app } = await setUp(t, { store: slow })
  await app.register(plugin, { scheme: 'admin', cookie: { name: '__Host-admin' }, store: quick })
  const { now } = performance
  const fail = createGate()
  const preValidation = async (): Promise<void> => {
    t.intercept(performance, 'now', { value: () => now.call(performance) + 2000 })
    slow.before = async () => { await fail.pass(); down() }
    quick.read = down
  }
  app.post('/', { schema: { security: [{ session: [], admin: [] }] }, preValidation }, async () => t.fail('entered'))
  const cookies = [await managerOf(app).issue(ada), await managerOf(app, 'admin').issue({})].map(({ cookie }) => cookie)
  const unheard: unknown[] = []
  const listener = (error: unknown): void => { unheard.push(error) }
  const others = process.rawListeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', listener)
  t.teardown(() => {
    process.removeListener('unhandledRejection', listener)
    for (const other of others) process.on('unhandledRejection', other as (error: unknown) => void)
  })
  const response = ask(app, 'POST /', cookies.join('; '))
  await fail.reached
  fail.open()
  isUnavailable(t, await response)
  await turn()
  t.same(unheard, [])
})

t.test('load: an error handler sees no session, and each of its members but exists and get() throws the same error', async (t) => {
  const setup = await world(t)
  const { client, store, app } = setup
  const seen: unknown[] = []
  app.setErrorHandler(async (error, request, reply) => {
    const session = anySession(request)
    seen.push(session.exists, session.get('userId'), session.user)
    const throwing = [
      () => session.data, () => session.id, () => session.expiresAt, () => session.createdAt, () => session.authenticatedAt,
      () => { session.set('a', 1) }, () => { session.unset('a') }, () => { session.start(ada) }, () => { session.renew() }, () => { session.destroy() }
    ]
    for (const call of throwing) t.throws(call, error as Error)
    for (const call of [session.update(() => {}), session.commit(), session.regenerate()] as Array<Promise<unknown>>) await t.rejects(call, error as Error)
    return await reply.send(error)
  })
  store.before = down
  isUnavailable(t, await client.get('/optional'))
  t.same(seen, [false, undefined, undefined])
})

t.test('save: a store that is down is a 503 without Set-Cookie and without anything of what the handler sent', async (t) => {
  const failing: Array<[url: string, method: string]> = [
    ['/write', 'update'], ['/start', 'create'], ['/start', 'delete'], ['/renew', 'update'], ['/destroy', 'delete'], ['/update', 'update']
  ]
  for (const [url, method] of failing) {
    const setup = await world(t)
    const { client, store, cookie, app } = setup
    store.before = (call) => { if (call.method === method) down() }
    const before = (await app.session.find((await firstId(setup)) ?? ''))?.data
    isUnavailable(t, await client.post(url))
    store.before = undefined
    t.same((await ask(app, '/data', cookie)).json(), before, `${url}: the session is as it was`)
  }

  async function firstId ({ store, client }: World): Promise<string | undefined> {
    await client.get('/data')
    return store.calls.findLast(({ method }) => method === 'read')?.of
  }
})

t.test('save: a new session that cannot be stored has no cookie', async (t) => {
  const setup = await world(t)
  const { app, store } = setup
  store.before = down
  isUnavailable(t, await app.inject({ method: 'POST', url: '/write' }))
  isUnavailable(t, await app.inject({ method: 'POST', url: '/start' }))
})

t.test('save: a login of which half went through leaves no second session', async (t) => {
  const setup = await world(t)
  const { client, store } = setup
  let failed = false
  let created: string | undefined
  store.before = (call) => {
    if (call.method === 'create') created ??= call.of
    if (call.method !== 'delete' || failed) return
    failed = true
    down()
  }
  isUnavailable(t, await client.post('/start'))
  t.ok(created)
  t.equal(await store.inner.read(created as string), undefined)
  t.same(reported(setup.events), ['created:issue'], 'no event says that something happened')
})

t.test('save: where undoing a login fails as well, the first error is what the client gets', async (t) => {
  const setup = await world(t)
  const { client, store } = setup
  store.before = (call) => { if (call.method !== 'create' && call.method !== 'read') down() }
  isUnavailable(t, await client.post('/start'))
})

t.test('save: a renewal of a session that ends during a conflict sends no cookie', async (t) => {
  const setup = await world(t)
  const { client, store, events } = setup
  store.update = async (id) => {
    store.inner.delete(id)
    return 'conflict' as const
  }
  const response = await client.post('/renew')
  t.equal(response.statusCode, 200)
  t.same(setCookies(response), [])
  t.same(reported(events), ['created:issue', 'discarded:ended'])
})

t.test('save: a store that says that a new random id is taken is broken', async (t) => {
  const setup = await world(t)
  setup.store.create = async () => false
  const response = await setup.client.post('/start')
  t.match(response.json(), { statusCode: 503, code: 'FST_SESSION_STORE' })
  t.same(setCookies(response), [])
})

t.test('save: a store that hangs is a store that fails', async (t) => {
  const setup = await world(t)
  setup.store.before = async ({ method }) => { if (method === 'update') await new Promise(() => {}) }
  isUnavailable(t, await setup.client.post('/write'))
})

t.test('save: a stream is not begun, and HEAD fails as well', async (t) => {
  const setup = await world(t)
  const { client, store, app } = setup
  const touched: string[] = []
  let stream: Readable | undefined
  app.get('/stream', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    stream = new Readable({ read () { touched.push('read'); this.push('bytes'); this.push(null) } })
    return stream
  })
  let cancelled = 0
  app.get('/web', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    return new ReadableStream({ cancel () { cancelled++; throw new Error('of no interest') } })
  })
  store.before = ({ method }) => { if (method === 'update') down() }
  isUnavailable(t, await client.get('/stream'))
  t.equal(stream?.destroyed, true)
  isUnavailable(t, await client.get('/web'))
  t.equal(cancelled, 1)
  const head = await client.inject({ method: 'HEAD', url: '/stream' })
  t.equal(head.statusCode, 503)
  t.same(setCookies(head), [])
})

t.test('save: a SessionError of the store reaches the client as it is', async (t) => {
  const setup = await world(t)
  setup.store.before = ({ method }) => { if (method === 'update') throw new SessionError('FST_SESSION_TOO_LARGE', 'This store keeps 1 kB.') }
  t.match((await setup.client.post('/write')).json(), { statusCode: 500, code: 'FST_SESSION_TOO_LARGE', message: 'This store keeps 1 kB.' })
})

t.test('commit: what was refused stays refused, and the response stores nothing of it', async (t) => {
  const setup = await world(t)
  const { client, store, app } = setup
  const refusal = { code: 'FST_SESSION_STORE', statusCode: 503, cause: /ECONNREFUSED/ }
  const calls = {
    data: (session: VisitorSession) => { session.data.a = 1 },
    renew: (session: VisitorSession) => { session.renew() },
    destroy: (session: VisitorSession) => { session.destroy() },
    start: (session: VisitorSession) => { session.start({ ...ada, a: 1 }) }
  }
  for (const [name, call] of Object.entries(calls)) {
    app.post(`/commit/${name}`, { schema: guarded }, async ({ session }) => {
      call(session)
      await t.rejects(session.commit(), refusal, name)
      t.same(session.data, ada, 'the session is as it is stored')
      store.before = undefined
      store.take()
      return 'fine'
    })
  }
  for (const name of Object.keys(calls)) {
    store.before = ({ method }) => { if (method !== 'read') down() }
    const response = await client.post(`/commit/${name}`)
    t.equal(response.body, 'fine')
    t.same(setCookies(response), [])
    t.same(store.take().filter((method) => method !== 'delete'), [], 'at most a login that was stored is undone')
    t.same((await client.get('/data')).json(), ada)
  }
})

t.test('commit: a login that comes while a save fails is not lost with it, and what was refused is', async (t) => {
  const setup = await world(t)
  const { app, store } = setup
  const calls = ['start', 'destroy', 'renew'] as const
  for (const call of calls) {
    app.post(`/then/${call}`, { schema: guarded }, async ({ session }) => {
      session.data.a = 1
      store.before = async ({ method }) => { if (method === 'update') down() }
      const commit = session.commit()
      if (call === 'start') session.start({ ...ada, userId: 'bob' })
      else session[call]()
      await t.rejects(commit, { code: 'FST_SESSION_STORE' })
      store.before = undefined
      return [session.exists, session.data.userId ?? null, session.data.a ?? null]
    })
  }
  for (const call of calls) {
    const { id, cookie } = await app.session.issue(ada)
    const response = await ask(app, `POST /then/${call}`, cookie)
    t.same(response.json(), { start: [true, 'bob', null], destroy: [false, null, null], renew: [true, 'ada', null] }[call], call)
    t.equal(setCookies(response).length, 1)
    const left = await app.session.find(id)
    if (call === 'renew') t.same(left?.data, ada)
    else t.equal(left, undefined)
  }
})

t.test('commit: a conflict that the handler catches is not stored with the response', async (t) => {
  const setup = await world(t)
  const { client, store, app } = setup
  app.post('/commit', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    store.update = async () => 'conflict' as const
    await t.rejects(session.commit(), { code: 'FST_SESSION_CONFLICT' })
    delete (store as { update?: unknown }).update
    return 'fine'
  })
  t.equal((await client.post('/commit')).body, 'fine')
  t.same((await client.get('/data')).json(), ada)
})

t.test('commit: data that do not fit can be corrected, and fail the response if they are not', async (t) => {
  const setup = await world(t)
  const { client, app } = setup
  app.post('/:correct', { schema: guarded }, async ({ session, params }) => {
    session.data.a = 'x' as never
    await t.rejects(session.commit(), { code: 'FST_SESSION_INVALID_DATA' })
    if ((params as { correct: string }).correct === 'yes') session.data.a = 5
    return 'fine'
  })
  t.match((await client.post('/no')).json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA' })
  t.same((await client.get('/data')).json(), ada)
  t.equal((await client.post('/yes')).body, 'fine')
  t.same((await client.get('/data')).json(), { ...ada, a: 5 })
})

t.test('the cause of a 503 is a copy of the driver\'s error without statement, parameters and arguments', async (t) => {
  const setup = await world(t)
  const { client, store, log, app } = setup
  const causes: any[] = []
  app.setErrorHandler(async (error, _request, reply) => {
    causes.push((error as Error).cause)
    return await reply.send(error)
  })
  const inner = Object.assign(new TypeError('connection lost'), { code: 'ECONNRESET', args: ['hunter2'] })
  const thrown = Object.assign(new RangeError('write failed', { cause: inner }), {
    code: 'WRONGTYPE', command: { name: 'set', args: ['hunter2'] }, sql: 'insert hunter2', parameters: ['hunter2'], detail: 'hunter2'
  })
  store.before = () => { throw thrown }
  isUnavailable(t, await client.get('/optional'))
  const [cause] = causes
  t.not(cause, thrown)
  t.match(cause, { name: 'RangeError', message: 'write failed', code: 'WRONGTYPE', cause: { name: 'TypeError', message: 'connection lost', code: 'ECONNRESET' } })
  t.match(cause.stack, /write failed/)
  t.same(Object.keys(cause).sort(), ['cause', 'code', 'name'])
  t.same(Object.keys(cause.cause).sort(), ['code', 'name'])
  t.notMatch(JSON.stringify(log), /hunter2/)
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  store.before = () => { throw 'hunter2' }
  isUnavailable(t, await client.get('/optional'))
  t.notMatch(String(causes[1]), /hunter2/)
  t.notMatch(JSON.stringify(log), /hunter2/)
})

t.test('what a failed response wanted to save is not reported as lost on top of the 503', async (t) => {
  const setup = await world(t)
  setup.store.before = ({ method }) => { if (method === 'update') down() }
  await setup.client.post('/write')
  t.same(reported(setup.events), ['created:issue'])
})

t.test('the manager rejects with the same errors as a request', async (t) => {
  const setup = await setUp(t, { principal: (data) => data.userId })
  const { app, store } = setup
  const { id } = await app.session.issue(ada)
  store.before = down
  const error = { code: 'FST_SESSION_STORE', statusCode: 503, cause: /ECONNREFUSED/ }
  await t.rejects(app.session.issue(ada), error)
  await t.rejects(app.session.find(id), error)
  await t.rejects(app.session.list('ada'), error)
  await t.rejects(app.session.revoke(id), error)
  await t.rejects(app.session.revokeAll('ada'), error)
})

t.test('what a store reports by itself reaches log and events', async (t) => {
  const { store, events, log } = await setUp(t)
  store.observer?.({ kind: 'damaged', id: 'x'.repeat(22) })
  t.match(events, [{ scheme: 'session', type: 'discarded', reason: 'damaged', id: 'x'.repeat(22) }])
  store.observer?.({ kind: 'failed', task: 'remove expired files', error: new Error('disk full') })
  t.ok(log.some(({ level, msg, err }) => level === 50 && msg === 'session store: remove expired files failed' && err.message === 'disk full'))
  t.equal(events.length, 1)
  for (const id of ['a', 'b']) store.observer?.({ kind: 'evicted', id, principal: 'ada' })
  t.match(events.slice(1), [{ type: 'destroyed', reason: 'evicted', id: 'a', principal: 'ada' }, { type: 'destroyed', reason: 'evicted', id: 'b' }])
  t.equal(log.filter(({ level, msg }) => level === 40 && msg.startsWith('the session store is full')).length, 1, 'the log says it once')
})

t.test('the store is closed with the app, once', async (t) => {
  const { app, store } = await setUp(t)
  await app.ready()
  await app.close()
  t.equal(store.closed, 1)
})
