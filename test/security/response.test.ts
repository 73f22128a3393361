import { Readable } from 'node:stream'
import fastifyCookie from '@fastify/cookie'
import t from 'tap'
import { backends } from './backends.js'
import { breakable, failures, SECRET } from './failing.js'
import { guarded, optional, reported, sessionOf, setCookies } from '../support/harness.js'
import { alone, COOKIE, createWorld, onEach, payloadOf, plant, replay, sessionsOf, stored, tokenOf } from './support.js'

const vary = (response: { headers: Record<string, unknown> }): string[] => String(response.headers['vary'] ?? '').toLowerCase().split(',').map((name) => name.trim())

onEach(t, 'every response of a declaring route varies by cookie, and no shared cache may keep one that saw a session (CVE-2023-30861, CVE-2025-48947)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { app } = world
  const accessors: Record<string, (request: any) => unknown> = {
    'nothing at all': () => 1,
    'exists': (request) => sessionOf(request).exists,
    'data': (request) => sessionOf(request).data,
    'get': (request) => sessionOf(request).get('userId'),
    'id': (request) => sessionOf(request).id,
    'expiresAt': (request) => sessionOf(request).expiresAt,
    'an error': () => { throw new Error('no') },
    'a teapot': () => { throw Object.assign(new Error('tea'), { statusCode: 418 }) },
    'a stream': () => Readable.from(['a', 'b']),
    'a redirect': () => {}
  }
  for (const [name, look] of Object.entries(accessors)) {
    app.route({ method: ['GET'], url: `/${name.replaceAll(' ', '-')}`, schema: guarded, handler: async (request, reply) => name === 'a redirect' ? reply.redirect('/') : look(request) })
  }
  const ada = await world.signedIn()
  for (const name of Object.keys(accessors)) {
    for (const method of ['GET', 'HEAD'] as const) {
      const response = await ada.inject({ method, url: `/${name.replaceAll(' ', '-')}` })
      t.ok(vary(response).includes('cookie'), `${method} ${name}: Vary`)
      if (!backend.sealed) t.equal(response.headers['cache-control'], 'private, no-cache', `${method} ${name}: Cache-Control`)
    }
  }
  for (const answer of [await world.visitor().get('/me'), await ada.get('/admin')]) t.ok(vary(answer).includes('cookie'), `${answer.statusCode}`)
  const plain = await ada.get('/plain')
  t.notOk(vary(plain).includes('cookie'), 'a route that declares nothing depends on nothing')
  t.equal(plain.headers['cache-control'], undefined)
})

onEach(t, 'no cache may keep a response that sets or deletes the cookie, whatever the handler says', async (t, backend) => {
  const world = await createWorld(t, backend)
  const choices = Object.entries({ a: undefined, b: 'public, max-age=600', c: 's-maxage=60', d: 'max-age=3600, immutable', e: '' })
  for (const [path, caching] of choices) {
    world.app.post(`/sets/${path}`, { schema: optional }, async (request, reply) => {
      if (caching !== undefined) reply.header('cache-control', caching)
      sessionOf(request).start({ userId: 'ada' })
      return { ok: true }
    })
  }
  for (const [path, caching] of choices) {
    const response = await world.visitor().post(`/sets/${path}`)
    t.equal(setCookies(response).length, 1)
    t.equal(response.headers['cache-control'], 'no-store', `instead of ${caching}`)
    t.ok(vary(response).includes('cookie'))
  }
  const ada = await world.signedIn()
  for (const answer of [await ada.post('/do/renew'), await ada.post('/logout')]) {
    t.equal(setCookies(answer).length, 1)
    t.equal(answer.headers['cache-control'], 'no-store')
  }
})

alone.test('the Cache-Control of the handler stays where no cookie is set, and its Vary gets one more name', async (t) => {
  const world = await createWorld(t)
  world.app.get('/kept', { schema: optional }, async (request, reply) => {
    reply.header('cache-control', 'private, max-age=5').header('vary', 'Accept, Origin')
    return sessionOf(request).exists
  })
  world.app.get('/star', { schema: optional }, async (request, reply) => {
    reply.header('vary', '*')
    return sessionOf(request).exists
  })
  const ada = await world.signedIn()
  const kept = await ada.get('/kept')
  t.equal(kept.headers['cache-control'], 'private, max-age=5')
  t.equal(kept.headers['vary'], 'Accept, Origin, Cookie')
  t.equal((await ada.get('/star')).headers['vary'], '*')
})

