/** What happens to a response while, and after, its session is being stored. */
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { request as get } from 'node:http'
import { Readable } from 'node:stream'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t from 'tap'
import { createGate } from '../support/gate.js'
import { until } from '../support/servers-process.js'
import sessionPlugin from 'fastify-openapi-session'
import { ask, guarded, optional, reported, setCookies, type World } from '../support/harness.js'
import { Admin, anySession, setUp } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

/** Makes a store answer later, as one outside of the process does. */
function answerLater ({ store }: World): void {
  store.before = async () => {}
}

/** Holds the first write of a session until the gate opens. */
function holdSave ({ store }: World): ReturnType<typeof createGate> {
  const gate = createGate()
  store.before = async ({ method }) => { if (method !== 'read') await gate.pass() }
  return gate
}

t.test('what Fastify cannot send is a 500, whether a session had to be stored before it or not', async (t) => {
  const setup = await setUp(t)
  const { app, client } = setup
  app.post('/login', { schema: optional }, async ({ session, query }, reply) => {
    session.start(ada)
    return reply.redirect((query as { next: string }).next)
  })
  app.get('/read', { schema: guarded }, async ({ session }, reply) => reply.header('x', `漢${session.data.userId}`).send(''))
  app.get('/write', { schema: guarded }, async ({ session }, reply) => { session.data.a = 1; return reply.header('x', '漢').send('') })
  app.get('/number', { schema: guarded }, async ({ session }, reply) => { session.data.a = 2; return reply.serializer(() => 5 as never).send({}) })
  t.match((await client.post('/login?next=%2F%E6%BC%A2')).json(), { statusCode: 500, code: 'ERR_INVALID_CHAR' })
  client.jar.take((await app.session.issue(ada)).setCookie)
  for (const url of ['/read', '/write']) t.match((await client.get(url)).json(), { statusCode: 500, code: 'ERR_INVALID_CHAR' }, url)
  t.match((await client.get('/number')).json(), { statusCode: 500, code: 'FST_ERR_REP_INVALID_PAYLOAD_TYPE' })
})

t.test('a second response is dropped while the session is stored for the first one', async (t) => {
  const setup = await setUp(t)
  const { app, log } = setup
  answerLater(setup)
  app.post('/not-awaited', { schema: optional }, async ({ session }, reply) => {
    session.start(ada)
    void reply.send({ first: true })
  })
  app.post('/redirect', { schema: optional }, async ({ session }, reply) => {
    session.start(ada)
    void reply.redirect('/home')
  })
  app.post('/twice', { schema: optional }, ({ session }, reply) => {
    session.start(ada)
    void reply.code(201).send({ first: true })
    void reply.code(202).type('text/plain').send('second')
  })
  for (const [url, status, body] of [['/not-awaited', 200, '{"first":true}'], ['/redirect', 302, ''], ['/twice', 201, '{"first":true}']] as const) {
    const response = await app.inject({ method: 'POST', url })
    t.equal(response.statusCode, status, url)
    t.equal(response.body, body)
    t.equal(setCookies(response).length, 1)
    t.equal(response.headers['cache-control'], 'no-store')
    t.match(response.headers['content-type'] ?? 'none', url === '/redirect' ? 'none' : 'application/json')
    t.equal(log.filter(({ level, msg }) => level === 40 && msg.startsWith('Response already being sent; the second one was dropped')).length, 1)
    log.length = 0
  }
})

t.test('a time limit of the handler that passes while the session is stored does not take the place of the response', async (t) => {
  const setup = await setUp(t)
  const { app } = setup
  const gate = holdSave(setup)
  app.addHook('onError', async () => { gate.open() })
  app.post('/', { schema: optional, handlerTimeout: 50 }, async ({ session }, reply) => {
    session.start(ada)
    return reply.header('x-mine', '1').send({ in: true })
  })
  const response = await app.inject({ method: 'POST', url: '/' })
  t.match(response, { statusCode: 200, body: '{"in":true}', headers: { 'x-mine': '1', 'content-type': /json/ } })
  t.equal(setCookies(response).length, 1)
})

