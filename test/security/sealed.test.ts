import { createCipheriv, randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t from 'tap'
import { backends } from './backends.js'
import { ask, managerOf, plugin, reported, setCookies } from '../support/harness.js'
import { only } from './place.js'
import { bootErrorOf, COOKIE, createWorld, replay, tokenOf } from './support.js'

const cookieOf = (setCookie: string): string => setCookie.slice(setCookie.indexOf('=') + 1).split(';')[0] as string

/** What an app with other settings says to a cookie. */
async function openedBy (value: string, options: Record<string, unknown>): Promise<number> {
  const { cookie, ...others } = options as { cookie?: { name: string } }
  const app = Fastify()
  await app.register(plugin, { principal: (data) => data.userId, ...others, ...(cookie && { cookie }) })
  const name = (options['scheme'] ?? 'session') as string
  app.get('/me', { schema: { security: [{ [name]: [] }] } }, async () => 'in')
  const { statusCode } = await ask(app, '/me', `${cookie?.name ?? COOKIE}=${value}`)
  await app.close()
  return statusCode
}

t.test('a sealed cookie opens for its scheme, its cookie name, its format and its keys, and for nothing else (CVE-2026-39324)', async (t) => {
  const key = makeKey()
  const store = sealedCookie({ keys: [key] })
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { store, principal: (data) => data.userId })
  const { setCookie } = await managerOf(app).issue({ userId: 'ada' })
  const value = cookieOf(setCookie)
  t.equal(await openedBy(value, { store }), 200)
  t.equal(await openedBy(value, { store: sealedCookie({ keys: [makeKey(), key] }) }), 200, 'a key on its way out')
  t.equal(await openedBy(value, { store, scheme: 'admin', cookie: { name: COOKIE } }), 401, 'another scheme')
  t.equal(await openedBy(value, { store, cookie: { name: '__Host-admin' } }), 401, 'another cookie name')
  t.equal(await openedBy(value, { store: sealedCookie({ keys: [makeKey()] }) }), 401, 'a retired key')

  const forge = (associated: string, text: string): string => {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'base64url'), nonce).setAAD(Buffer.from(associated))
    return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }
  const life = { hash: '', at: Date.now(), ms: 1e6, data: { userId: 'eve' } }
  const text = `${'A'.repeat(22)} ${Date.now() + 1e6} ${JSON.stringify(life)}`
  const bound = (version: number): string => JSON.stringify(['fastify-openapi-session', version, 'session', COOKIE])
  t.equal(await openedBy(forge(bound(1), text), { store }), 200, 'the forgery is right in all but what it is bound to')
  for (const associated of ['', bound(0), bound(2), JSON.stringify(['session', COOKIE])]) t.equal(await openedBy(forge(associated, text), { store }), 401, associated)
  for (const plain of [
    text, Buffer.from(text).toString('base64url'), Buffer.from(JSON.stringify(life.data)).toString('base64url'), JSON.stringify(life.data), `${Buffer.from('{"userId":"eve"}').toString('base64url')}.x`
  ]) t.equal(await openedBy(plain, { store }), 401, 'there is no decoder to fall back to')
})

t.test('the content of a sealed cookie is checked, even under the right key', async (t) => {
  const key = makeKey()
  const world = await createWorld(t, only(sealedCookie({ keys: [key] })))
  for (const text of ['', ' ', '{}', 'x 2 {}', 'x y {}', `x ${Date.now() + 1e6} {}`, `x ${Date.now() + 1e6} null`, 'x NaN {"v":1}', 'no spaces', '1\n2\n3']) {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', Buffer.from(key, 'base64url'), nonce).setAAD(Buffer.from(JSON.stringify(['fastify-openapi-session', 1, 'session', COOKIE])))
    const value = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url')
    t.equal(await replay(world, value), 401, JSON.stringify(text))
  }
})

