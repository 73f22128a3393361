import { createRequire } from 'node:module'
import jwt from '@fastify/jwt'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import sessionPlugin, { MemoryStore, type SessionEvent } from 'fastify-openapi-session'
import { adoptCookies } from 'fastify-openapi-session/migration'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { Client } from 'fastify-openapi-session/testing'
import { sealData } from 'iron-session'
import t, { type Test } from 'tap'
import { runBlock } from '../docs/recipe.js'
import { ask, cookieOf, guarded, openWorld, optional, sessionOf } from '../support/harness.js'

// Its types declare another request.session.
const secureSession = createRequire(import.meta.url)('@fastify/secure-session') as FastifyPluginAsync<{ key: Buffer }>
const key = 'ab'.repeat(32)
const password = 'a password of at least thirty-two characters'
const secret = 'the secret that signed the tokens of the old app'

function environment (t: Test, values: Record<string, string>): void {
  Object.assign(process.env, values)
  t.teardown(() => { for (const name of Object.keys(values)) delete process.env[name] })
}

/** Signs in with a real app on @fastify/secure-session; its cookie. */
async function withSecureSession (t: Test, data: Record<string, unknown> = { userId: 'ada', cart: ['tea'] }): Promise<string> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(secureSession, { key: Buffer.from(key, 'hex') })
  app.post('/login', async (request) => {
    const session = (request as unknown as { session: { set (name: string, value: unknown): void } }).session
    for (const [name, value] of Object.entries(data)) session.set(name, value)
  })
  return cookieOf(await ask(app, 'POST /login'))
}

/** Signs a token with a real app on @fastify/jwt; its cookie. */
async function withToken (t: Test, expiresIn: string, signedWith = secret): Promise<string> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secret: signedWith })
  await app.ready()
  return `token=${app.jwt.sign({ sub: 'ada' }, { expiresIn })}`
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Other spellings of a value, which lenient decoders open as well. */
function spellings (value: string): Record<string, string> {
  const encode = encodeURIComponent
  const last = BASE64.indexOf(value.at(-1) as string)
  return {
    'percent-encoded in another way': `%${value.charCodeAt(0).toString(16)}${encode(value.slice(1))}`,
    'with a character that decoders skip': encode(`${value}!`),
    'with such a character in the middle': encode(`${value.slice(0, 9)}!${value.slice(9)}`),
    'padded': encode(`${value}=`),
    'padded, with more behind': encode(`${value}==YQ`),
    'in the other alphabet': encode(value.replaceAll('+', '-').replaceAll('/', '_')),
    'with other unused bits': encode(value.slice(0, -1) + (BASE64[last ^ 1] ?? ''))
  }
}

/** What holds for each kind of cookie: it is adopted once, and a copy of it is worth nothing after that. */
async function adopts (t: Test, app: FastifyInstance, cookie: string, data: object): Promise<void> {
  const name = cookie.slice(0, cookie.indexOf('='))
  const browser = new Client(app)
  browser.jar.take(`${cookie}; Path=/`)
  const first = await browser.get('/me')
  t.same(first.json(), data)
  t.ok(browser.jar.get('__Host-session'))
  t.equal(browser.jar.get(name), undefined, 'the old cookie is expired')
  t.same((await browser.get('/me')).json(), data)
  t.equal((await browser.post('/logout')).statusCode, 200)
  t.equal((await ask(app, '/me', cookie)).statusCode, 401, 'a copy of the old cookie, after the logout')
  for (const [spelling, respelled] of Object.entries(spellings(decodeURIComponent(cookie.slice(name.length + 1))))) {
    t.equal((await ask(app, '/me', `${name}=${respelled}`)).statusCode, 401, `a copy of the old cookie, ${spelling}`)
  }
}

t.test('sessions of @fastify/secure-session are adopted as docs/migration.md shows', async (t) => {
  environment(t, { SESSION_KEY: key })
  const { app, old } = await runBlock<{ old: FastifyInstance }>(t, 'docs/migration.md', { block: 1, names: 'app, old' })
  t.teardown(() => old.close())
  await adopts(t, app, await withSecureSession(t), { userId: 'ada', cart: ['tea'] })
  const { now } = Date
  t.intercept(Date, 'now', { value: () => now() - 60_000 })
  const otherDevice = await withSecureSession(t)
  t.intercept(Date, 'now', { value: now })
  await adopts(t, app, otherDevice, { userId: 'ada', cart: ['tea'] })
  t.equal((await ask(app, '/me', await withSecureSession(t, { cart: ['tea'] }))).statusCode, 401, 'a guest is not signed in')
  t.equal((await ask(app, '/me', 'session=forged')).statusCode, 401)
})