t.test('a save that fails after the time limit of the handler is a 503', async (t) => {
  const setup = await setUp(t)
  const { app, store } = setup
  const gate = holdSave(setup)
  app.addHook('onError', async () => { gate.open() })
  app.post('/', { schema: optional, handlerTimeout: 50 }, async ({ session }) => { session.start(ada); return 'in' })
  store.after = () => { throw new Error('down') }
  const response = await app.inject({ method: 'POST', url: '/' })
  t.match(response, { statusCode: 503, headers: { 'retry-after': '5' } })
  t.match(response.json(), { code: 'FST_SESSION_STORE' })
  t.same(setCookies(response), [])
})

t.test('a save that fails after a second response is a 503', async (t) => {
  const setup = await setUp(t)
  const { app, store } = setup
  store.after = () => { throw new Error('down') }
  app.post('/', { schema: optional }, ({ session }, reply) => {
    session.start(ada)
    void reply.code(201).send('first')
    void reply.code(202).header('location', '/second').send('second')
  })
  const answer = await app.inject({ method: 'POST', url: '/' })
  t.match(answer, { statusCode: 503, headers: { 'retry-after': '5' } })
  t.notOk('location' in answer.headers)
})

t.test('a stream that fails while its session is stored is a 500, and one that is not sent is let go', async (t) => {
  const setup = await setUp(t)
  const { app, client, store } = setup
  const dropped: string[] = []
  const body = (): Readable => new Readable({ read () {}, destroy (error, done) { dropped.push('stream'); done(error) } })
  app.get('/missing', { schema: guarded }, async ({ session }, reply) => {
    session.data.a = 1
    const file = createReadStream('/nowhere/at/all')
    file.once('close', () => { gate.open() })
    return reply.send(file)
  })
  app.get('/twice', { schema: guarded }, ({ session }, reply) => {
    session.data.b = 1
    void reply.send('first')
    void reply.send(body())
  })
  app.get('/fails', { schema: guarded }, async ({ session }, reply) => { session.data.b = 2; return reply.send(body()) })
  client.jar.take((await app.session.issue(ada)).setCookie)
  const gate = holdSave(setup)
  t.match((await client.get('/missing')).json(), { statusCode: 500, code: 'ENOENT' })
  t.equal((await client.get('/twice')).body, 'first')
  t.same(dropped.splice(0), ['stream'])
  store.before = ({ method }) => { if (method === 'update') throw new Error('down') }
  t.equal((await client.get('/fails')).statusCode, 503)
  t.same(dropped, ['stream'])
})

