import t from 'tap'
import { backends } from './backends.js'
import { ask, guarded, managerOf, plugin, reported, setCookies } from '../support/harness.js'
import { alone, bootErrorOf, COOKIE, createWorld, onEach, type Options, replay, tokenOf } from './support.js'

/** The attributes of a `Set-Cookie` line, sorted, without the name and value. */
const attributes = (line: string): string[] => line.split('; ').slice(1).sort()

onEach(t, 'the cookie is __Host-, Secure, HttpOnly, Path=/, SameSite=Lax and without Domain: on create, renew and delete', async (t, backend) => {
  const world = await createWorld(t, backend)
  const client = world.visitor()
  const [created = ''] = setCookies(await client.post('/login', { userId: 'ada' }))
  const [renewed = ''] = setCookies(await client.post('/do/renew'))
  const [deleted = ''] = setCookies(await client.post('/logout'))
  for (const line of [created, renewed, deleted]) t.match(line, new RegExp(`^${COOKIE}=`))
  const expected = ['HttpOnly', 'Path=/', 'SameSite=Lax', 'Secure']
  t.same(attributes(created), expected)
  t.same(attributes(renewed), expected)
  t.same(attributes(deleted), ['Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'HttpOnly', 'Max-Age=0', 'Path=/', 'SameSite=Lax', 'Secure'])
})

alone.test('the Set-Cookie header that deletes a cookie has the name, path, domain and flags of the one that set it', async (t) => {
  const cookie = {
    plain: { secure: false },
    strict: { name: 'id', path: '/app', sameSite: 'strict' },
    domain: { name: '__Secure-id', domain: 'example.com', sameSite: 'none', partitioned: true },
    persistent: { name: 'id', persistent: true }
  } satisfies Record<string, NonNullable<Options['cookie']>>
  for (const [name, options] of Object.entries(cookie)) {
    const world = await createWorld(t, backends['memory'], { cookie: options })
    const client = world.visitor()
    const [created = ''] = setCookies(await client.post('/login', { userId: 'ada' }))
    const [sent = ''] = created.split(';')
    const [deleted = ''] = setCookies(await ask(world.app, 'POST /logout', sent))
    const lasting = (line: string): string[] => attributes(line).filter((attribute) => !/^(Max-Age|Expires)=/.test(attribute))
    t.same(lasting(deleted), lasting(created), name)
    t.match(deleted, /Max-Age=0/, name)
    t.equal(deleted.split('=')[0], created.split('=')[0], name)
  }
})

alone.test('a __Host- or __Secure- cookie that browsers would drop stops the boot', async (t) => {
  const wrong: Array<NonNullable<Options['cookie']>> = [
    { name: '__Host-id', domain: 'example.com' }, { name: '__Host-id', path: '/app' }, { name: '__Host-id', secure: false },
    { name: '__HOST-id', path: '/app' }, { name: '__Secure-id', secure: false }, { domain: 'example.com' }, { path: '/app' }
  ]
  for (const cookie of wrong) {
    const { code, message } = await bootErrorOf(t, { cookie })
    t.equal(code, 'FST_SESSION_OPTIONS', JSON.stringify(cookie))
    t.match(message, /needs secure: true/)
  }
})

alone.test('SameSite=None and Partitioned without Secure stop the boot', async (t) => {
  for (const cookie of [{ sameSite: 'none', secure: false }, { partitioned: true, secure: false }] as const) {
    const { code, message } = await bootErrorOf(t, { cookie })
    t.equal(code, 'FST_SESSION_OPTIONS')
    t.match(message, /needs cookie.secure: true/)
  }
})

alone.test('no option of the cookie injects another header or attribute', async (t) => {
  const wrong = [
    { name: 'a b' }, { name: 'a=b' }, { name: 'a;b' }, { name: 'a\r\nb' }, { name: '' }, { path: 'app' }, { path: '/a; Domain=evil.example' }, { path: '/\r\nx' },
    { domain: 'example.com; HttpOnly' }, { domain: 'a\r\nb' }, { domain: '' }, { sameSite: 'Lax; Domain=evil.example' }, { secure: 'auto' }
  ]
  for (const cookie of wrong) t.equal((await bootErrorOf(t, { cookie: cookie as never })).code, 'FST_SESSION_OPTIONS', JSON.stringify(cookie))
})

const id = 'A'.repeat(22)
const secret = 'A'.repeat(43)
const malformed: Record<string, string> = {
  'nothing': '',
  'short': 'abc',
  'an id alone': id,
  'a secret alone': secret,
  'an id and a dot': `${id}.`,
  'one character too few': `${id}.${'A'.repeat(42)}`,
  'one character too many': `${id}.${secret}A`,
  'no dot': `${id}A${secret}`,
  'two dots': `${id}..${'A'.repeat(42)}`,
  'the parts the other way round': `${secret}.${id}`,
  '5 kB': 'A'.repeat(5000),
  'NUL': `${id}.${'A'.repeat(42)}\0`,
  'quoted': `"${id}.${secret}"`,
  'per cent': `%41${'A'.repeat(19)}.${secret}`,
  'percent for the whole': '%41'.repeat(66),
  'base64 instead of base64url': `${id}.${'A'.repeat(41)}+A`,
  'bits left over in the last character of the id': `${'A'.repeat(21)}B.${secret}`,
  'bits left over in the last character of the secret': `${id}.${'A'.repeat(42)}B`,
  'padding': `${id}.${'A'.repeat(42)}=`,
  'unicode': `${id}.${'A'.repeat(42)}é`,
  'a signed one': `s%3A${secret}.${'B'.repeat(43)}`,
  'path': '../../etc/passwd',
  'prototype': '__proto__',
  'SQL': "' OR 1=1 --",
  'JSON': '{"userId":"ada"}'
}

onEach(t, 'a cookie value that is not a credential reaches no store and opens no session', async (t, backend) => {
  const world = await createWorld(t, backend)
  for (const [name, value] of Object.entries(malformed)) {
    const response = await ask(world.app, '/me', `${COOKIE}=${value}`)
    t.equal(response.statusCode, 401, name)
    t.same(setCookies(response), [], name)
  }
  t.equal(await world.place.atRest(), '', 'no call of the store')
  t.same(reported(world.events).filter((event) => event === 'rejected:malformed-cookie').length, Object.keys(malformed).length - 1, 'each told, but for the empty one')
})

onEach(t, 'a request that has the cookie twice has no session, in both orders, and it is reported', async (t, backend) => {
  const world = await createWorld(t, backend)
  const token = tokenOf(await world.signedIn())
  const other = tokenOf(await world.signedIn('bob'))
  for (const header of [
    `${COOKIE}=junk; ${COOKIE}=${token}`, `${COOKIE}=${token}; ${COOKIE}=junk`, `${COOKIE}=${token};${COOKIE}=${token}`,
    `${COOKIE}=${token}; a=b; ${COOKIE}=${other}`, `${COOKIE}=${token}; ${COOKIE}=`, `${COOKIE}=; ${COOKIE}=${token}`
  ]) {
    world.events.length = 0
    t.equal((await ask(world.app, '/me', header)).statusCode, 401, header)
    t.same(reported(world.events), ['rejected:duplicate-cookie', 'rejected:unauthenticated'])
  }
  t.equal(await replay(world, token), 200, 'alone it opens the session')
})

alone.test('a cookie whose name or value contains the session cookie\'s name is another cookie', async (t) => {
  const world = await createWorld(t)
  const token = tokenOf(await world.signedIn())
  for (const header of [`x${COOKIE}=${token}`, `${COOKIE}x=${token}`, `a=${COOKIE}=${token}`, `a="; ${COOKIE.slice(1)}=${token}`, `${COOKIE.toLowerCase()}=${token}`]) {
    t.equal((await ask(world.app, '/me', header)).statusCode, 401, header)
  }
  for (const header of [`a=b;${COOKIE}=${token}`, ` ${COOKIE}=${token} `, `x${COOKIE}=no; ${COOKIE}=${token}; ${COOKIE}x=no`]) {
    t.equal((await ask(world.app, '/me', header)).statusCode, 200, header)
  }
})

onEach(t, 'a credential counts in the cookie only: not in the query, the body, a header or another cookie', async (t, backend) => {
  const world = await createWorld(t, backend)
  world.app.post('/echo', { schema: guarded }, async () => 'in')
  const token = tokenOf(await world.signedIn())
  t.equal(await replay(world, token), 200)
  const places = [
    { url: `/me?${COOKIE}=${token}&session=${token}&token=${token}` },
    { method: 'POST', url: '/echo', payload: { [COOKIE]: token, session: token } },
    { url: '/me', headers: { authorization: `Bearer ${token}` } },
    { url: '/me', headers: { authorization: `Cookie ${COOKIE}=${token}` } },
    { url: '/me', headers: { [COOKIE]: token, 'x-session': token, cookie2: `${COOKIE}=${token}` } },
    { url: '/me', headers: { cookie: `session=${token}; sessionId=${token}` } }
  ] as const
  for (const place of places) t.equal((await world.app.inject(place)).statusCode, 401, JSON.stringify(place).slice(0, 60))
})

alone.test('every 401 has a challenge that opens no password box in a browser', async (t) => {
  const world = await createWorld(t)
  const token = tokenOf(await world.signedIn())
  world.clock.advance(43_200_000)
  const asked = { 'no cookie': {}, 'malformed': { cookie: `${COOKIE}=x` }, 'expired': { cookie: `${COOKIE}=${token}` }, 'twice': { cookie: `${COOKIE}=x; ${COOKIE}=y` } }
  for (const [name, headers] of Object.entries(asked)) {
    const response = await world.app.inject({ url: '/me', headers })
    t.equal(response.statusCode, 401, name)
    t.equal(response.headers['www-authenticate'], `Cookie cookie-name="${COOKIE}"`, name)
    t.notMatch(response.headers['www-authenticate'], /basic|digest|negotiate/i)
  }
})

alone.test('the challenge names the cookie that is missing, where a route asks for several', async (t) => {
  const world = await createWorld(t)
  await world.app.register(async (app) => {
    await app.register(plugin, { scheme: 'admin', cookie: { name: '__Host-admin' }, now: world.clock.now })
    app.get('/both', { schema: { security: [{ session: [], admin: [] }] } }, async () => 'in')
    t.ok(managerOf(app, 'admin'))
  })
  const client = await world.signedIn()
  const response = await client.get('/both')
  t.equal(response.statusCode, 401)
  t.equal(response.headers['www-authenticate'], 'Cookie cookie-name="__Host-admin"')
  t.equal((await world.visitor().get('/both')).headers['www-authenticate'], `Cookie cookie-name="${COOKIE}"`)
})