t.test('a cookie that an old key opened is sealed again with the first key, and any other is left alone', async (t) => {
  const [fresh, old] = [makeKey(), makeKey()]
  /** An app with these keys, and what it sets when it is sent a cookie. */
  const under = async (keys: string[]): Promise<{ issue: () => Promise<string>, send: (value: string) => Promise<{ status: number, set: string[] }> }> => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(plugin, { store: sealedCookie({ keys }), principal: (data) => data.userId })
    app.get('/me', { schema: { security: [{ session: [] }] } }, async () => 'in')
    return {
      issue: async () => cookieOf((await managerOf(app).issue({ userId: 'ada' })).setCookie),
      async send (value) {
        const answer = await ask(app, '/me', `${COOKIE}=${value}`)
        return { status: answer.statusCode, set: setCookies(answer).map(cookieOf) }
      }
    }
  }
  const [before, during, after] = [await under([old]), await under([fresh, old]), await under([fresh])]
  const value = await before.issue()
  t.same(await before.send(value), { status: 200, set: [] }, 'nothing to do while its key is the first')
  t.same(await after.send(value), { status: 401, set: [] }, 'without the old key it is over')
  const { status, set: [anew = '', ...more] } = await during.send(value)
  t.same([status, more], [200, []])
  t.same(await after.send(anew), { status: 200, set: [] }, 'what is set opens with the new key alone')
  t.same(await before.send(anew), { status: 401, set: [] })
  t.same(await during.send(anew), { status: 200, set: [] }, 'and is not sealed again')
})

t.test('a sealed cookie with any flipped bit is rejected', async (t) => {
  const world = await createWorld(t, backends['sealed'])
  const value = tokenOf(await world.signedIn())
  t.equal(await replay(world, value), 200)
  const bytes = Buffer.from(value, 'base64url')
  let accepted = 0
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    if (await replay(world, flipped.toString('base64url')) !== 401) accepted++
  }
  t.equal(accepted, 0, `${bytes.length * 8} bits`)
  for (const cut of [0, 1, 12, 27, 28, 29, bytes.length - 1]) t.equal(await replay(world, bytes.subarray(0, cut).toString('base64url')), 401, `cut to ${cut} bytes`)
  for (const other of [`${value}A`, `${value}=`, ` ${value.slice(0, 9)} ${value.slice(9)}`, value.toUpperCase(), `${value}.`, `"${value}"`, `%${value}`]) t.equal(await replay(world, other), 401)
  t.notOk(reported(world.events).some((event) => event.startsWith('discarded')), 'none of them was even opened')
})

t.test('the same data are sealed into another cookie every time', async (t) => {
  const world = await createWorld(t, backends['sealed'])
  const values = await Promise.all(Array.from({ length: 1000 }, async () => tokenOf(await world.signedIn())))
  t.equal(new Set(values).size, 1000)
  t.equal(new Set(values.map((value) => value.slice(0, 16))).size, 1000, 'fresh nonces')
})

t.test('a sealed cookie of before a login opens nothing more in this process', async (t) => {
  const world = await createWorld(t, backends['sealed'])
  const ada = await world.signedIn()
  const before = tokenOf(ada)
  await ada.post('/login', { userId: 'ada' })
  t.equal(await replay(world, before), 401)
  t.equal((await ada.get('/me')).statusCode, 200)
})

t.test('a sealed cookie that was opened a short time ago does not open under another name', async (t) => {
  const world = await createWorld(t, backends['sealed'], { cookie: { name: 'id', previous: [{ name: 'former' }] } })
  const ada = await world.signedIn()
  const value = tokenOf(ada, 'id')
  t.equal(await replay(world, value, '/me', 'id'), 200)
  t.equal(await replay(world, value, '/me', 'former'), 401)
})

t.test('a sealed cookie of a former name does not open under the current name, even after the app has opened it', async (t) => {
  const store = sealedCookie({ keys: [makeKey()] })
  const [before, after] = [Fastify(), Fastify()]
  t.teardown(async () => { await Promise.all([before.close(), after.close()]) })
  await before.register(plugin, { store, principal: (data) => data.userId, cookie: { name: 'former' } })
  await after.register(plugin, { store, principal: (data) => data.userId, cookie: { name: 'id', previous: [{ name: 'former' }] } })
  after.get('/me', { schema: { security: [{ session: [] }] } }, async () => 'in')
  await before.ready()
  const value = cookieOf((await managerOf(before).issue({ userId: 'ada' })).setCookie)
  t.equal(await replay({ app: after }, value, '/me', 'former'), 200)
  t.equal(await replay({ app: after }, value, '/me', 'id'), 401)
})

t.test('a sealed cookie of before a write still opens, with the data that it contains', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { store: sealedCookie({ keys: [makeKey()] }) })
  app.post('/name/:name', { schema: { security: [{ session: [] }] } }, async (request) => {
    const { session, params } = request as any
    session.set('name', params.name)
    await session.commit()
    session.set('name', `${params.name} again`)
  })
  app.get('/name', { schema: { security: [{ session: [] }] } }, async (request) => (request as any).session.get('name'))
  const { cookie } = await managerOf(app).issue({ name: 'ada' })
  for (const name of ['bob', 'eve']) {
    t.equal((await ask(app, '/name', cookie)).body, 'ada')
    const response = await app.inject({ method: 'POST', url: `/name/${name}`, headers: { cookie } })
    t.equal((await ask(app, '/name', `${COOKIE}=${cookieOf(setCookies(response)[0] as string)}`)).body, `${name} again`)
    t.equal((await ask(app, '/name', cookie)).body, 'ada')
  }
})