t.test('a Response of the Fetch standard is a response like any other', async (t) => {
  const setup = await setUp(t, { principal: (data) => data.userId })
  const { app, client, store } = setup
  answerLater(setup)
  let cancelled = 0
  const stream = (): ReadableStream => new ReadableStream({ cancel () { cancelled++ } })
  const shared = { 'cache-control': 'public, max-age=3600', 'cdn-cache-control': 'max-age=60', 'surrogate-control': 'max-age=60', vary: 'Accept' }
  app.post('/login', { schema: optional }, async ({ session }) => {
    session.start(ada)
    const headers = new Headers(shared)
    headers.append('set-cookie', 'a=1')
    headers.append('set-cookie', 'b=2')
    return new Response('in', { status: 201, headers })
  })
  app.get('/see', { schema: guarded }, async ({ session }) => new Response(session.data.userId))
  app.get('/nothing', { schema: guarded }, async ({ session }) => { session.data.a = 3; return new Response(null, { status: 204 }) })
  app.get('/fail', { schema: guarded }, async ({ session }) => { session.data.a = 1; return new Response('oops', { status: 500 }) })
  app.get('/read', { schema: guarded }, async ({ session }) => { session.data.a = 2; const response = new Response('x'); await response.text(); return response })
  const own = { 'set-cookie': 'other=1', 'cache-control': 'public', 'content-encoding': 'gzip', etag: '"x"' }
  app.get('/down', { schema: guarded }, async ({ session }, reply) => {
    session.data.a = 1
    reply.header('x-app', 'shop')
    return new Response(stream(), { headers: { ...own, 'x-app': 'shop' } })
  })
  app.get('/twice', { schema: guarded }, ({ session }, reply) => { session.data.b = 1; void reply.send('first'); void reply.send(new Response(stream())) })
  const login = await client.post('/login')
  t.match(login, { statusCode: 201, body: 'in', headers: { 'cache-control': 'no-store', vary: 'Accept, Cookie' } })
  t.notOk('cdn-cache-control' in login.headers)
  t.notOk('surrogate-control' in login.headers)
  t.match(setCookies(login), ['a=1', 'b=2', /^__Host-session=/])
  t.match(await client.get('/see'), { body: 'ada', headers: { 'cache-control': 'private, no-cache', vary: 'Cookie' } })
  t.match(await client.get('/fail'), { statusCode: 500, body: 'oops' })
  t.equal((await app.session.list('ada')).sessions[0]?.data.a, undefined, 'a response of 500 takes back what it did')
  t.match(await client.get('/nothing'), { statusCode: 204, body: '' })
  t.equal((await app.session.list('ada')).sessions[0]?.data.a, 3)
  t.match((await client.get('/read')).json(), { code: 'FST_ERR_REP_RESPONSE_BODY_CONSUMED' })
  t.equal((await client.get('/twice')).body, 'first')
  t.equal(cancelled, 1)
  store.before = ({ method }) => { if (method === 'update') throw new Error('down') }
  const down = await client.get('/down')
  t.equal(down.statusCode, 503)
  t.equal(cancelled, 2)
  for (const name of ['etag', 'content-encoding', 'set-cookie']) t.notOk(name in down.headers, name)
  t.equal(down.headers['x-app'], 'shop', 'a header that the app itself had set stays')
  t.equal(down.headers['cache-control'], 'private, no-cache')
})

t.test('headers of a Fetch Response are not in the response to an error of a later hook', async (t) => {
  const { app, client } = await setUp(t)
  app.addHook('onSend', async ({ url }, reply, payload) => { if (url !== '/fine' && typeof payload !== 'string') throw new Error('later') })
  const headers = { 'content-encoding': 'gzip', etag: '"x"', 'set-cookie': 'response=1', 'cache-control': 'public' }
  app.get('/', { schema: guarded }, async ({ session }, reply) => { session.renew(); return reply.header('set-cookie', 'handler=1').send(new Response('x', { headers })) })
  app.get('/fine', { schema: guarded }, async ({ session }) => new Response(session.data.userId, { headers: { etag: '"x"' } }))
  client.jar.take((await app.session.issue(ada)).setCookie)
  const answer = await client.get('/')
  t.match(answer.json(), { statusCode: 500, message: 'later' })
  for (const name of ['content-encoding', 'etag']) t.notOk(name in answer.headers, name)
  t.match(setCookies(answer), ['handler=1', /^__Host-session=/])
  t.equal(answer.headers['cache-control'], 'no-store')
  t.match(await client.get('/fine'), { body: 'ada', headers: { etag: '"x"' } })
})

t.test('headers are written as Fastify writes them', async (t) => {
  const { app, client } = await setUp(t)
  app.get('/', { schema: guarded }, async ({ session }, reply) => {
    session.data.a = 1
    return reply.header('x-when', { format () {}, toString: () => 'now' } as never).send('in')
  })
  client.jar.take((await app.session.issue(ada)).setCookie)
  t.match(await client.get('/'), { statusCode: 200, headers: { 'x-when': 'now' } })
})

t.test('of nested contexts that have the plugin, one sees to a response', async (t) => {
  const { app, client } = await setUp(t)
  app.addHook('onSend', async (request, reply, payload) => payload instanceof ReadableStream ? Readable.from(['seen']) : payload)
  await app.register(async (inner) => {
    await inner.register(sessionPlugin, { scheme: 'admin', schema: Admin, cookie: { name: '__Host-admin' } })
    const headers = { etag: '"x"', 'set-cookie': 'a=1', 'content-type': 'text/css' }
    inner.get('/', { schema: guarded }, async ({ session }) => { session.renew(); return new Response('x', { status: 201, headers }) })
  })
  client.jar.take((await app.session.issue(ada)).setCookie)
  const answer = await client.get('/')
  t.match(answer, { statusCode: 201, body: 'seen', headers: { etag: '"x"', 'content-type': 'text/css' } })
  t.match(setCookies(answer), ['a=1', /^__Host-session=/])
})

