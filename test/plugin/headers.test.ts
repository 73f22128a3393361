import t from 'tap'
import fastifyCookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import sessionPlugin from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import { ask, guarded, makeApp, optional, reported, setCookies } from '../support/harness.js'
import { anySession, setUp, Visitor } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

t.test('every response of a declaring route has Vary: Cookie', async (t) => {
  const { app, client } = await setUp(t, { principal: (data) => data.userId, roles: () => [] })
  app.get('/guarded', { schema: guarded }, async () => 'in')
  app.get('/roles', { schema: { security: [{ session: ['admin'] }] } }, async () => 'in')
  app.get('/optional', { schema: optional }, async () => 'untouched')
  app.get('/error', { schema: optional }, async () => { throw new Error('boom') })
  app.get('/redirect', { schema: optional }, async (request, reply) => await reply.redirect('/'))
  app.post('/unsafe', { schema: optional }, async () => 'in')
  const plain = async (): Promise<string> => 'plain'
  app.get('/plain', plain)
  app.get('/empty', { schema: { security: [] } }, plain)
  const check = async (): Promise<void> => {
    for (const url of ['/guarded', '/roles', '/optional', '/error', '/redirect']) {
      for (const method of ['GET', 'HEAD'] as const) t.equal((await client.inject({ method, url })).headers.vary, 'Cookie', `${method} ${url}`)
    }
    t.equal((await client.post('/unsafe', {}, { origin: 'https://evil.example' })).headers.vary, 'Cookie')
    for (const url of ['/plain', '/empty', '/nowhere']) t.equal((await client.get(url)).headers.vary, undefined, url)
  }
  await check()
  client.jar.take((await app.session.issue(ada)).setCookie)
  await check()
})

t.test('Vary names Cookie beside what else the response depends on', async (t) => {
  const { app, client } = await setUp(t)
  const given: Array<[unknown, string]> = [
    ['Accept', 'Accept, Cookie'], ['accept-encoding, cookie', 'accept-encoding, cookie'], ['Cookie', 'Cookie'], ['*', '*'], [['Accept', 'Origin'], 'Accept,Origin, Cookie'],
    ['X-Cookie', 'X-Cookie, Cookie']
  ]
  app.get('/:n', { schema: optional }, async ({ params }, reply) => {
    reply.header('vary', given[Number((params as { n: string }).n)]?.[0])
    return ''
  })
  for (const [index, [, expected]] of given.entries()) t.equal((await client.get(`/${index}`)).headers.vary, expected)
})

t.test('Cache-Control keeps responses of a session and of a cookie out of shared caches', async (t) => {
  const { app, client } = await setUp(t)
  const handle = async ({ session, query }: any, reply: any): Promise<string> => {
    const { own, set, look } = query
    if (own) reply.header('cache-control', own)
    if (set) session.data.a = Number(set)
    return look ? JSON.stringify(session.data) : ''
  }
  app.get('/', { schema: optional }, handle)
  app.get('/destroy', { schema: optional }, async ({ session, query }, reply) => {
    session.destroy()
    return await handle({ session, query: { ...query as object, set: undefined } }, reply)
  })
  const cached = async (url: string): Promise<unknown> => (await client.get(url)).headers['cache-control']

  t.equal(await cached('/'), undefined, 'the response is the same for every client without a cookie')
  t.equal(await cached('/?own=public'), 'public')
  t.equal(await cached('/?set=1'), 'no-store', 'it sets the cookie')
  t.equal(await cached('/'), 'private, no-cache', 'it saw a live session')
  t.equal(await cached('/?set=2'), 'private, no-cache', 'a save that needs no new cookie')
  t.equal(await cached('/?own=max-age%3D60'), 'max-age=60', 'the handler chose')
  t.equal(await cached('/destroy'), 'no-store')
  for (const [own, expected] of [
    ['public, max-age=60', 'no-store'], ['max-age=60', 'no-store'], ['private, max-age=60', 'private, max-age=60'], ['No-Store', 'No-Store'], ['x-private-ish', 'no-store'], ['private="set-cookie"', 'no-store'], ['max-age=60,PRIVATE', 'max-age=60,PRIVATE']
  ] as const) {
    client.jar.clear()
    t.equal(await cached(`/?set=1&own=${encodeURIComponent(own)}`), expected, `${own} with Set-Cookie`)
  }
})

