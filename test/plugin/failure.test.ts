import t, { type Test } from 'tap'
import { Readable } from 'node:stream'
import { setTimeout as timer } from 'node:timers/promises'
import { SessionError } from 'fastify-openapi-session'
import { cookies, guarded, optional, setUp, told, type Setup } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }
const down = (): never => { throw new Error('ECONNREFUSED redis://:hunter2@10.0.0.1:6379') }

async function world (t: Test): Promise<Setup & { cookie: string }> {
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
  app.post('/renew', { schema: optional }, async ({ session }) => { session.renew(); return { handler: 'bytes' } })
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
  t.same(cookies(response), [])
  t.notMatch(response.body, /ECONNREFUSED|hunter2|handler/)
}

t.test('load: 503 with Retry-After wherever a session is declared and a cookie was sent', async (t) => {
  const setup = await world(t)
  const { client, app, store, log } = setup
  store.before = down
  for (const url of ['/guarded', '/optional', '/either']) isUnavailable(t, await client.get(url))
  t.ok(log.some(({ err }) => err?.code === 'FST_SESSION_STORE' && err?.stack?.includes('ECONNREFUSED')), 'the reason is in the log')
  t.equal((await client.get('/plain')).statusCode, 200, 'what declares none does not mind')
  t.equal((await app.inject('/guarded')).statusCode, 401, 'nor does who sent no cookie')
  t.same((await app.inject('/optional')).json(), { exists: false })
  store.before = undefined
  t.same((await client.get('/data')).json(), ada, 'nobody was signed out')
})

t.test('load: a store that hangs is a store that fails, within its time limit', async (t) => {
  const setup = await world(t)
  const { client, store } = setup
  store.before = async () => await new Promise(() => {})
  const start = performance.now()
  isUnavailable(t, await client.get('/optional'))
  t.ok(performance.now() - start < 2000)
})

t.test('load: what the store answers too late does no harm', async (t) => {
  const setup = await world(t)
  const { client, store } = setup
  let fail = (): void => {}
  store.before = async () => await new Promise((resolve, reject) => { fail = () => reject(new Error('late')) })
  isUnavailable(t, await client.get('/optional'))
  fail()
  await timer(0)
  store.before = undefined
  t.equal((await client.get('/optional')).json().exists, true)
})

t.test('load: an error handler that asks for the session gets the same error', async (t) => {
  const setup = await world(t)
  const { client, store, app } = setup
  const seen: unknown[] = []
  app.setErrorHandler(async (error, request, reply) => {
    try {
      seen.push(request.session.exists)
    } catch (again) {
      seen.push(again === error)
    }
    return await reply.send(error)
  })
  store.before = down
  isUnavailable(t, await client.get('/optional'))
  t.same(seen, [true])
})

