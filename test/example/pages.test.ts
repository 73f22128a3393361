import t, { type Test } from 'tap'
import { MemoryStore } from 'fastify-openapi-session'
import { createClock } from 'fastify-openapi-session/testing'
import { buildApp, type ExampleOptions } from '../../example/app.js'
import { ada, grace, Visitor } from './visitor.js'

async function shop (t: Test, options: ExampleOptions = {}) {
  const app = await buildApp({ loginAttempts: 1000, ...options })
  t.teardown(() => app.close())
  return app
}

t.test('a guest looks around and leaves no trace', async (t) => {
  const guest = new Visitor(await shop(t))
  for (const url of ['/', '/login', '/cart', '/goodbye', '/docs/json', '/assets/style.css']) {
    const response = await guest.get(url)
    t.equal(response.statusCode, 200, url)
    t.notOk(response.headers['set-cookie'], `${url} sets no cookie`)
  }
  t.match((await guest.get('/')).body, /Tea, and time to drink it/)
})

t.test('signing in: wrong, then right', async (t) => {
  const visitor = new Visitor(await shop(t))
  const wrong = await visitor.post('/login', { ...grace, password: 'x' })
  t.equal(wrong.statusCode, 422)
  t.match(wrong.body, /role="alert"[^>]*>That user name and password do not go together/)
  t.match(wrong.body, /value="grace"/, 'what was typed is still there')
  t.notMatch(wrong.body, /value="x"/, 'but not the password')
  t.equal(visitor.cookies.size, 0)

  const unknown = await visitor.post('/login', { username: 'nobody', password: 'x' })
  t.equal(unknown.body.replace('nobody', 'grace'), wrong.body, 'an unknown name gets the same answer')

  const right = await visitor.post('/login', { ...grace, username: ' Grace ' })
  t.equal(right.statusCode, 303)
  t.equal(right.headers.location, '/')
  const home = await visitor.get('/')
  t.match(home.body, /Good to see you, Grace/)
  t.match(home.body, /Welcome, Grace Hopper\./, 'the flash message')
  t.notMatch((await visitor.get('/')).body, /Welcome, Grace Hopper\./, 'once')
  t.match(await visitor.get('/login'), { statusCode: 303, headers: { location: '/' } }, 'no login form for who is signed in')
})

t.test('the login page says why a visitor is there', async (t) => {
  const app = await shop(t)
  const visitor = new Visitor(app)
  t.notMatch((await visitor.get('/login')).body, /class="note"/)
  t.match((await visitor.get('/login?next=/account')).body, 'Please sign in to see that page.')
  await visitor.post('/cart', { tea: 'sencha' })
  t.match((await visitor.get('/login?next=/account')).body, 'Please sign in to see that page.', 'a guest with a cart')
  await visitor.post('/login', grace)
  await app.session.revokeAll('u-1906')
  const form = await visitor.get(String((await visitor.get('/account')).headers.location))
  t.match(form.body, 'Your session has ended. Please sign in again.')
  t.notMatch(form.body, 'to see that page')
})

t.test('"keep me signed in" survives the end of the browser and a week without a visit', async (t) => {
  const clock = createClock()
  const app = await shop(t, { now: clock.now })
  for (const [form, status, maxAge] of [[grace, 303, undefined], [{ ...grace, remember: 'on' }, 200, 30 * 86_400]] as const) {
    const visitor = new Visitor(app)
    const login = await visitor.post('/login', form)
    t.equal((login.cookies as Array<{ maxAge?: number }>)[0]?.maxAge, maxAge)
    clock.advance(7 * 86_400_000)
    t.equal((await visitor.get('/sessions')).statusCode, status)
    if (status === 200) t.match((await visitor.get('/sessions')).body, /This browser<\/span>.*Remembered/)
  }
  const wrong = await new Visitor(app).post('/login', { ...grace, password: 'x', remember: 'on' })
  t.match(wrong.body, /name="remember" checked/, 'the choice is kept after a wrong password')
})

t.test('private pages ask guests to sign in and bring them back', async (t) => {
  const visitor = new Visitor(await shop(t))
  const refused = await visitor.get('/account?tab=1')
  t.equal(refused.statusCode, 303)
  t.equal(refused.headers.location, '/login?next=%2Faccount%3Ftab%3D1')
  const form = await visitor.get(String(refused.headers.location))
  t.match(form.body, 'name="next" value="/account?tab=1"')
  const back = await visitor.post('/login', { ...grace, next: '/account?tab=1' })
  t.equal(back.headers.location, '/account?tab=1')
  const account = await visitor.get('/account?tab=1')
  t.equal(account.statusCode, 200)
  t.match(account.body, /Grace Hopper/)
  t.equal(account.headers['cache-control'], 'no-store')
  t.equal((await visitor.get('/')).headers['cache-control'], 'no-store', 'the home page of a user is private too')
  t.match(await new Visitor(await shop(t)).post('/sessions/x/end'), { statusCode: 303, headers: { location: '/login' } }, 'a form is not repeated')
})