t.test('a response stays out of shared caches if its session ends while the request runs', async (t) => {
  const { app } = await setUp(t)
  app.get('/', { schema: optional }, async ({ session }) => {
    const seen = session.get('userId')
    await app.session.revoke(anySession({ session }).id)
    await t.rejects(anySession({ session }).update(() => {}), { code: 'FST_SESSION_REQUIRED' })
    return seen
  })
  const response = await ask(app, '/', (await app.session.issue(ada)).cookie)
  t.match(response, { statusCode: 200, body: 'ada', headers: { 'cache-control': 'private, no-cache' } })
})

t.test('the cookie of an ended session does not count as a live session', async (t) => {
  const { app } = await setUp(t)
  app.get('/', { schema: optional }, async () => '')
  const response = await ask(app, '/', '__Host-session=junk')
  t.equal(response.headers['cache-control'], undefined)
  t.same(setCookies(response), [])
})

t.test('the WWW-Authenticate header of a 401 names the cookie', async (t) => {
  const { app } = await setUp(t, { cookie: { name: 'sid' } })
  app.get('/', { schema: guarded }, async () => '')
  const response = await app.inject('/')
  t.equal(response.statusCode, 401)
  t.equal(response.headers['www-authenticate'], 'Cookie cookie-name="sid"')
  t.match(response.json(), { statusCode: 401, code: 'FST_SESSION_REQUIRED', error: 'Unauthorized', message: 'Authentication required. Sign in first.' })
})

t.test('the session is found in a Cookie header of any form, and only where it stands once', async (t) => {
  const { app, events } = await setUp(t, { cookie: { name: 'sid' } })
  app.get('/', { schema: optional }, async ({ session }) => session.exists)
  const { cookie } = await app.session.issue(ada)
  const other = (await app.session.issue(ada)).cookie
  events.length = 0
  const token = cookie.slice(4)
  const cases: Array<[header: string, exists: boolean, told: string[]]> = [
    [cookie, true, []], [`a=b; ${cookie}`, true, []], [`${cookie}; a=b`, true, []], [`a=b;${cookie};c=d`, true, []], [` \t${cookie} \t`, true, []],
    [`xsid=1; ${cookie}`, true, []], [`sid2=1; ${cookie}`, true, []], [`x=sid=1; ${cookie}`, true, []], [`sid; ${cookie}`, true, []],
    ['sid=', false, []], ['sid', false, []], ['sid=;', false, []], [`Sid=${token}`, false, []], [`x=${cookie}`, false, []], [`x${cookie}`, false, []],
    [`sid="${token}"`, false, ['rejected:malformed-cookie']], [`sid=${token.slice(1)}`, false, ['rejected:malformed-cookie']],
    [`sid=${token}=`, false, ['rejected:malformed-cookie']], [`sid=%41${token.slice(1)}`, false, ['rejected:malformed-cookie']],
    [`sid=${'A'.repeat(5000)}`, false, ['rejected:malformed-cookie']], [`sid=${token.slice(0, -1)}B`, false, ['rejected:malformed-cookie']], [`sid=${token.slice(0, 21)}B${token.slice(22)}`, false, ['rejected:malformed-cookie']],
    [`sid=${token.replace('.', '-')}`, false, ['rejected:malformed-cookie']], [`sid=${token.slice(23)}`, false, ['rejected:malformed-cookie']],
    [`sid=${'A'.repeat(43)}`, false, ['rejected:malformed-cookie']], [`sid=${'A'.repeat(22)}.${'A'.repeat(43)}`, false, ['expired:absent']],
    [`sid=${token.slice(0, 22)}.${'A'.repeat(43)}`, false, ['rejected:stale-secret']],
    [`${cookie}; ${other}`, false, ['rejected:duplicate-cookie']], [`sid=junk; ${cookie}`, false, ['rejected:duplicate-cookie']],
    [`${cookie}; sid=junk`, false, ['rejected:duplicate-cookie']], [`${cookie}; ${cookie}`, false, ['rejected:duplicate-cookie']]
  ]
  for (const [header, exists, expected] of cases) {
    t.equal((await ask(app, '/', header)).json(), exists, header.slice(0, 80))
    t.same(reported(events.splice(0)), expected)
  }
  // Two Cookie headers arrive as one (RFC 9113, 8.2.3).
  t.equal((await ask(app, '/', ['a=b', cookie] as never)).json(), true)
})