t.test('sessions of iron-session are adopted as docs/migration.md shows', async (t) => {
  environment(t, { SESSION_PASSWORD: password })
  const { app } = await runBlock(t, 'docs/migration.md', { block: 2 })
  await adopts(t, app, `session=${encodeURIComponent(await sealData({ userId: 'ada' }, { password }))}`, { userId: 'ada' })
  const forged = await sealData({ userId: 'ada' }, { password: `${password}, and not the right one` })
  t.equal((await ask(app, '/me', `session=${forged}`)).statusCode, 401)
})

t.test('tokens of @fastify/jwt are adopted as docs/migration.md shows', async (t) => {
  environment(t, { JWT_SECRET: secret })
  const { app } = await runBlock(t, 'docs/migration.md', { block: 3 })
  const cookie = await withToken(t, '1h')
  await adopts(t, app, cookie, { userId: 'ada' })
  t.equal((await ask(app, '/me', await withToken(t, '1h', 'another secret'))).statusCode, 401)
  t.equal((await ask(app, '/me', cookie.slice(0, -3))).statusCode, 401)
})

t.test('a cookie that has expired by expiresAt is not adopted, and authenticatedAt sets the login time', async (t) => {
  const ends = { at: Date.now() + 60_000 }
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sessionPlugin, {
    principal: (data) => data.userId as string | undefined,
    adopt: adoptCookies({ cookieName: 'old', open: (value) => ({ userId: value }), expiresAt: () => ends.at, authenticatedAt: () => 7000 })
  })
  app.get('/', { schema: { security: [{ session: [] }] } }, async (request) => request.session.authenticatedAt)
  t.equal((await ask(app, '/', 'old=ada')).body, '7000')
  ends.at = Date.now() - 1
  t.equal((await ask(app, '/', 'old=grace')).statusCode, 401)
})

t.test('a cookie is not adopted if expiresAt returns no instant, because no claim could refuse copies of it for long enough', async (t) => {
  for (const end of [NaN, Infinity, undefined, '2030-01-01']) {
    const { app, clock, events, client: browser } = await openWorld(t, {
      adopt: adoptCookies({ cookieName: 'old', open: (value) => ({ userId: value }), expiresAt: () => end as number })
    })
    app.get('/me', { schema: guarded }, async (request) => sessionOf(request).data)
    app.post('/logout', { schema: guarded }, async (request) => { sessionOf(request).destroy() })
    browser.jar.take('old=ada; Path=/')
    await browser.get('/me')
    await browser.post('/logout')
    clock.advance(366 * 86_400_000)
    t.equal((await ask(app, '/me', 'old=ada')).statusCode, 401, String(end))
    t.match(events[0], { type: 'discarded', reason: 'unfit', detail: /adoptCookies: expiresAt must return the end of the cookie in epoch milliseconds, and returned / })
  }
})

t.test('a cookie is adopted whose end is a fraction of a millisecond or in a very distant year, because each record expires at an instant that all stores keep', async (t) => {
  for (const end of [Date.now() + 86_400_000.25, 8.64e15, 1e20, Number.MAX_VALUE]) {
    const store = new MemoryStore()
    const { create } = store
    const instants: number[] = []
    store.create = (id, record) => {
      instants.push(record.expiresAt)
      return create.call(store, id, record)
    }
    const { app } = await openWorld(t, {
      store, adopt: adoptCookies({ cookieName: 'old', open: (value) => ({ userId: value }), expiresAt: () => end, authenticatedAt: () => -1e20 })
    })
    app.get('/', { schema: guarded }, async (request) => new Date(sessionOf(request).authenticatedAt).toISOString())
    t.equal((await ask(app, '/', 'old=ada')).body, '1970-01-01T00:00:00.000Z')
    t.equal(instants.length, 2, 'of the session and of the claim')
    t.ok(instants.every(Number.isSafeInteger), `${end}: ${String(instants)}`)
    t.ok(Math.max(...instants) >= Math.min(end, Number.MAX_SAFE_INTEGER))
  }
})