alone.test('cookies of the app and of other plugins are sent beside the session cookie', async (t) => {
  const world = await createWorld(t)
  await world.app.register(async (app) => {
    if (!app.hasReplyDecorator('setCookie')) await app.register(fastifyCookie)
    app.post('/both', { schema: optional }, async (request, reply) => {
      reply.header('set-cookie', 'theme=dark')
      sessionOf(request).start({ userId: 'ada' })
      return 'ok'
    })
  })
  const lines = setCookies(await world.visitor().post('/both'))
  t.match(lines.find((line) => line.startsWith(COOKIE)), /HttpOnly/)
  t.ok(lines.includes('theme=dark'))
})

for (const [how, failure] of Object.entries(failures)) {
  alone.test(`a store that ${how} on load is a 503: the handler does not run, and the cookie stays`, async (t) => {
    const broken = breakable()
    const world = await createWorld(t, broken.backend, { storeTimeout: 0.05 })
    let entered = 0
    world.app.get('/counts', { schema: guarded }, async () => ++entered)
    world.app.get('/maybe', { schema: optional }, async () => ++entered)
    world.app.post('/signs-in', { schema: { security: [{}, { session: [] }] } }, async (request) => {
      entered++
      sessionOf(request).start({ userId: 'eve' })
    })
    const ada = await world.signedIn()
    broken.break('read', failure)
    for (const [method, url] of [['GET', '/counts'], ['HEAD', '/counts'], ['GET', '/maybe'], ['POST', '/signs-in']] as const) {
      const response = await ada.inject({ method, url })
      t.equal(response.statusCode, 503, `${method} ${url}`)
      t.same(setCookies(response), [])
      t.equal(response.headers['retry-after'], '5')
      t.notMatch(response.body, /hunter2|ECONNREFUSED|10\.0\.0/)
      if (method !== 'HEAD') t.equal(response.json<{ code: string }>().code, 'FST_SESSION_STORE')
    }
    t.equal(entered, 0)
    const stranger = await world.visitor().get('/maybe')
    t.equal(stranger.statusCode, 200, 'who sent no cookie is not concerned')
    broken.repair()
    t.equal((await ada.get('/counts')).statusCode, 200, 'nobody was signed out')
    if (how === 'throws') t.ok(JSON.stringify(world.log).includes('ECONNREFUSED'), `the log has the cause: ${SECRET.slice(0, 20)}`)
  })

  alone.test(`a store that ${how} on save is a 503 without a cookie and without a byte of the handler`, async (t) => {
    const broken = breakable()
    const world = await createWorld(t, broken.backend, { storeTimeout: 0.05 })
    world.app.post('/stream', { schema: optional }, async (request, reply) => {
      sessionOf(request).start({ userId: 'bob' })
      return reply.type('text/plain').send(Readable.from(['you are ', 'signed in']))
    })
    world.app.get('/get', { schema: optional }, async (request) => {
      sessionOf(request).start({ userId: 'bob' })
      return 'you are signed in'
    })
    const ada = await world.signedIn()
    const token = tokenOf(ada)
    const requests = [
      ['create', () => world.visitor().post('/login', { userId: 'bob' })],
      ['create', () => world.visitor().post('/stream')],
      ['create', () => world.visitor().inject({ method: 'HEAD', url: '/get' })],
      ['create', () => ada.post('/login', { userId: 'bob' })],
      ['update', () => ada.post('/do/renew')],
      ['update', () => ada.post('/put', { n: 1 })],
      ['update', () => ada.post('/do/update')],
      ['create', () => ada.post('/do/become')],
      ['update', () => ada.post('/do/become')],
      ['delete', () => ada.post('/logout')],
      ['delete', () => ada.post('/login', { userId: 'bob' })]
    ] as const
    for (const [method, request] of requests) {
      broken.break(method, failure)
      const response = await request()
      t.equal(response.statusCode, 503, method)
      t.same(setCookies(response), [], 'no cookie')
      t.notMatch(response.body, /signed in|ok|hunter2|ECONNREFUSED/, 'nothing is acknowledged')
      broken.repair()
      t.equal(tokenOf(ada), token)
      t.equal(await replay(world, token), 200, 'what was there is there')
      t.notOk((await ada.get('/me')).json<{ n?: number, late?: boolean }>().n)
    }
    const list = (await ada.get('/me')).json<{ userId: string }>()
    t.equal(list.userId, 'ada')
  })
}