t.test('a response that is sent and returned is sent once, where the store takes its time', async (t) => {
  const setup = await setUp(t)
  const { app, client } = setup
  answerLater(setup)
  app.get('/response', { schema: guarded }, async ({ session }, reply) => {
    session.data.a = 1
    const response = new Response('hello')
    void reply.send(response)
    return response
  })
  app.get('/stream', { schema: guarded }, async ({ session }, reply) => {
    session.data.a = 2
    const stream = Readable.from(['hello'])
    void reply.send(stream)
    return stream
  })
  client.jar.take((await app.session.issue(ada)).setCookie)
  app.get('/body', { schema: guarded }, ({ session }, reply) => {
    session.data.a = 3
    const response = new Response('hello')
    void reply.header('set-cookie', ['a=1', 'b=1']).send(response)
    void reply.header('set-cookie', 'c=1').send(response.body)
  })
  for (const url of ['/response', '/stream', '/body']) {
    const answer = await client.get(url)
    t.match(answer, { statusCode: 200, body: 'hello' }, url)
    t.same(setCookies(answer), url === '/body' ? ['a=1', 'b=1'] : [])
  }
})

t.test('a cookie that comes after the hooks, and before the first byte, reaches the browser', async (t) => {
  const { app } = await setUp(t, { store: sealedCookie({ keys: [makeKey()] }) as never })
  app.addHook('onSend', async (request) => {
    if (request.url === '/hook') await anySession(request).update((data) => { data.a = 1 })
  })
  app.get('/hook', { schema: guarded }, async () => 'x')
  app.get('/stream', { schema: guarded }, async ({ session }, reply) => reply.header('cache-control', 'public').send(Readable.from((async function * () {
    await session.update((data) => { data.a = 1 })
    yield 'x'
  })())))
  app.get('/', { schema: guarded }, async ({ session }) => session.data.a)
  for (const url of ['/hook', '/stream']) {
    const { cookie } = await app.session.issue(ada)
    const response = await ask(app, url, cookie)
    const [line] = setCookies(response)
    t.match(line, /^__Host-session=[\w-]+;/, url)
    t.match(response.headers['cache-control'], /^(private, no-cache|no-store)$/)
    t.equal((await ask(app, '/', line?.split(';')[0] as string)).body, '1')
  }
})

t.test('an error handler can renew the session that could not be saved', async (t) => {
  const { app, store } = await setUp(t)
  app.setErrorHandler(async (error, request, reply) => {
    const session = anySession(request)
    session.renew()
    await session.commit()
    return await reply.code(500).send((error as Error).message)
  })
  app.get('/error', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    let failed = false
    store.before = ({ method }) => { if (method === 'update' && !failed) { failed = true; throw new Error('down') } }
  })
  app.get('/', { schema: guarded }, async () => 'in')
  const { cookie } = await app.session.issue(ada)
  const response = await ask(app, '/error', cookie)
  store.before = undefined
  const [line] = setCookies(response)
  t.match(line, /^__Host-session=[\w-]{22}\.[\w-]{43};/)
  t.match(response.headers['cache-control'], /^(private, no-cache|no-store)$/)
  t.equal((await ask(app, '/', line?.split(';')[0] as string)).statusCode, 200)
})

