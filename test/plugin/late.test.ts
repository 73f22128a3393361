/** What a handler does with its session after the response has begun. */
import { once } from 'node:events'
import { get } from 'node:http'
import { connect } from 'node:http2'
import { Readable } from 'node:stream'
import websocket from '@fastify/websocket'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { createGate } from '../support/gate.js'
import { ask, guarded, optional, reported, setCookies } from '../support/harness.js'
import { anySession, setUp, type VisitorSession } from './support.js'

const ada = { userId: 'ada', roles: ['reader'], cart: {} }

/** Every member that changes a session, but `update` and `commit`. */
const changes: Record<string, (session: VisitorSession) => unknown> = {
  'start()': (session) => { session.start(ada) },
  'renew()': (session) => { session.renew() },
  'regenerate()': (session) => session.regenerate(),
  'destroy()': (session) => { session.destroy() },
  'set()': (session) => { session.set('a', 1) },
  'unset()': (session) => { session.unset('userId') }
}

/** Checks a session whose response has begun. */
async function refusesChanges (t: Test, session: VisitorSession): Promise<void> {
  for (const [name, change] of Object.entries(changes)) {
    await t.rejects(async () => { await change(session) }, {
      code: 'FST_SESSION_TOO_LATE',
      statusCode: 500,
      message: `session.${name} came after the response had begun, too late to be saved with it. Call it before the response is sent. Later, request.session.update(fn) and app.session.update(id, fn) save data, and app.session.revoke(id) ends the session.`
    }, name)
  }
  t.throws(() => { session.data.a = 1 }, TypeError)
  t.throws(() => { delete session.data.userId }, TypeError)
  t.throws(() => { session.data.roles.push('admin') }, TypeError)
  t.throws(() => { session.get('roles')?.push('admin') }, TypeError)
}

/** Checks what can be done at any time. */
async function allowsTheRest (t: Test, session: VisitorSession): Promise<void> {
  t.equal(session.exists, true)
  t.equal(session.get('userId'), 'ada')
  t.match(session.id, /^[\w-]{22}$/)
  t.ok(session.expiresAt > session.createdAt)
  t.equal((await session.update((data) => { data.a = (data.a ?? 0) + 1 })).a, 1)
  t.equal(session.data.a, 1)
  t.equal(await session.commit(), undefined)
}

t.test('a change after the response throws at its line, and update() works', async (t) => {
  const { app, client, events, log } = await setUp(t)
  let late: VisitorSession | undefined
  app.post('/', { schema: guarded }, async ({ session }) => { late = session; return 'bye' })
  const { id, setCookie } = await app.session.issue(ada)
  client.jar.take(setCookie)
  events.length = 0
  t.equal((await client.post('/')).body, 'bye')
  await refusesChanges(t, late as VisitorSession)
  await allowsTheRest(t, late as VisitorSession)
  t.match(await app.session.find(id), { data: { ...ada, a: 1 } })
  await app.session.update(id, (data) => { data.b = 2 })
  t.match(await app.session.find(id), { data: { ...ada, a: 1, b: 2 } })
  t.same(reported(events), [])
  t.notOk(log.some(({ level }) => level >= 40))
})

t.test('a change in a stream, or of a hijacked reply whose headers are sent, throws at its line, and update() works', async (t) => {
  const { app, events } = await setUp(t)
  app.get('/stream', { schema: guarded }, async ({ session }, reply) => reply.send(Readable.from((async function * () {
    yield 'one'
    await refusesChanges(t, session)
    await allowsTheRest(t, session)
    yield 'two'
  })())))
  app.get('/hijacked', { schema: guarded }, async ({ session }, reply) => {
    reply.hijack()
    session.set('b', 5)
    await session.commit()
    reply.raw.writeHead(200).write('one')
    await refusesChanges(t, session)
    await allowsTheRest(t, session)
    reply.raw.end('two')
  })
  for (const url of ['/stream', '/hijacked']) {
    const { id, cookie } = await app.session.issue(ada)
    events.length = 0
    t.equal((await ask(app, url, cookie)).body, 'onetwo', url)
    t.match(await app.session.find(id), { data: { ...ada, a: 1, ...(url === '/hijacked' && { b: 5 }) } })
    t.same(reported(events), [])
  }
})