t.test('a credential comes from the cookie only', async (t) => {
  const { app, store } = await setUp(t)
  app.post('/', { schema: optional }, async ({ session }) => session.exists)
  const { cookie } = await app.session.issue(ada)
  const token = cookie.split('=')[1] as string
  store.take()
  const response = await app.inject({
    method: 'POST', url: `/?session=${token}&__Host-session=${token}&token=${token}`, payload: { session: token, '__Host-session': token },
    headers: { authorization: `Bearer ${token}`, session: token, 'x-session': token, '__host-session': token }
  })
  t.equal(response.json(), false)
  t.same(store.take(), [])
})

t.test('@fastify/cookie', async (t) => {
  await t.test('is the app\'s to register, before the plugin or after it', async (t) => {
    const { app } = await setUp(t)
    t.notOk(app.hasRequestDecorator('cookies'))
    await app.register(fastifyCookie)
    app.get('/', async ({ cookies }) => cookies)
    t.same((await ask(app, '/', 'a=b')).json(), { a: 'b' })
  })

  await t.test('keeps options of its own where the app registers it first', async (t) => {
    const { app } = makeApp(t)
    let parsed = 0
    await app.register(fastifyCookie, {
      secret: 'a secret of the app', hook: 'preHandler',
      parseOptions: { decode: (text: string) => { parsed++; return text }, path: '/elsewhere', domain: 'example.com', sameSite: 'strict', maxAge: 5 }
    } as never)
    await app.register(sessionPlugin, { schema: Visitor })
    app.get('/', { schema: optional }, async ({ session, cookies }, reply) => {
      reply.setCookie('mine', '1', { signed: true })
      session.data.a = 1
      return cookies
    })
    const client = new Client(app)
    const response = await client.get('/', { cookie: 'x=y' })
    t.same(response.json(), { x: 'y' })
    t.ok(parsed > 0)
    const [mine, session] = [...setCookies(response)].sort((a, b) => b.localeCompare(a)).map((line) => line.replace(/=[^;]*;/, '=...;'))
    t.same([mine, session].sort(), ['__Host-session=...; Path=/; HttpOnly; Secure; SameSite=Lax', 'mine=...; Max-Age=5; Domain=example.com; Path=/elsewhere; SameSite=Strict'].sort(), 'its options are not the session\'s')
  })

  await t.test('cookies of the app and of the session go out together', async (t) => {
    for (const first of [true, false]) {
      const { app } = makeApp(t)
      if (first) await app.register(fastifyCookie)
      await app.register(sessionPlugin, { schema: Visitor })
      if (!first) await app.register(fastifyCookie)
      app.get('/', { schema: optional }, async ({ session }, reply) => {
        reply.setCookie('one', '1').header('set-cookie', 'two=2')
        session.data.a = 1
        return ''
      })
      t.same(setCookies(await app.inject('/')).map((line) => line.split('=')[0]).sort(), ['__Host-session', 'one', 'two'])
    }
  })
})

t.test('CORS headers are on refusals too', async (t) => {
  const { app } = makeApp(t)
  await app.register(cors, { origin: ['https://shop.example'], credentials: true })
  await app.register(sessionPlugin, { schema: Visitor })
  app.get('/', { schema: guarded }, async () => '')
  const response = await app.inject({ url: '/', headers: { origin: 'https://shop.example' } })
  t.equal(response.statusCode, 401)
  t.equal(response.headers['access-control-allow-origin'], 'https://shop.example')
  t.match(response.headers.vary, /Origin/)
  t.match(response.headers.vary, /Cookie/)
})

