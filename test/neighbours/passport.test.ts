import { createRequire } from 'node:module'
import formbody from '@fastify/formbody'
import { Authenticator } from '@fastify/passport'
import type { FastifyInstance } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import t, { type Test } from 'tap'
import { startProvider } from './provider.js'
import { anyone, Browser, browse, makeApp, signedIn } from './support.js'

const require = createRequire(import.meta.url)
const { Strategy: LocalStrategy } = require('passport-local')
const { Strategy: OAuth2Strategy } = require('passport-oauth2')

type Any = Record<string, any>
type Verify = (name: string, password: string, done: (error: unknown, user: unknown) => void) => void

const check: Verify = (name, password, done) => { done(null, password === 'right' && { name }) }

/** An app with passport on all of its routes. A session belongs to the user that passport keeps in it. */
async function shopOf (t: Test, options: object = {}): Promise<{ app: FastifyInstance, passport: InstanceType<typeof Authenticator> }> {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, { principal: (data) => data['passport'] as string | undefined })
  await app.register(formbody)
  const passport = new Authenticator(options)
  passport.use('local', new LocalStrategy({ usernameField: 'name' }, check))
  passport.registerUserSerializer(async (user: Any) => user['name'])
  passport.registerUserDeserializer(async (name: string) => {
    if (name === 'broken') throw new Error('the database is down')
    return name === 'gone' ? null : { name, deserialized: true }
  })
  await app.register(passport.initialize())
  await app.register(passport.secureSession())
  const authenticate = passport.authenticate('local', { authInfo: false })
  app.post('/login', { schema: anyone, preValidation: authenticate }, async (request) => request.user)
  const viaProvider = passport.authenticate('oauth2', { authInfo: false })
  app.get('/oauth2', { schema: anyone, preValidation: viaProvider }, async () => '')
  app.get('/callback', { schema: anyone, preValidation: viaProvider }, async (request) => request.user)
  app.post('/logout', { schema: signedIn }, async (request) => { await request.logOut() })
  app.get('/me', { schema: anyone }, async (request) => ({ user: request.user, in: request.isAuthenticated() }))
  app.get('/guarded', { schema: signedIn }, async (request) => request.user)
  app.post('/cart', { schema: anyone }, async (request) => { request.session.set('cart', ['tea']) })
  app.get('/session', { schema: anyone }, async ({ session }) => session.data)
  app.get('/outside', async (request) => ({ user: request.user }))
  return { app, passport }
}

async function shop (t: Test, options: object = {}): Promise<{ app: FastifyInstance, passport: InstanceType<typeof Authenticator>, browser: Browser }> {
  const { app, passport } = await shopOf(t, options)
  return { app, passport, browser: await browse(app) }
}

const right = { name: 'ada', password: 'right' }

t.test('@fastify/passport: a login, a request and a logout', async (t) => {
  const { app, browser } = await shop(t)
  t.same((await browser.get('/me')).json, { user: null, in: false })
  t.equal((await browser.post('/login', { name: 'ada', password: 'wrong' })).status, 401)
  t.equal(browser.jar.header(), undefined)
  t.same((await browser.post('/login', right)).json, { name: 'ada' })
  t.same((await browser.get('/me')).json, { user: { name: 'ada', deserialized: true }, in: true })
  t.equal((await browser.get('/guarded')).json.name, 'ada')
  t.equal((await app.session.list('ada')).sessions.length, 1)
  const cookie = browser.jar.header() as string
  t.equal((await browser.post('/logout')).status, 200)
  t.same((await browser.get('/me')).json, { user: null, in: false })
  t.equal((await browser.get('/guarded')).status, 401)
  t.equal((await browser.get('/guarded', { cookie })).status, 401, 'the old cookie is dead')
  t.same((await app.session.list('ada')).sessions, [])
})

t.test('@fastify/passport: a route that declares no session has no user, and an unknown path is a 404', async (t) => {
  const { browser } = await shop(t)
  await browser.post('/login', right)
  t.same((await browser.get('/outside')).json, { user: null })
  t.equal((await browser.get('/nowhere')).status, 404)
})

t.test('@fastify/passport: a form signs in as browsers send it', async (t) => {
  const { browser } = await shop(t)
  await browser.send('POST', '/login', { 'content-type': 'application/x-www-form-urlencoded' }, new URLSearchParams(right).toString())
  t.equal((await browser.get('/me')).json.in, true)
})

t.test('@fastify/passport: a login replaces the cookie, and keeps the keys in clearSessionIgnoreFields', async (t) => {
  const { browser } = await shop(t, { clearSessionIgnoreFields: ['cart'] })
  await browser.post('/cart')
  const cookie = browser.jar.header() as string
  await browser.post('/login', right)
  t.not(browser.jar.header(), cookie)
  t.same((await browser.get('/session')).json, { cart: ['tea'], passport: 'ada' })
  t.same((await browser.get('/session', { cookie })).json, {}, 'who planted the cookie is not signed in')
})

