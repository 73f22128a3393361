import t from 'tap'
import Fastify from 'fastify'
import { Client, CookieJar, createClock } from 'fastify-openapi-session/testing'

t.test('a jar keeps, replaces and forgets', async (t) => {
  const jar = new CookieJar()
  t.equal(jar.header(), undefined)
  jar.take(undefined)
  jar.take('a=1; Path=/')
  jar.take(['b=2; HttpOnly; Secure', 'c = 3 '])
  t.equal(jar.header(), 'a=1; b=2; c=3')
  jar.take('a=x=y; Path=/')
  t.equal(jar.get('a'), 'x=y')
  jar.take('b=; Max-Age=0; Path=/')
  jar.take('c=; Expires=Thu, 01 Jan 1970 00:00:00 GMT')
  t.equal(jar.header(), 'a=x=y')
  t.equal(jar.get('b'), undefined)
  jar.take('lone')
  t.equal(jar.get(''), 'lone', 'a cookie without "=" has a value and no name (RFC 6265bis, 5.6)')
  t.equal(jar.header(), 'a=x=y; lone')
  jar.clear()
  t.equal(jar.header(), undefined)
})

t.test('Max-Age takes precedence over Expires, by the clock of the jar', async (t) => {
  const clock = createClock()
  const jar = new CookieJar(clock.now)
  jar.take(['a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT', `b=2; Expires=${new Date(clock.now() + 120_000).toUTCString()}`])
  t.equal(jar.header(), 'a=1; b=2')
  clock.advance(60_000)
  t.equal(jar.header(), 'b=2')
  clock.advance(60_000)
  t.equal(jar.header(), undefined)
})

t.test('the jar ignores unreadable values of Max-Age and Expires', async (t) => {
  const clock = createClock()
  const jar = new CookieJar(clock.now)
  jar.take(['a=1; Max-Age=soon', 'b=2; Expires=never', 'c=3; Max-Age=; Expires=', `d=4; Max-Age=1e9; Expires=${new Date(clock.now() + 60_000).toUTCString()}`, 'e=5; Max-Age=-1'])
  t.equal(jar.header(), 'a=1; b=2; c=3; d=4')
  jar.restart()
  t.equal(jar.header(), 'd=4')
})

t.test('a restart of the browser ends cookies that are not persistent', async (t) => {
  const jar = new CookieJar()
  jar.take(['a=1', 'b=2; Max-Age=60'])
  jar.restart()
  t.equal(jar.header(), 'b=2')
})

t.test('the jar sends the cookies whose path matches, the longest path first (RFC 6265bis, 5.1.4 and 5.8.3)', async (t) => {
  const jar = new CookieJar()
  jar.take(['a=root; Path=/', 'a=app; Path=/app', 'a=slash; Path=/dir/', 'a=odd; Path=odd'])
  t.equal(jar.header('/'), 'a=odd')
  t.equal(jar.header('/app'), 'a=app; a=odd')
  t.equal(jar.header('/app/x?y=/dir/'), 'a=app; a=odd')
  t.equal(jar.header('/apple'), 'a=odd')
  t.equal(jar.header('/dir/x#y'), 'a=slash; a=odd')
  t.equal(jar.header('/dir'), 'a=odd')
})

t.test('a client keeps cookies between requests', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.all('/*', async ({ headers, body, method }, reply) => {
    reply.header('set-cookie', ['a=1; Path=/', 'deep=1; Path=/deep'])
    return { method, cookie: headers.cookie ?? null, body: body ?? null }
  })
  const client = new Client(app)
  t.same((await client.get('/')).json(), { method: 'GET', cookie: null, body: null })
  t.same((await client.post('/deep/x', { n: 1 }, { 'x-y': 'z' })).json(), { method: 'POST', cookie: 'deep=1; a=1', body: { n: 1 } })
  t.same((await client.inject('/x')).json().cookie, 'a=1')
  t.same((await client.inject({ path: '/deep/' })).json().cookie, 'deep=1; a=1')
  t.same((await client.inject({ url: { pathname: '/deep' } })).json().cookie, 'deep=1; a=1')
  await t.rejects(client.inject({ method: 'POST' }), /required property 'url'/)
  t.same((await client.get('/', { cookie: 'own=1' })).json().cookie, 'own=1')
  t.same((await new Client(app, client.jar).post('/x')).json().cookie, 'a=1', 'a jar can be shared')
})