t.test('unsafe requests from pages of other origins are refused', async (t) => {
  const { app, client, store, events } = await setUp(t, { crossOrigin: { trusted: ['https://shop.example'] } })
  app.post('/', { schema: optional }, async ({ session }) => { session.data.a = 1; return 'done' })
  app.get('/', { schema: optional }, async () => 'read')
  app.post('/plain', async () => 'plain')
  client.jar.take((await app.session.issue(ada)).setCookie)
  events.length = 0
  store.take()
  const refused = await client.post('/', {}, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' })
  t.match(refused.json(), { statusCode: 403, code: 'FST_SESSION_CROSS_ORIGIN' })
  t.same(store.take(), [])
  t.same(reported(events), ['rejected:cross-origin'])
  t.equal((await client.get('/', { 'sec-fetch-site': 'cross-site' })).body, 'read')
  t.equal((await client.post('/plain', {}, { 'sec-fetch-site': 'cross-site' })).body, 'plain')
  for (const headers of [
    {}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }, { origin: 'https://shop.example', 'sec-fetch-site': 'cross-site' },
    { origin: 'http://localhost:80' }, { origin: 'http://localhost', 'sec-fetch-site': '' }, { origin: 'https://SHOP.example:8443', host: 'shop.example:8443' }
  ]) t.equal((await client.post('/', {}, headers as never)).body, 'done', JSON.stringify(headers))
  for (const headers of [
    { 'sec-fetch-site': 'same-site' }, { 'sec-fetch-site': 'junk' }, { origin: 'null' }, { origin: 'https://evil.example' }, { origin: 'not a url' }, { origin: 'http://localhost:81' }, { origin: 'https://localhost' },
    { origin: 'https://shop.example:8443' }, { origin: 'http://localhost', host: 'a b' }
  ]) t.equal((await client.post('/', {}, headers as never)).statusCode, 403, JSON.stringify(headers))

  const off = await setUp(t, { crossOrigin: false })
  off.app.post('/', { schema: optional }, async () => 'done')
  t.equal((await off.client.post('/', {}, { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' })).body, 'done')
})

t.test('a refused form says why browsers sent "Origin: null", and what to write', async (t) => {
  const { app, client } = await setUp(t)
  await app.register(helmet)
  app.get('/', async () => 'a form')
  app.post('/', { schema: optional }, async () => 'done')
  t.equal((await client.get('/')).headers['referrer-policy'], 'no-referrer')
  const ask = async (headers: Record<string, string>): Promise<string> => (await client.post('/', {}, headers)).json().message
  t.match(await ask({ origin: 'null' }),
    /Origin: null, Sec-Fetch-Site: absent, Host: localhost:80 \(http\)\. .*Referrer-Policy: no-referrer, as @fastify\/helmet sets it: write helmet's option referrerPolicy: \{ policy: "same-origin" \}\.$/)
  t.match(await ask({ origin: 'http://localhost:5173' }), /crossOrigin\.trusted\. Origin: http:\/\/localhost:5173, Sec-Fetch-Site: absent, Host: localhost:80 \(http\)\.$/)
})

t.test('a cookie that has another path than before is reported, and expired where cookie.previous names it', async (t) => {
  for (const previous of [undefined, [{ name: 'sid', path: '/app' }]]) {
    const { app, client, log } = await setUp(t, { cookie: { name: 'sid', ...(previous && { previous }) } })
    app.get('/app', { schema: guarded }, async () => 'in')
    const ask = async (cookie: string) => await client.get('/app', { cookie })
    const [old, current] = [(await app.session.issue(ada)).cookie, (await app.session.issue(ada)).cookie]
    const both = await ask(`${old}; ${current}`)
    await ask(`${old}; ${current}`)
    t.equal(both.statusCode, 401)
    t.match(setCookies(both), previous === undefined ? [] : [/^sid=; Max-Age=0; Path=\/app/])
    t.match(log.filter(({ level }) => level === 40), [{ session: { cookie: 'sid' }, msg: /^a request has two cookies "sid", so neither is used: .*write cookie: \{ previous: \[\{ name: "sid", path: "\/old" \}\] \}$/ }])
    t.equal(log.filter(({ level }) => level === 40).length, 1, 'once')
    t.equal((await ask(current)).statusCode, 200)
  }
})

t.test('an error handler cannot change a session that was refused to a page of another origin', async (t) => {
  const { app, client, store, events } = await setUp(t)
  app.setErrorHandler(async (error, request, reply) => {
    const session = anySession(request)
    const refused = { code: 'FST_SESSION_CROSS_ORIGIN' }
    t.equal(session.exists, false)
    t.equal(session.get('userId'), undefined)
    t.same(session.data, { roles: [], cart: {} }, 'nothing was loaded')
    t.throws(() => { session.data.a = 5 }, TypeError)
    t.throws(() => { session.data.roles.push('admin') }, TypeError)
    for (const change of [() => { session.set('a', 1) }, () => { session.unset('a') }, () => { session.start(ada) }, () => { session.renew() }, () => { session.destroy() }]) t.throws(change, refused)
    for (const change of [session.update((data) => { data.a = 6 }), session.commit(), session.regenerate()] as Array<Promise<unknown>>) await t.rejects(change, refused)
    return await reply.code(403).send('no')
  })
  app.post('/', { schema: optional }, async () => 'done')
  client.jar.take((await app.session.issue(ada)).setCookie)
  store.take()
  events.length = 0
  const response = await client.post('/', {}, { origin: 'https://evil.example' })
  t.equal(response.body, 'no')
  t.same(setCookies(response), [])
  t.same(store.take(), [])
  t.same(reported(events), ['rejected:cross-origin'])
  t.equal(events[0]?.detail, 'Origin: https://evil.example, Sec-Fetch-Site: absent, Host: localhost:80 (http).')
})

t.test('a list of cookies that an app keeps for all of its responses gets none of ours', async (t) => {
  const { app, client } = await setUp(t)
  const shared = ['seen=1; Path=/', 'theme=dark; Path=/']
  app.post('/', { schema: optional }, async ({ session }, reply) => {
    reply.header('set-cookie', shared)
    session.start(ada)
  })
  t.match(setCookies(await client.post('/')), [/^seen=1/, /^theme=dark/, /^__Host-session=/])
  t.same(shared, ['seen=1; Path=/', 'theme=dark; Path=/'])
})

t.test('a Secure cookie over plain http is warned of once, with the cause', async (t) => {
  const plainHttp = 'a Secure session cookie is sent over plain http'
  const untrusted = 'a proxy sends X-Forwarded-Proto: https, and Fastify does not trust it'
  const login = async (options: object, headers: Record<string, string>, server: object = {}): Promise<string[]> => {
    const { app, log } = await setUp(t, options, server)
    app.post('/', { schema: optional }, async ({ session }) => { session.start(ada) })
    for (let round = 0; round < 2; round++) t.equal(setCookies(await app.inject({ method: 'POST', url: '/', headers })).length, 1)
    return [plainHttp, untrusted].filter((start) => log.filter(({ msg }) => msg.startsWith(start)).length === 1)
  }
  t.same(await login({}, { host: 'shop.example' }), [plainHttp])
  t.same(await login({}, { host: '192.168.1.5:3000' }), [plainHttp])
  for (const host of ['localhost:3000', 'app.localhost', '127.0.0.1:3000', '[::1]:3000']) t.same(await login({}, { host }), [], host)
  t.same(await login({}, { host: 'shop.example', 'x-forwarded-proto': 'https' }), [untrusted])
  t.same(await login({}, { host: 'shop.example', 'x-forwarded-proto': 'https' }, { trustProxy: true }), [])
  t.same(await login({ cookie: { secure: false } }, { host: 'shop.example' }), [])
})