t.test('a copy of an adopted cookie opens no session for as long as the cookie could have lived, whatever became of the session', async (t) => {
  const DAY = 86_400_000
  const ends = Date.now() + 30 * DAY
  const { app, clock } = await openWorld(t, {
    principal: (data) => data.userId,
    adopt: adoptCookies({ cookieName: 'old', open: (value) => ({ userId: value }), expiresAt: () => ends })
  })
  app.get('/', { schema: guarded }, async () => 'in')
  app.post('/logout', { schema: guarded }, async (request) => { sessionOf(request).destroy() })
  const own = cookieOf(await ask(app, '/', 'old=ada'))
  await ask(app, 'POST /logout', own)
  for (const passed of [60_000, DAY, 28 * DAY]) {
    clock.advance(passed)
    t.equal((await ask(app, '/', 'old=ada')).statusCode, 401, `${passed} ms later`)
  }
})

t.test('carts of guests that fill a MemoryStore do not make a copy of an adopted cookie open a session again', async (t) => {
  const { app, clock } = await openWorld(t, {
    store: new MemoryStore({ maxSessions: 10 }),
    principal: (data) => data.userId,
    adopt: adoptCookies({ cookieName: 'old', open: (value) => ({ userId: value }), expiresAt: () => Date.now() + 86_400_000 })
  })
  app.get('/', { schema: guarded }, async () => 'in')
  app.post('/put', { schema: optional }, async (request) => { sessionOf(request).set('cart', 1) })
  app.post('/logout', { schema: guarded }, async (request) => { sessionOf(request).destroy() })
  await ask(app, 'POST /logout', cookieOf(await ask(app, '/', 'old=ada')))
  clock.advance(10_000)
  for (let n = 0; n < 20; n++) await ask(app, 'POST /put')
  t.equal((await ask(app, '/', 'old=ada')).statusCode, 401)
})

t.test('without the option id, all spellings of the letters and digits of a cookie are one session', async (t) => {
  const { app, clock } = await openWorld(t, {
    principal: (data) => data.userId,
    adopt: adoptCookies({ cookieName: 'old', open: () => ({ userId: 'ada' }), expiresAt: () => Date.now() + 86_400_000 })
  })
  app.get('/', { schema: guarded }, async () => 'in')
  t.equal((await ask(app, '/', 'old=ab+c/d==')).statusCode, 200)
  clock.advance(10_000)
  for (const copy of ['ab+c/d==', 'ab-c_d', 'ab%2Bc%2Fd', 'ab.c*d']) t.equal((await ask(app, '/', `old=${copy}`)).statusCode, 401, copy)
  t.equal((await ask(app, '/', 'old=abcde')).statusCode, 200, 'another session')
})

t.test('with sealed cookies no record remembers the adoption: a copy of the old cookie signs in until expiresAt', async (t) => {
  const ends = { at: Date.now() + 60_000 }
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sessionPlugin, {
    store: sealedCookie({ keys: [makeKey()] }),
    adopt: adoptCookies({ cookieName: 'old', open: (value) => ({ userId: value }), expiresAt: () => ends.at })
  })
  app.get('/me', { schema: { security: [{ session: [] }] } }, async (request) => request.session.data)
  app.post('/logout', { schema: { security: [{ session: [] }] } }, async (request) => { request.session.destroy() })
  const browser = new Client(app)
  browser.jar.take('old=ada; Path=/')
  await browser.get('/me')
  await browser.post('/logout')
  t.equal((await browser.get('/me')).statusCode, 401, 'the browser has no cookie any more')
  t.equal((await app.inject({ url: '/me', headers: { cookie: 'old=ada' } })).statusCode, 200)
  ends.at = Date.now() - 1
  t.equal((await app.inject({ url: '/me', headers: { cookie: 'old=ada' } })).statusCode, 401)
})

t.test('an error of open is reported and signs no client in', async (t) => {
  const events: SessionEvent[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sessionPlugin, {
    onEvent: (event) => { events.push(event) },
    adopt: adoptCookies({ cookieName: 'old', open () { throw new TypeError('the value, which is not for the log') }, expiresAt: () => 0 })
  })
  app.get('/', { schema: { security: [{ session: [] }] } }, async () => 'in')
  for (const value of ['x', '%', '']) t.equal((await ask(app, '/', `old=${value}`)).statusCode, 401)
  t.match(events.filter(({ type }) => type === 'discarded').map(({ detail }) => detail), ['adoptCookies: open threw TypeError', 'adoptCookies: open threw TypeError'])
})

t.test('wrong options of adoptCookies stop the boot with a sentence', async (t) => {
  const good = { cookieName: 'old', open: () => undefined, expiresAt: () => 0 }
  for (const wrong of [{ cookieName: '' }, { open: undefined }, { expiresAt: undefined }]) {
    t.throws(() => adoptCookies({ ...good, ...wrong } as never), { code: 'FST_SESSION_OPTIONS', message: /^adoptCookies/ })
  }
})