t.test('a change that is made while the session is being stored is reported when the client goes', async (t) => {
  const setup = await setUp(t)
  const { app, events } = setup
  const gone = createGate()
  const saving = holdSave(setup)
  app.get('/', { schema: guarded }, async ({ session }, reply) => {
    const { data } = session
    data.a = 1
    void saving.reached.then(() => { data.a = 2 })
    reply.raw.once('close', () => { void gone.pass() })
    return reply.send('x')
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  setup.store.before = undefined
  const { id, cookie } = await app.session.issue(ada)
  setup.store.before = async ({ method }) => { if (method === 'update') await saving.pass() }
  events.length = 0
  const request = get(address, { headers: { cookie } }).on('error', () => {}).end()
  await saving.reached
  request.destroy()
  await gone.reached
  saving.open()
  await until('the loss is reported', async () => events.length > 0)
  t.same(reported(events), ['discarded:after-commit'])
  t.match(await app.session.find(id), { data: { a: 1 } })
})

t.test('a save that fails after another error is a 503 all the same', async (t) => {
  for (const handled of [false, true]) {
    const setup = await setUp(t)
    const { app, client, store } = setup
    app.setErrorHandler(handled ? async (error, request, reply) => await reply.code((error as { statusCode?: number }).statusCode ?? 500).send('mine') : async (error) => { throw error })
    for (const status of [400, 401, 404, 500]) {
      app.post(`/${status}`, { schema: guarded }, async ({ session }) => {
        session.destroy()
        throw Object.assign(new Error('no'), { statusCode: status })
      })
    }
    app.post('/unfit', { schema: { ...guarded, body: { type: 'object', required: ['x'] } } }, async () => '')
    client.jar.take((await app.session.issue(ada)).setCookie)
    store.before = ({ method }) => { if (method === 'delete') throw new Error('down') }
    for (const status of [400, 401, 404, 500]) {
      const response = await client.post(`/${status}`)
      t.match(response, { statusCode: 503, headers: { 'retry-after': '5' } }, `${status}`)
      t.match(response.json(), { statusCode: 503, code: 'FST_SESSION_STORE' })
      t.same(setCookies(response), [])
    }
  }
})

t.test('destroy and renew hold where the data cannot be saved, and destroy where the login after it fails', async (t) => {
  const setup = await setUp(t)
  const { app, events } = setup
  app.post('/logout', { schema: guarded }, async ({ session }) => { session.destroy(); (session.data as any).a = 'flash' })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew(); (session.data as any).a = 'flash' })
  app.post('/login', { schema: guarded }, async ({ session }) => { session.destroy(); session.start(ada); session.start(ada); throw new Error('no') })
  app.post('/only-login', { schema: guarded }, async ({ session }) => { session.start(ada); throw new Error('no') })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  const outcomes = {
    '/logout': [401, /Max-Age=0/, ['discarded:server-error', 'destroyed:destroy']],
    '/renew': [401, /^__Host-session=[\w-]{22}\.[\w-]{43};/, ['discarded:server-error', 'renewed:renew']],
    '/login': [401, /Max-Age=0/, ['discarded:server-error', 'destroyed:destroy']],
    '/only-login': [200, undefined, ['discarded:server-error']]
  } as const
  for (const [url, [status, line, happened]] of Object.entries(outcomes)) {
    const { cookie } = await app.session.issue(ada)
    events.length = 0
    const response = await ask(app, `POST ${url}`, cookie)
    t.equal(response.statusCode, 500, url)
    if (line) t.match(setCookies(response)[0], line)
    else t.same(setCookies(response), [])
    t.same(reported(events), happened)
    t.equal((await ask(app, '/', cookie)).statusCode, status)
  }
})