t.test('the way back never leads to another site', async (t) => {
  const visitor = new Visitor(await shop(t))
  t.match((await visitor.get('/login?next=//evil.example')).body, 'name="next" value="/"')
  t.equal((await visitor.post('/login', { ...grace, next: '//evil.example' })).headers.location, '/')
  t.equal((await visitor.get('/login?next=//evil.example')).headers.location, '/')
})

t.test('an account that is gone is signed out', async (t) => {
  const app = await shop(t)
  const visitor = new Visitor(app)
  const { cookie } = await app.session.issue({ userId: 'u-gone', cart: {} })
  t.equal((await visitor.get('/account', { cookie })).statusCode, 303)
})

t.test('a store that fails signs no user out', async (t) => {
  const store = new MemoryStore()
  const visitor = new Visitor(await shop(t, { store }))
  await visitor.enter(grace)
  const { read } = store
  store.read = () => { throw new Error('no connection') }
  const response = await visitor.get('/account')
  t.match(response, { statusCode: 503, body: /Back in a moment[^]*You are still signed in/ })
  t.ok(response.headers['retry-after'])
  t.equal((await visitor.json('GET', '/api/me')).statusCode, 503)
  store.read = read
  t.equal((await visitor.get('/account')).statusCode, 200)
})

t.test('an error page is a page', async (t) => {
  const visitor = new Visitor(await shop(t))
  t.match(await visitor.get('/no/such'), { statusCode: 404, headers: { 'content-type': /text\/html/ }, body: /Nothing here/ })
  t.match(await visitor.post('/cart', { tea: 'coffee' }), { statusCode: 400, headers: { 'content-type': /text\/html/ } })
  t.match(await visitor.post('/login', { username: 'grace' }), { statusCode: 400, headers: { 'content-type': /text\/html/ } })
})

t.test('forms sent by other sites are refused', async (t) => {
  const visitor = new Visitor(await shop(t))
  const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
  t.match(await visitor.post('/login', grace, foreign), { statusCode: 403, body: /Not for you/ }, 'a login by somebody else')
  await visitor.enter(grace)
  t.equal((await visitor.post('/logout', {}, foreign)).statusCode, 403)
  t.equal((await visitor.post('/cart', { tea: 'mint' }, foreign)).statusCode, 403)
  t.match((await visitor.get('/')).body, /Good to see you, Grace/, 'still signed in')
})

t.test('the cart of a guest is kept through the login, not through the logout', async (t) => {
  const visitor = new Visitor(await shop(t))
  t.match(await visitor.post('/cart', { tea: 'mint' }), { statusCode: 303, headers: { location: '/' } })
  await visitor.post('/cart', { tea: 'mint' })
  await visitor.post('/cart', { tea: 'oolong' })
  await visitor.post('/cart/remove', { tea: 'oolong' })
  const guestToken = [...visitor.cookies.values()][0]
  const before = await visitor.get('/cart')
  t.match(before.body, /Moroccan Mint[^]*>2<[^]*€13\.80/)
  t.notMatch(before.body, /<th scope="row">Iron/)
  t.match(before.body, /Iron Goddess Oolong is out of your cart\./)
  t.equal((await visitor.get('/account')).statusCode, 303, 'a cart is no login')

  await visitor.post('/login', grace)
  t.not([...visitor.cookies.values()][0], guestToken, 'a new token at login')
  t.match((await visitor.get('/cart')).body, /Moroccan Mint[^]*>2<[^]*€13\.80/)

  await visitor.post('/login', ada)
  t.match((await visitor.get('/cart')).body, /Nothing in it yet/, 'another user does not inherit it')
  await visitor.post('/logout')
  t.match((await visitor.get('/cart')).body, /Nothing in it yet/)
})

t.test('every private page shows how to sign out: 7.4.4', async (t) => {
  const app = await shop(t)
  const [user, admin, guest] = [new Visitor(app), new Visitor(app), new Visitor(app)]
  await user.enter(grace)
  await admin.enter(ada)
  const way = /<form method="post" action="\/logout"><button[^>]*>Sign out<\/button>/
  for (const place of ['/', '/cart', '/account', '/sessions']) t.match(await user.get(place), { statusCode: 200, body: way }, place)
  t.match(await admin.get('/admin'), { statusCode: 200, body: way }, '/admin')
  t.notMatch((await guest.get('/')).body, way, 'a guest has nothing to leave')
})

t.test('signing out ends the session on the server and in the browser', async (t) => {
  const visitor = new Visitor(await shop(t))
  await visitor.enter(grace)
  const stolen = new Map(visitor.cookies)
  t.match(await visitor.post('/logout'), { statusCode: 303, headers: { location: '/goodbye' } })
  t.equal(visitor.cookies.size, 0)
  t.equal((await visitor.post('/logout')).statusCode, 303, 'again is fine')
  for (const [name, value] of stolen) visitor.cookies.set(name, value)
  t.equal((await visitor.get('/account')).statusCode, 303, 'the old cookie is worth nothing')
})

