import t, { type Test } from 'tap'
import { buildApp } from '../../example/app.js'
import { ada, grace, Visitor } from './visitor.js'

async function shop (t: Test) {
  const app = await buildApp({ loginAttempts: 1000 })
  t.teardown(() => app.close())
  return app
}

t.test('sign in, see who it is, sign out', async (t) => {
  const visitor = new Visitor(await shop(t))
  t.match((await visitor.json('GET', '/api/me')).json(), { statusCode: 401, code: 'FST_SESSION_REQUIRED' })
  const wrong = await visitor.json('POST', '/api/login', { ...grace, password: 'x' })
  t.match(wrong.json(), { statusCode: 401, code: 'SHOP_WRONG_CREDENTIALS' })
  t.match(wrong.headers['www-authenticate'], /^Cookie /)
  t.match((await visitor.json('POST', '/api/login', { username: 'grace' })).json(), { statusCode: 400 })

  const profile = { id: 'u-1906', username: 'grace', name: 'Grace Hopper', roles: [] }
  const signedIn = await visitor.json('POST', '/api/login', grace)
  t.equal(signedIn.statusCode, 200)
  t.strictSame(signedIn.json(), profile)
  t.strictSame((await visitor.json('GET', '/api/me')).json(), profile)

  const stolen = new Map(visitor.cookies)
  t.equal((await visitor.json('POST', '/api/logout')).statusCode, 204)
  t.equal(visitor.cookies.size, 0)
  t.equal((await visitor.json('POST', '/api/logout')).statusCode, 204, 'again is fine')
  for (const [name, value] of stolen) visitor.cookies.set(name, value)
  t.equal((await visitor.json('GET', '/api/me')).statusCode, 401)
})

t.test('pages and API share the session', async (t) => {
  const visitor = new Visitor(await shop(t))
  await visitor.post('/cart', { tea: 'sencha' })
  await visitor.json('POST', '/api/login', grace)
  t.match((await visitor.get('/cart')).body, /Sencha/)
  t.match((await visitor.get('/')).body, /Good to see you, Grace/)
  await visitor.post('/logout')
  t.equal((await visitor.json('GET', '/api/me')).statusCode, 401)
})

t.test('sessions are listed and ended', async (t) => {
  const app = await shop(t)
  const [desk, phone, stranger] = [new Visitor(app), new Visitor(app), new Visitor(app)]
  t.equal((await desk.json('GET', '/api/sessions')).statusCode, 401)
  t.equal((await desk.json('DELETE', '/api/sessions/x')).statusCode, 401)
  for (const visitor of [desk, phone]) await visitor.enter(grace)
  await stranger.enter(ada)

  const sessions: Array<{ id: string, current: boolean }> = (await desk.json('GET', '/api/sessions')).json()
  t.match(sessions, [{ current: true }, { current: false, createdAt: /^\d{4}-.*Z$/, expiresAt: /^\d{4}-.*Z$/ }])
  const [own, other] = sessions.map(({ id }) => id)

  t.match(await stranger.json('DELETE', `/api/sessions/${other}`), { statusCode: 404 }, 'not by somebody else')
  t.equal((await phone.json('GET', '/api/me')).statusCode, 200)
  t.equal((await desk.json('DELETE', `/api/sessions/${other}`)).statusCode, 204)
  t.equal((await phone.json('GET', '/api/me')).statusCode, 401)
  t.match((await desk.json('DELETE', `/api/sessions/${other}`)).json(), { statusCode: 404, code: 'SHOP_UNKNOWN_SESSION' })

  t.equal((await desk.json('DELETE', `/api/sessions/${own}`)).statusCode, 204)
  t.equal(desk.cookies.size, 0)
  t.equal((await desk.json('GET', '/api/me')).statusCode, 401)
})

t.test('roles', async (t) => {
  const visitor = new Visitor(await shop(t))
  t.equal((await visitor.json('GET', '/api/users')).statusCode, 401)
  await visitor.enter(grace)
  t.match((await visitor.json('GET', '/api/users')).json(), { statusCode: 403, code: 'FST_SESSION_FORBIDDEN' })
  await visitor.enter(ada)
  const users = await visitor.json('GET', '/api/users')
  t.strictSame(users.json().map(({ username }: { username: string }) => username), ['ada', 'grace'])
  t.notMatch(users.body, /scrypt/)
})

t.test('what is not there is a 404 in JSON', async (t) => {
  const visitor = new Visitor(await shop(t))
  t.match((await visitor.json('GET', '/api/nothing')).json(), { statusCode: 404, error: 'Not Found' })
})

t.test('the document names the scheme and the operations', async (t) => {
  const app = await shop(t)
  const document = (await app.inject('/docs/json')).json()
  t.match(document.components.securitySchemes.session, { type: 'apiKey', in: 'cookie', name: '__Host-session' })
  t.strictSame(Object.keys(document.paths), ['/api/login', '/api/me', '/api/logout', '/api/sessions', '/api/sessions/{id}', '/api/users'])
  t.strictSame(document.paths['/api/users'].get.security, [{ session: ['admin'] }])
})