t.test('commit() with data that cannot be saved does nothing, so that they can be put right', async (t) => {
  const { app, client } = await setUp(t)
  app.post('/', { schema: guarded }, async ({ session }) => {
    session.renew()
    ;(session.data as any).a = 'flash'
    await t.rejects(session.commit(), { code: 'FST_SESSION_INVALID_DATA' })
    session.data.a = 5
    return await session.commit()
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data.a)
  client.jar.take((await app.session.issue(ada)).setCookie)
  t.match((await client.post('/')).body, /^__Host-session=/)
  t.equal((await client.get('/')).body, '5')
})

t.test('an error handler can still end the session that could not be saved', async (t) => {
  const { app, client, events, store } = await setUp(t)
  app.setErrorHandler(async (error, { session }, reply) => {
    session.destroy()
    return await reply.code(200).send('you were signed out')
  })
  let failing = true
  app.post('/unfit', { schema: guarded }, async ({ session }) => { (session.data as any).a = 'flash' })
  app.post('/down', { schema: guarded }, async ({ session }) => { session.data.a = 1; failing = true })
  app.get('/', { schema: optional }, async ({ session }) => session.exists)
  for (const url of ['/unfit', '/down']) {
    const { cookie, setCookie } = await app.session.issue(ada)
    client.jar.take(setCookie)
    events.length = 0
    failing = false
    store.before = ({ method }) => { if (failing && method === 'update') { failing = false; throw new Error('down') } }
    const response = await client.post(url)
    t.match(response, { statusCode: 200, body: 'you were signed out' }, url)
    t.match(setCookies(response), [/^__Host-session=; Max-Age=0/])
    t.equal((await ask(app, '/', cookie)).body, 'false')
    t.same(reported(events).filter((name) => name !== 'expired:absent'), url === '/unfit' ? ['discarded:server-error', 'destroyed:destroy'] : ['destroyed:destroy'])
  }
})

t.test('a cookie that was sent once is not written a second time for the response after an error', async (t) => {
  const { app, client } = await setUp(t)
  app.setErrorHandler(async (error, { session }, reply) => {
    session.destroy()
    return await reply.code(200).header('set-cookie', 'mine=1').send('bye')
  })
  app.post('/', { schema: guarded }, async ({ session }, reply) => { session.renew(); (session.data as any).a = 'flash'; return reply.header('set-cookie', 'first=1').send('') })
  client.jar.take((await app.session.issue(ada)).setCookie)
  t.match(setCookies(await client.post('/')), ['first=1', 'mine=1', /^__Host-session=; Max-Age=0/])
})

t.test('data that are set while the end of a session is being stored begin another session', async (t) => {
  const setup = await setUp(t)
  const { app, client, events } = setup
  app.post('/', { schema: guarded }, async ({ session }) => {
    const gate = holdSave(setup)
    session.destroy()
    const ending = session.commit()
    await gate.reached
    session.data.b = 1
    gate.open()
    await ending
    return session.data
  })
  app.get('/', { schema: guarded }, async ({ session }) => session.data)
  client.jar.take((await app.session.issue({ ...ada, a: 1 })).setCookie)
  events.length = 0
  t.same((await client.post('/')).json(), { roles: [], cart: {}, b: 1 })
  t.same(reported(events), ['destroyed:destroy', 'created:first-write'])
  t.same((await client.get('/')).json(), { roles: [], cart: {}, b: 1 })
})

t.test('a change that a hijacked reply does not commit is reported when the client goes, and one that is being committed is not', async (t) => {
  const setup = await setUp(t)
  const { app, events, store } = setup
  const [seen, closed, held] = [createGate(), createGate(), createGate()]
  app.get('/lost', { schema: guarded }, async ({ session }, reply) => {
    const { data } = session
    reply.hijack()
    reply.raw.writeHead(200).write('x')
    data.a = 1
    reply.raw.once('close', () => { void closed.pass() })
  })
  app.get('/kept', { schema: guarded }, async ({ session }, reply) => {
    const { data } = session
    reply.hijack()
    reply.raw.writeHead(200).write('x')
    reply.raw.once('close', () => { held.open() })
    data.a = 2
    store.before = async ({ method }) => { if (method === 'update') await held.pass() }
    await session.commit()
    void seen.pass()
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const { id, cookie } = await app.session.issue(ada)
  for (const [url, done] of [['/lost', closed], ['/kept', seen]] as const) {
    events.length = 0
    const request = get(`${address}${url}`, { headers: { cookie } }).on('error', () => {}).end()
    const [response] = await once(request, 'response')
    await once(response, 'data')
    request.destroy()
    await done.reached
    t.same(reported(events), url === '/lost' ? ['discarded:after-commit'] : [], url)
    t.equal((await app.session.find(id))?.data.a, url === '/lost' ? undefined : 2)
  }
})