t.test('a sealed cookie of before a change of principal opens nothing more in this process', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { store: sealedCookie({ keys: [makeKey()] }), principal: (data) => data.userId })
  app.post('/switch', { schema: { security: [{ session: [] }] } }, async (request) => { (request as any).session.set('userId', 'bob') })
  app.get('/me', { schema: { security: [{ session: [] }] } }, async (request) => (request as any).session.get('userId'))
  const { cookie } = await managerOf(app).issue({ userId: 'ada' })
  const response = await app.inject({ method: 'POST', url: '/switch', headers: { cookie } })
  t.equal((await ask(app, '/me', cookie)).statusCode, 401)
  t.equal((await ask(app, '/me', `${COOKIE}=${cookieOf(setCookies(response)[0] as string)}`)).body, 'bob')
})

t.test('a process remembers the last 10,000 sealed sessions that it ended', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { store: sealedCookie({ keys: [makeKey()] }) })
  app.get('/out', { schema: { security: [{ session: [] }] } }, async (request) => { (request as any).session.destroy() })
  app.get('/me', { schema: { security: [{ session: [] }] } }, async () => 'in')
  const end = async (): Promise<string> => {
    const { cookie } = await managerOf(app).issue({})
    if ((await ask(app, '/out', cookie)).statusCode !== 200) throw new Error('no session')
    return cookie
  }
  const first = await end()
  for (let others = 9_999; others > 0; others--) await end()
  t.equal((await ask(app, '/me', first)).statusCode, 401, 'the oldest of them')
})

t.test('weak keys of sealed cookies stop the boot', async (t) => {
  const good = makeKey()
  const weak: Record<string, unknown> = {
    'none': [],
    'no list': good,
    'absent': undefined,
    'short': [randomBytes(31).toString('base64url')],
    'long': [randomBytes(33)],
    'empty': [''],
    'short in the second place': [good, randomBytes(16)],
    'empty in the second place': [good, ''],
    'twice': [good, good],
    'twice in two forms': [good, Buffer.from(good, 'base64url')],
    'a passphrase': ['correct horse battery staple and so'],
    'a passphrase of 43 letters': ['thisisthesecretofmyapplication0123456789abc '],
    'zeros': [Buffer.alloc(32)],
    'one letter': [Buffer.alloc(32, 'a')],
    'a word again and again': [Buffer.alloc(32, 'secret')],
    'a number': [42],
    'null': [null]
  }
  for (const [name, keys] of Object.entries(weak)) {
    t.throws(() => sealedCookie({ keys: keys as never }), { code: 'FST_SESSION_OPTIONS' }, name)
  }
  t.throws(() => sealedCookie(undefined as never), { code: 'FST_SESSION_OPTIONS' })
  t.doesNotThrow(() => sealedCookie({ keys: [good, makeKey(), randomBytes(32)] }))
  t.equal((await bootErrorOf(t, { store: { keys: [good] } as never })).code, 'FST_SESSION_OPTIONS', 'keys without sealedCookie() are no store')
  try {
    sealedCookie({ keys: [good, 'hunter2'] })
  } catch (error) {
    t.notMatch((error as Error).message, /hunter2/, 'no message shows a key')
  }
})

t.test('a sealed cookie that browsers would drop is refused before anything is sent', async (t) => {
  const world = await createWorld(t, backends['sealed'])
  const ada = await world.signedIn()
  const before = tokenOf(ada)
  const tooLarge = await ada.post('/put', { text: 'x'.repeat(4000) })
  t.equal(tooLarge.statusCode, 500)
  t.equal(tooLarge.json<{ code: string }>().code, 'FST_SESSION_TOO_LARGE')
  t.same(setCookies(tooLarge), [])
  t.equal(tokenOf(ada), before)
  let size = 4000
  while ((await ada.post('/put', { text: 'é"'.repeat(size) })).statusCode !== 200) size -= 8
  const [line = ''] = setCookies(await ada.post('/put', { text: 'é"'.repeat(size), again: 1 }))
  t.ok(line === '' || Buffer.byteLength(line) <= 4096, 'what is sent fits')
})