t.test('save: 503, no Set-Cookie, nothing of what the handler sent', async (t) => {
  const failing: Array<[url: string, method: string]> = [
    ['/write', 'update'], ['/start', 'create'], ['/start', 'update'], ['/renew', 'create'], ['/renew', 'update'], ['/destroy', 'update'], ['/update', 'update']
  ]
  for (const [url, method] of failing) {
    const setup = await world(t)
    const { client, store, cookie, app } = setup
    store.before = (call) => { if (call.method === method) down() }
    const before = (await app.session.find((await firstId(setup)) ?? ''))?.data
    isUnavailable(t, await client.post(url))
    store.before = undefined
    t.same((await app.inject({ url: '/data', headers: { cookie } })).json(), before, `${url}: the session is as it was`)
  }

  async function firstId ({ store, client }: Setup): Promise<string | undefined> {
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

t.test('save: a renewal or login of which half went through leaves no second session', async (t) => {
  for (const [url, method] of [['/renew', 'update'], ['/start', 'update']] as const) {
    const setup = await world(t)
    const { client, store } = setup
    let failed = false
    let created: string | undefined
    store.before = (call) => {
      if (call.method === 'create') created ??= call.of
      if (call.method !== method || failed) return
      failed = true
      down()
    }
    isUnavailable(t, await client.post(url))
    t.ok(created)
    t.equal(await store.inner.read(created as string), undefined)
    t.same(told(setup.events), ['created:issue'], 'and nothing is said to have happened')
  }
})

t.test('save: where even the way back fails, the first error is told', async (t) => {
  const setup = await world(t)
  const { client, store } = setup
  store.before = (call) => { if (call.method !== 'create' && call.method !== 'read') down() }
  isUnavailable(t, await client.post('/start'))
})

t.test('save: a renewal whose new record is gone is no renewal, and is not said to be one', async (t) => {
  const setup = await world(t)
  const { client, store, events } = setup
  const update = store.update.bind(store)
  let rounds = 0
  // Somebody wrote in between, and the new record was swept away at the same time.
  store.update = async (id, record) => {
    rounds++
    return rounds === 1 ? 'conflict' : rounds === 2 ? 'missing' : await update(id, record)
  }
  const response = await client.post('/renew')
  t.match(response.json(), { statusCode: 409, code: 'FST_SESSION_CONFLICT' })
  t.same(cookies(response), [])
  t.same(told(events), ['created:issue'])
  t.equal((await client.get('/optional')).json().exists, true)
})

t.test('save: an id that is taken means that something is broken', async (t) => {
  const setup = await world(t)
  setup.store.create = async () => false
  const response = await setup.client.post('/start')
  t.match(response.json(), { statusCode: 503, code: 'FST_SESSION_STORE' })
  t.same(cookies(response), [])
})

t.test('save: a store hangs', async (t) => {
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
  t.same(cookies(head), [])
})

t.test('save: what the store says of its own accord with a SessionError is kept', async (t) => {
  const setup = await world(t)
  setup.store.before = ({ method }) => { if (method === 'update') throw new SessionError('FST_SESSION_TOO_LARGE', 'This store keeps 1 kB.') }
  t.match((await setup.client.post('/write')).json(), { statusCode: 500, code: 'FST_SESSION_TOO_LARGE', message: 'This store keeps 1 kB.' })
})

t.test('commit: the handler hears of it, and the answer fails as well', async (t) => {
  const setup = await world(t)
  const { client, store, app } = setup
  app.post('/commit', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    await t.rejects(session.commit(), { code: 'FST_SESSION_STORE', statusCode: 503, cause: /ECONNREFUSED/ })
    return 'fine'
  })
  store.before = ({ method }) => { if (method === 'update') down() }
  isUnavailable(t, await client.post('/commit'))
  let once = false
  store.before = ({ method }) => {
    if (method !== 'update' || once) return
    once = true
    down()
  }
  t.equal((await client.post('/commit')).body, 'fine', 'and is tried again with the response')
  t.equal((await client.get('/data')).json().a, 1)
})

t.test('what a failed response wanted to save is not told as lost a second time', async (t) => {
  const setup = await world(t)
  setup.store.before = ({ method }) => { if (method === 'update') down() }
  await setup.client.post('/write')
  t.same(told(setup.events), ['created:issue'])
})

t.test('the manager: the same errors', async (t) => {
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
  store.observer?.({ kind: 'damaged', id: 'x'.repeat(43) })
  t.match(events, [{ scheme: 'session', type: 'discarded', reason: 'damaged', id: 'x'.repeat(43) }])
  store.observer?.({ kind: 'failed', task: 'remove expired files', error: new Error('disk full') })
  t.ok(log.some(({ level, msg, err }) => level === 50 && msg === 'session store: remove expired files failed' && err.message === 'disk full'))
  t.equal(events.length, 1)
})

t.test('the store is closed with the app, once', async (t) => {
  const { app, store } = await setUp(t)
  await app.ready()
  await app.close()
  t.equal(store.closed, 1)
})