for (const http2 of [false, true]) {
  t.test(`over HTTP/${http2 ? 2 : 1}, a change of a hijacked reply whose client has gone throws at its line, and update() works`, async (t) => {
    const { app, events } = await setUp(t, {}, { http2, forceCloseConnections: true } as never)
    const [hijacked, gone] = [createGate(), createGate()]
    app.get('/', { schema: guarded }, async ({ session }, reply) => {
      reply.hijack()
      const closed = once(reply.raw, 'close')
      await hijacked.pass()
      await closed
      await refusesChanges(t, session)
      await allowsTheRest(t, session)
      await gone.pass()
    })
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const { id, cookie } = await app.session.issue(ada)
    events.length = 0
    const client = http2 ? connect(address) : get(address, { headers: { cookie } })
    const request = 'request' in client ? client.request({ ':path': '/', cookie }) : client
    request.on('error', () => {})
    await hijacked.reached
    request.destroy()
    hijacked.open()
    await gone.reached
    gone.open()
    client.destroy()
    t.match(await app.session.find(id), { data: { ...ada, a: 1 } })
    t.same(reported(events), [])
  })
}

t.test('of a hijacked reply, destroy() before the client is gone and commit() after that end the session', async (t) => {
  const { app } = await setUp(t)
  const [hijacked, committed] = [createGate(), createGate()]
  app.get('/', { schema: guarded }, async ({ session }, reply) => {
    reply.hijack()
    session.destroy()
    const closed = once(reply.raw, 'close')
    await hijacked.pass()
    await closed
    await session.commit()
    await committed.pass()
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const { id, cookie } = await app.session.issue(ada)
  const client = get(address, { headers: { cookie } })
  client.on('error', () => {})
  await hijacked.reached
  client.destroy()
  hijacked.open()
  await committed.reached
  committed.open()
  t.equal(await app.session.find(id), undefined)
})

t.test('a change in a hook after the save, or while the session is being saved, throws at its line', async (t) => {
  const { app, store } = await setUp(t)
  const [saving, hook] = [createGate(), createGate()]
  app.addHook('onSend', async (request) => {
    await refusesChanges(t, anySession(request))
    void hook.pass()
  })
  app.post('/', { schema: guarded }, async ({ session }) => {
    session.set('b', 1)
    void saving.reached.then(async () => {
      await refusesChanges(t, session)
      saving.open()
    })
    return 'bye'
  })
  const { id, cookie } = await app.session.issue(ada)
  store.before = async ({ method }) => { if (method === 'update') await saving.pass() }
  t.equal((await ask(app, 'POST /', cookie)).statusCode, 200)
  await hook.reached
  t.match((await app.session.find(id))?.data, { ...ada, b: 1 })
})

t.test('a change after the upgrade to a WebSocket throws at its line, and update() works', async (t) => {
  const { app, events } = await setUp(t)
  await app.register(websocket)
  app.register(async (child) => {
    child.get('/chat', { websocket: true, schema: guarded }, (socket, { session }) => {
      socket.on('message', () => {
        void (async () => {
          await refusesChanges(t, session)
          await allowsTheRest(t, session)
          socket.send('done')
        })()
      })
    })
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const { id, cookie } = await app.session.issue(ada)
  events.length = 0
  const socket = new WebSocket(`${address.replace('http', 'ws')}/chat`, { headers: { cookie } })
  await once(socket, 'open')
  socket.send('go')
  t.equal(String((await once(socket, 'message'))[0]), 'done')
  socket.close()
  await once(socket, 'close')
  t.match(await app.session.find(id), { data: { ...ada, a: 1 } })
  t.same(reported(events), [])
})

t.test('an object that was handed out before the response is checked when the response closes', async (t) => {
  const { app, events } = await setUp(t)
  app.get('/:late', { schema: guarded }, async ({ session, params }, reply) => {
    const { data } = session
    const cart = session.get('cart')
    return await reply.send(Readable.from((async function * () {
      yield 'one'
      const { late } = params as { late: string }
      if (late === 'data') data.a = 1
      if (late === 'nested' && cart) cart['tea'] = 1
      if (late === 'committed') { data.a = 2; await session.commit() }
      if (late === 'updated') await session.update((stored) => { stored.a = 3 })
      yield 'two'
    })()))
  })
  for (const [late, reported, a] of [['data', true, undefined], ['nested', true, undefined], ['committed', false, 2], ['updated', false, 3], ['nothing', false, undefined]] as const) {
    const { id, cookie } = await app.session.issue(ada)
    events.length = 0
    t.equal((await ask(app, `/${late}`, cookie)).body, 'onetwo')
    t.match(events, reported ? [{ type: 'discarded', reason: 'after-commit', id, detail: /use request\.session\.update\(fn\), which saves at any time/ }] : [], late)
    t.equal(events.length, reported ? 1 : 0)
    const stored = (await app.session.find(id))?.data
    t.same(stored, { ...ada, ...(a !== undefined && { a }) })
  }
})

t.test('a late save that needs a cookie is refused before anything is stored', async (t) => {
  const { app, store } = await setUp(t, { principal: (data) => data.userId })
  app.get('/first', { schema: optional }, async ({ session }, reply) => {
    const { data } = session
    return await reply.send(Readable.from((async function * () {
      yield 'x'.repeat(100_000)
      data.a = 1
      await t.rejects(session.commit(), { code: 'FST_SESSION_TOO_LATE', message: /session\.commit\(\) came after the response had begun.* It needs a cookie/ })
      await t.rejects(session.update(() => {}), { code: 'FST_SESSION_REQUIRED' })
    })()))
  })
  app.get('/principal', { schema: guarded }, async ({ session }, reply) => {
    const { data } = session
    return await reply.send(Readable.from((async function * () {
      yield 'x'.repeat(100_000)
      data.userId = 'eve'
      await t.rejects(session.commit(), { code: 'FST_SESSION_TOO_LATE' })
    })()))
  })
  app.get('/renew', { schema: guarded }, async ({ session }, reply) => {
    session.renew()
    reply.hijack()
    reply.raw.writeHead(200)
    await t.rejects(session.commit(), { code: 'FST_SESSION_TOO_LATE' })
    reply.raw.end()
  })
  const { cookie } = await app.session.issue(ada)
  store.take()
  t.equal((await app.inject('/first')).statusCode, 200)
  for (const url of ['/principal', '/renew']) t.equal((await ask(app, url, cookie)).statusCode, 200)
  t.same(store.take(), ['read', 'read'])
  t.equal((await ask(app, '/renew', cookie)).statusCode, 200, 'the cookie is still valid')
})

t.test('a sealed session can be saved until the headers are sent', async (t) => {
  const { app } = await setUp(t, { store: sealedCookie({ keys: [makeKey()] }) as never })
  app.get('/:late', { schema: guarded }, async ({ session, session: { data }, params }, reply) => reply.send(Readable.from((async function * () {
    const isLate = (params as { late: string }).late === 'yes'
    if (isLate) {
      yield 'x'.repeat(100_000)
      await t.rejects(session.update(() => { t.fail('ran') }), { code: 'FST_SESSION_TOO_LATE', message: /session\.update\(\) came after the response had begun.* It needs a cookie/ })
      data.a = 2
      await t.rejects(session.commit(), { code: 'FST_SESSION_TOO_LATE', message: /session\.commit\(\) came after the response had begun.* It needs a cookie/ })
    } else {
      await session.update((data) => { data.a = 1 })
    }
    yield 'y'
  })())))
  const { cookie } = await app.session.issue(ada)
  t.same(setCookies(await ask(app, '/yes', cookie)), [])
  t.equal(setCookies(await ask(app, '/no', cookie)).length, 1)
})

t.test('an update of a sealed session whose headers are sent while its function runs is refused, because its cookie would be lost', async (t) => {
  const { app } = await setUp(t, { store: sealedCookie({ keys: [makeKey()] }) as never })
  app.get('/stream', { schema: guarded }, async ({ session }, reply) => {
    const gate = createGate()
    const refused = async (): Promise<void> => {
      await t.rejects(session.update(async (data) => {
        data.a = 1
        await gate.pass()
      }), { code: 'FST_SESSION_TOO_LATE', message: /session\.update\(\) came after the response had begun.* It needs a cookie/ })
    }
    return reply.send(Readable.from((async function * () {
      const refusal = refused()
      await gate.reached
      yield 'x'.repeat(100_000)
      gate.open()
      await refusal
      yield 'y'
    })()))
  })
  app.get('/hijacked', { schema: guarded }, async ({ session }, reply) => {
    reply.hijack()
    await t.rejects(session.update((data) => {
      data.a = 1
      reply.raw.write('x')
    }), { code: 'FST_SESSION_TOO_LATE' })
    reply.raw.end('y')
  })
  const { cookie } = await app.session.issue(ada)
  for (const url of ['/stream', '/hijacked']) t.same(setCookies(await ask(app, url, cookie)), [], url)
})