alone.test('a response of 500 saves nothing but an end or a renewal', async (t) => {
  const world = await createWorld(t)
  const failing = (does: (request: any) => unknown) => async (request: any) => {
    await does(request)
    throw new Error('broken')
  }
  world.app.post('/write', { schema: optional }, failing((request) => { sessionOf(request).data.n = 1 }))
  world.app.post('/start', { schema: optional }, failing((request) => { sessionOf(request).start({ userId: 'eve' }) }))
  world.app.post('/renew', { schema: optional }, failing((request) => { sessionOf(request).data.n = 1; sessionOf(request).renew() }))
  world.app.post('/destroy', { schema: optional }, failing((request) => { sessionOf(request).destroy() }))
  const ada = await world.signedIn()
  const token = tokenOf(ada)
  t.same(setCookies(await ada.post('/write')), [])
  t.same(setCookies(await ada.post('/start')), [])
  t.same(setCookies(await world.visitor().post('/start')), [])
  t.equal(await replay(world, token), 200)
  t.equal((await ada.post('/renew')).statusCode, 500)
  t.equal(await replay(world, token), 401, 'renewed')
  t.same((await ada.get('/me')).json(), { userId: 'ada', roles: [] })
  t.same(reported(world.events).filter((event) => event === 'discarded:server-error').length, 4)
  t.notOk(reported(world.events).includes('discarded:after-commit'), 'told once')
  t.equal((await ada.post('/destroy')).statusCode, 500)
  t.equal(tokenOf(ada), '')
  t.same(await sessionsOf(world.app, 'ada'), [])
})

alone.test('a failure in the error handler, in the serializer or in another onSend hook hands out nothing that is not stored', async (t) => {
  const world = await createWorld(t)
  const { app } = world
  await app.register(async (app) => {
    app.setErrorHandler((_error, request) => {
      sessionOf(request).start({ userId: 'from-handler' })
      throw new Error('again')
    })
    app.post('/handler', { schema: optional }, async () => { throw new Error('once') })
  })
  app.post('/serializer', { schema: { ...optional, response: { 200: { type: 'object', required: ['a'], properties: { a: { type: 'string' } } } } } }, async (request) => {
    sessionOf(request).start({ userId: 'bob' })
    return {}
  })
  await app.register(async (app) => {
    app.addHook('onSend', async () => { throw new Error('a hook of somebody else') })
    app.post('/hook', { schema: optional }, async (request) => {
      sessionOf(request).start({ userId: 'carol' })
      return 'ok'
    })
  })
  for (const path of ['/handler', '/serializer']) {
    const response = await world.visitor().post(path)
    t.equal(response.statusCode, 500, path)
    t.same(setCookies(response), [], path)
    t.equal(await world.place.count(), 0, path)
  }
  const visitor = world.visitor()
  t.equal((await visitor.post('/hook')).statusCode, 500)
  t.equal(tokenOf(visitor) === '' ? 0 : 1, await world.place.count(), 'what was stored before the other hook failed is handed out: all or nothing')
})

onEach(t, 'a record that cannot be read opens no session, is reported in an event, and is never a 500', async (t, backend) => {
  const world = await createWorld(t, backend)
  const like = (fields: object) => (secret: string) => payloadOf(world, secret, { data: {}, ...fields })
  const payloads = [
    '', ' ', 'null', '[]', '5', '"text"', 'true', '{}', '{', '{"v":1', '{"v":2,"data":{}}', '{"v":1,"data":null}', '{"v":1,"data":[]}', '{"__proto__":{"v":1}}', '\uFEFF{}', 'NaN',
    like({ data: 5 }), like({ data: { userId: 5 } }), like({ data: { roles: 'admin' } }), like({ v: 2 }), like({ v: '1' }), like({ scheme: 'admin' }), like({ scheme: null }),
    like({ ms: 'soon' }), like({ ms: null }), like({ persistent: 1 }), like({ idleTimeout: 'x' }), like({ rank: 'x' }), like({ at: {} }), like({ authenticatedAt: null }),
    (secret: string) => payloadOf(world, secret, { hash: undefined, data: {} }), (secret: string) => payloadOf(world, secret, { hash: [secret], data: {} }),
    (secret: string) => `${payloadOf(world, secret, { data: {} })}x`
  ]
  for (const [index, payload] of payloads.entries()) {
    const { value } = await plant(world, payload, 'ada')
    world.events.length = 0
    t.equal(await replay(world, value), 401, `payload ${index}`)
    t.match(reported(world.events)[0], /^discarded:(damaged|unfit)$/, `payload ${index}`)
    t.equal(await replay(world, value, '/seen'), 200)
  }
}, stored)

alone.test('a principal in the index does not sign in a session whose data name none', async (t) => {
  const world = await createWorld(t, backends['memory'])
  const { value } = await plant(world, (secret) => payloadOf(world, secret, { data: { roles: [] } }), 'ada')
  t.equal(await replay(world, value), 401)
})