t.test('@fastify/passport: a user who is gone is signed out', async (t) => {
  const { browser } = await shop(t)
  await browser.post('/login', { ...right, name: 'gone' })
  t.same((await browser.get('/me')).json, { user: null, in: false })
  t.notOk('passport' in (await browser.get('/session')).json)
})

t.test('@fastify/passport: an OAuth2 strategy with state and PKCE keeps both in the session', async (t) => {
  const provider = await startProvider(t)
  const { browser, passport } = await shop(t)
  const verify = (_access: string, _refresh: string, _profile: unknown, done: (error: unknown, user: unknown) => void): void => { done(null, { name: 'ada' }) }
  passport.use('oauth2', new OAuth2Strategy({
    authorizationURL: `${provider}/authorize`,
    tokenURL: `${provider}/token`,
    callbackURL: `${browser.url}/callback`,
    clientID: 'shop',
    clientSecret: 'secret',
    state: true,
    pkce: true
  }, verify))
  const start = await browser.get('/oauth2')
  t.equal(start.status, 302)
  const back = await new Browser(provider).get(start.headers.get('location') as string)
  const callback = back.headers.get('location') as string
  t.match(callback, `${browser.url}/callback?code=`)
  t.equal((await new Browser(browser.url).get(callback)).status, 403, 'in the browser of another user')
  t.equal((await browser.get(`${callback}x`)).status, 403, 'with another state')
  const again = await new Browser(provider).get((await browser.get('/oauth2')).headers.get('location') as string)
  const guest = browser.jar.header()
  t.same((await browser.get(again.headers.get('location') as string)).json, { name: 'ada' })
  t.not(browser.jar.header(), guest, 'the login has a cookie of its own')
  t.equal((await browser.get('/guarded')).json.name, 'ada')
  t.same((await browser.get('/session')).json, { passport: 'ada' })
  await browser.post('/logout')
  t.equal((await browser.get('/guarded')).status, 401)
})

t.test('@fastify/passport: clearSessionOnLogin: false and keepSessionInfo keep no keys, so that a login keeps those in clearSessionIgnoreFields only', async (t) => {
  for (const [options, login, kept] of [
    [{ clearSessionOnLogin: false }, {}, {}],
    [{}, { keepSessionInfo: true }, {}],
    [{ clearSessionIgnoreFields: ['cart'] }, {}, { cart: ['tea'] }]
  ] as const) {
    const { app } = makeApp(t)
    await app.register(sessionPlugin)
    const passport = new Authenticator({ ...options, clearSessionIgnoreFields: [...(options as { clearSessionIgnoreFields?: string[] }).clearSessionIgnoreFields ?? []] })
    passport.registerUserSerializer(async (user: Any) => user['name'])
    passport.registerUserDeserializer(async (name: string) => ({ name }))
    await app.register(passport.initialize())
    await app.register(passport.secureSession())
    app.post('/cart', { schema: anyone }, async (request) => { request.session.set('cart', ['tea']) })
    app.post('/login', { schema: anyone }, async (request) => { await request.logIn({ name: 'ada' }, login) })
    app.get('/session', { schema: anyone }, async ({ session }) => session.data)
    const browser = await browse(app)
    await browser.post('/cart')
    t.equal((await browser.post('/login')).status, 200)
    t.same((await browser.get('/session')).json, { ...kept, passport: 'ada' }, JSON.stringify({ ...options, ...login }))
  }
})

t.test('@fastify/passport: failure messages are kept for a guest, whose cookie stays the same', async (t) => {
  const { app, passport } = await shopOf(t)
  const authenticate = passport.authenticate('local', { failureMessage: 'wrong', authInfo: false })
  app.post('/try', { schema: anyone, preValidation: authenticate }, async () => '')
  const browser = await browse(app)
  t.same((await browser.get('/me')).json, { user: null, in: false })
  t.equal(browser.jar.header(), undefined, 'a request that keeps nothing gets no cookie')
  const wrong = { name: 'ada', password: 'wrong' }
  t.equal((await browser.post('/try', wrong)).status, 401)
  const cookie = browser.jar.header()
  const second = await browser.post('/try', wrong)
  t.same(second.headers.getSetCookie(), [])
  t.equal(browser.jar.header(), cookie)
  t.same((await browser.get('/session')).json, { messages: ['wrong', 'wrong'] })
})

t.test('@fastify/passport: a deserializer that throws is an error and a new cookie, and the user stays signed in', async (t) => {
  const { app, browser } = await shop(t)
  await browser.post('/login', { ...right, name: 'broken' })
  const cookie = browser.jar.header() as string
  t.equal((await browser.get('/me')).status, 500)
  t.not(browser.jar.header(), cookie)
  t.same((await browser.get('/me', { cookie })).json, { user: null, in: false }, 'the old cookie is dead')
  t.equal((await browser.get('/me')).status, 500)
  t.equal((await app.session.list('broken')).sessions.length, 1)
})