/** What the page of sessions lists, in its order. */
async function listed (visitor: Visitor): Promise<Array<{ id: string, device: string, current: boolean }>> {
  const { body } = await visitor.get('/sessions')
  return body.split('<li class="card">').slice(1).map((item) => ({
    id: /\/sessions\/([^/]+)\/end/.exec(item)?.[1] ?? '',
    device: /<h2>([^<]*?) *</.exec(item)?.[1] ?? '',
    current: item.includes('This browser')
  }))
}

const firefox = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' }
const safari = { 'user-agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1' }

t.test('the list of sessions: one is ended from another', async (t) => {
  const app = await shop(t)
  const desk = new Visitor(app, firefox)
  const phone = new Visitor(app, safari)
  const stranger = new Visitor(app)
  await desk.post('/login', grace)
  await phone.post('/login', grace)
  await stranger.enter(ada)

  const sessions = await listed(desk)
  t.match(sessions, [{ device: 'Firefox on Linux', current: true }, { device: 'Safari on iOS', current: false }])
  const [own, other] = sessions as [typeof sessions[0], typeof sessions[0]]

  await stranger.post(`/sessions/${other.id}/end`)
  t.equal((await phone.get('/account')).statusCode, 200, 'nobody ends the session of somebody else')

  await desk.post(`/sessions/${other.id}/end`)
  t.equal((await phone.get('/account')).statusCode, 303, 'ended')
  t.match((await desk.get('/sessions')).body, /That session has ended\./)
  await desk.post(`/sessions/${other.id}/end`)
  t.match((await desk.get('/sessions')).body, /That session had ended before\./)

  t.match(await desk.post(`/sessions/${own.id}/end`), { statusCode: 303, headers: { location: '/goodbye' } })
  t.equal((await desk.get('/account')).statusCode, 303, 'and one\'s own')
})

t.test('sign out everywhere else', async (t) => {
  const app = await shop(t)
  const [desk, phone, tablet, stranger] = [new Visitor(app), new Visitor(app), new Visitor(app), new Visitor(app)]
  for (const visitor of [desk, phone, tablet]) await visitor.enter(grace)
  await stranger.enter(ada)
  await desk.post('/sessions/end-others')
  t.match((await desk.get('/sessions')).body, /2 other sessions have ended\./)
  for (const gone of [phone, tablet]) t.equal((await gone.get('/account')).statusCode, 303)
  t.equal((await stranger.get('/account')).statusCode, 200, 'of this user only')
  t.equal((await listed(desk)).length, 1)
})

t.test('the admin page is for admins', async (t) => {
  const app = await shop(t)
  const visitor = new Visitor(app)
  t.equal((await visitor.get('/admin')).headers.location, '/login?next=%2Fadmin')
  await visitor.enter(grace)
  t.match(await visitor.get('/admin'), { statusCode: 403, body: /Not for you/ })
  const boss = new Visitor(app)
  await boss.enter(ada)
  t.match(await boss.get('/admin'), { statusCode: 200, body: /Grace Hopper[^]*<td class="number">1<\/td>/ })
  t.match((await boss.get('/')).body, /href="\/admin"/)
  t.notMatch((await visitor.get('/')).body, /href="\/admin"/)
})

t.test('who stays away for half an hour is signed out', async (t) => {
  const clock = createClock()
  const visitor = new Visitor(await shop(t, { now: clock.now }))
  await visitor.enter(grace)
  clock.advance(29 * 60_000)
  t.equal((await visitor.get('/account')).statusCode, 200)
  clock.advance(31 * 60_000)
  t.equal((await visitor.get('/account')).statusCode, 303)
})

t.test('headers: no scripts, no frames, a cookie that scripts cannot read', async (t) => {
  const app = await shop(t)
  const visitor = new Visitor(app)
  const response = await visitor.post('/login', grace)
  t.match(response.headers['set-cookie'], /^__Host-session=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  const page = await visitor.get('/')
  const policy = String(page.headers['content-security-policy'])
  t.match(policy, /default-src 'none'/)
  t.match(policy, /frame-ancestors 'none'/)
  t.match(policy, /script-src 'self';/)
  t.notMatch(policy, /unsafe/)
  t.notMatch(page.body, /<script(?! src="\/)|style="| on\w+=/, 'nothing inline')

  const insecure = new Visitor(await shop(t, { secureCookie: false }))
  t.match((await insecure.post('/login', grace)).headers['set-cookie'], /^session=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/)
})

t.test('guessing passwords is slowed down, over the form and the API together', async (t) => {
  const visitor = new Visitor(await shop(t, { loginAttempts: 2 }))
  await visitor.post('/login', { ...grace, password: 'x' })
  await visitor.json('POST', '/api/login', { ...grace, password: 'x' })
  t.match(await visitor.post('/login', grace), { statusCode: 429, body: /Too many attempts/ })
  t.match((await visitor.json('POST', '/api/login', grace)).json(), { statusCode: 429 })
})
