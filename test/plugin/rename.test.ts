import t, { type Test } from 'tap'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import { MemoryStore, type SessionOptions } from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import { ask, guarded, optional, reported, setCookies, stopTimers, type World } from '../support/harness.js'
import { type Options, setUp } from './support.js'

const places: Record<string, () => SessionOptions<'session'>['store']> = {
  'a store': () => new MemoryStore(),
  'sealed cookies': () => sealedCookie({ keys: [makeKey()] })
}

/** An app, and the same app after its cookie was renamed, with the browser of a user who signed in before that. */
async function renamed (t: Test, make: () => unknown, options: Options = {}): Promise<World> {
  const place = make() as NonNullable<Options['store']>
  const before = await setUp(t, { store: place, cookie: { name: '__Host-old' } })
  before.app.post('/login', { schema: optional }, async ({ session }) => { session.start({ userId: 'ada', roles: [], cart: { tea: 1 } }) })
  await before.client.post('/login')
  const after = await setUp(t, { store: place, cookie: { name: '__Host-new', previous: [{ name: '__Host-old' }] }, ...options })
  after.app.get('/', { schema: guarded }, async ({ session }) => session.data)
  after.app.get('/open', { schema: optional }, async ({ session }) => ({ exists: session.exists }))
  after.app.post('/login', { schema: optional }, async ({ session }) => { session.start({ userId: 'bob', roles: [], cart: {} }) })
  after.app.post('/set', { schema: guarded }, async ({ session }) => { session.set('a', 1) })
  after.app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  after.app.post('/logout', { schema: optional }, async ({ session }) => { session.destroy() })
  return { ...after, client: new Client(after.app, before.client.jar) }
}

for (const [name, make] of Object.entries(places)) {
  t.test(`a slow request that ends the session expires the old cookie, too, with ${name}`, async (t) => {
    const pass = stopTimers(t)
    const { app, client } = await renamed(t, make)
    // The session is read again before the handler.
    app.addHook('preValidation', async () => { pass(2) })
    t.match(setCookies(await client.post('/logout')).at(-1), /^__Host-old=; .*Max-Age=0/)
  })

  t.test(`a cookie that is renamed signs no user out, and the old one is gone after the first request, with ${name}`, async (t) => {
    for (const [method, url] of [['GET', '/'], ['POST', '/set'], ['POST', '/renew']] as const) {
      const { client } = await renamed(t, make)
      const first = await client.inject({ method, url })
      t.equal(first.statusCode, 200, url)
      t.match(setCookies(first), [/^__Host-new=[^;]+;/, /^__Host-old=; .*Max-Age=0/], url)
      for (let round = 0; round < 2; round++) {
        const next = await client.get('/')
        t.match(next.json(), { userId: 'ada', cart: { tea: 1 } }, url)
        t.same(setCookies(next), [], url)
      }
    }
  })

  t.test(`app.session.fromCookie finds the session of a cookie that is renamed, with ${name}`, async (t) => {
    const { app, client } = await renamed(t, make)
    const old = client.jar.header()
    t.match(await app.session.fromCookie(old), { data: { userId: 'ada' } })
    t.equal(await app.session.fromCookie(`${old}; __Host-new=x`), undefined, 'the cookie of the current name counts, if there is one')
    await client.get('/')
    t.match(await app.session.fromCookie(client.jar.header()), { data: { userId: 'ada' } })
  })

  t.test(`a session under its old cookie ends with a logout, a login or a verify that says no, with ${name}`, async (t) => {
    for (const [url, options] of [['/logout', {}], ['/login', {}], ['/open', { verify: () => false }]] as Array<[string, Options]>) {
      const { client } = await renamed(t, make, options)
      const response = await client.inject({ method: url === '/open' ? 'GET' : 'POST', url })
      t.equal(response.statusCode, 200, url)
      t.match(setCookies(response).at(-1), /^__Host-old=; .*Max-Age=0/, url)
      t.equal(client.jar.get('__Host-old'), undefined, url)
    }
  })
}

t.test('a former cookie whose session has ended expires', async (t) => {
  const { app, client } = await renamed(t, () => new MemoryStore())
  await app.session.revoke((await app.session.fromCookie(client.jar.header()))?.id as string)
  const response = await client.get('/open')
  t.same(response.json(), { exists: false })
  t.match(setCookies(response), [/^__Host-old=; .*Max-Age=0/])
  t.equal(client.jar.header(), undefined)
})

t.test('a former cookie that a request has twice opens no session, is reported, and expires', async (t) => {
  const { app, client, events } = await renamed(t, () => new MemoryStore())
  const twice = `${client.jar.header() as string}; __Host-old=x`
  const response = await ask(app, '/open', twice)
  t.same(response.json(), { exists: false })
  t.same(reported(events), ['rejected:duplicate-cookie'])
  t.match(setCookies(response), [/^__Host-old=; .*Max-Age=0/])
  t.equal(await app.session.fromCookie(twice), undefined)
  t.equal((await ask(app, 'POST /login', twice)).statusCode, 200, 'the user can sign in')
})
