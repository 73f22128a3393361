import crypto, { createHash } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import t, { type Test } from 'tap'
import { mintCredential, random } from '../../lib/session/credential.js'
import { backends } from './backends.js'
import type { Backend } from './place.js'
import { ask, managerOf, reported, setCookies, sessionOf } from '../support/harness.js'
import { alone, COOKIE, createWorld, onEach, replay, sessionsOf, type SessionStore, stored, tokenOf, type World } from './support.js'

alone.test('a session id has 128 random bits and a secret has 256, and neither ever repeats', async (t) => {
  const [ids, secrets] = [new Set<string>(), new Set<string>()]
  const bits = Array.from({ length: 384 }, () => 0)
  for (let i = 0; i < 100_000; i++) {
    const { id, secret } = mintCredential()
    ids.add(id)
    secrets.add(secret)
    const bytes = Buffer.concat([Buffer.from(id, 'base64url'), Buffer.from(secret, 'base64url')])
    if (bytes.length !== 48) throw new Error(`${bytes.length} bytes`)
    if (i < 10_000) for (let bit = 0; bit < 384; bit++) bits[bit] = (bits[bit] as number) + (((bytes[bit >> 3] as number) >> (bit & 7)) & 1)
  }
  t.same([ids.size, secrets.size], [100_000, 100_000])
  // Each bit is set in half of them: 5000 with a deviation of 50; seven of those leave one false alarm in 10^9 runs.
  t.same(bits.filter((set) => Math.abs(set - 5000) > 350), [])
})

/** Breaks the system's random source, and uses up what is left from before, which is good randomness. */
function exhaustRandomness (t: Test): void {
  const { randomFillSync, randomBytes } = crypto
  t.teardown(() => {
    Object.assign(crypto, { randomFillSync, randomBytes })
    syncBuiltinESMExports()
  })
  const broken = (): never => { throw new Error('entropy source gone') }
  Object.assign(crypto, { randomFillSync: broken, randomBytes: broken })
  syncBuiltinESMExports()
  t.throws(() => { while (true) random(1) }, { code: 'FST_SESSION_STORE' })
}

onEach(t, 'a login without randomness is a 503 without a cookie', async (t, backend) => {
  const world = await createWorld(t, backend)
  exhaustRandomness(t)
  const response = await world.app.inject({ method: 'POST', url: '/login', payload: { userId: 'ada' } })
  t.equal(response.statusCode, 503)
  t.same(setCookies(response), [])
  t.notMatch(response.body, /entropy/)
  t.equal(await world.place.count(), 0)
})

alone.test('without randomness no cookie is sealed', async (t) => {
  const world = await createWorld(t, backends['sealed'] as Backend)
  const visitor = world.visitor()
  await visitor.post('/login', { userId: 'ada' })
  exhaustRandomness(t)
  // The ciphers of the next writes were made before, with nonces of good randomness.
  for (let writes = 0; writes < 100; writes++) await visitor.post('/put', { writes })
  const response = await visitor.post('/do/write')
  t.match(response, { statusCode: 503, headers: { 'retry-after': '5' } })
  t.same(setCookies(response), [])
})

onEach(t, 'a session id that the client chose is never used (CVE-2024-38513)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { id, secret } = mintCredential()
  const planted = `${id}.${secret}`
  const victim = world.visitor()
  victim.jar.take(`${COOKIE}=${planted}; Path=/`)
  t.equal((await victim.get('/me')).statusCode, 401)
  await victim.post('/put', { cart: 1 })
  t.not(tokenOf(victim), planted, 'a first write gets a cookie of its own')
  victim.jar.take(`${COOKIE}=${planted}; Path=/`)
  await victim.post('/login', { userId: 'ada' })
  t.not(tokenOf(victim), planted, 'so does a login')
  t.equal(await replay(world, planted), 401)
  t.equal(await replay(world, tokenOf(victim)), 200)
  const atRest = await world.place.atRest()
  t.notMatch(atRest, planted)
  t.notMatch(atRest, new RegExp(`(create|touch|update|delete) \\["${id}`), 'it was looked up and never written')
  t.equal(await world.place.count(), backend.sealed ? 0 : 2, 'the records are those of the first write and of the login')
})

const secretOf = (value: string): string => value.split('.')[1] ?? ''

/** Every spelling in which a secret might be kept. */
function spellings (secret: string): string[] {
  const bytes = Buffer.from(secret, 'base64url')
  return [secret, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('latin1'), encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, ''), Buffer.from(secret).toString('hex')]
}

onEach(t, 'only the hash of a cookie\'s secret is at rest (CVE-2019-16782)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const tokens = [tokenOf(ada)]
  await ada.post('/put', { cart: 1 })
  await ada.post('/do/renew')
  tokens.push(tokenOf(ada))
  tokens.push(tokenOf(await world.signedIn()), (await managerOf(world.app).issue({ userId: 'ada' })).cookie.slice(COOKIE.length + 1))
  await sessionsOf(world.app, 'ada')
  const atRest = await world.place.atRest()
  for (const secret of tokens.map(secretOf)) {
    t.equal(secret.length, 43)
    for (const spelling of spellings(secret)) t.notOk(atRest.includes(spelling), spelling)
    t.ok(atRest.includes(createHash('sha256').update(secret).digest('base64url')), 'its hash is kept')
  }
}, stored)

onEach(t, 'an id, a leaked record and the cookie from before a renewal open no session', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const before = tokenOf(ada)
  const id = (await sessionsOf(world.app, 'ada'))[0]?.id ?? ''
  t.equal(id, before.split('.')[0])
  const { payload } = await (world.place.store as SessionStore).read(id) as { payload: string }
  const { hash } = JSON.parse(payload) as { hash: string }
  await ada.post('/do/renew')
  world.events.length = 0
  const { secret: another } = mintCredential()
  for (const value of [id, `${id}.`, `${id}.${hash}`, `${id}.${another}`, before]) t.equal(await replay(world, value), 401, value)
  t.same(reported(world.events).filter((event) => event !== 'rejected:unauthenticated').slice(-3), Array.from({ length: 3 }, () => 'rejected:stale-secret'))
  t.equal(await replay(world, tokenOf(ada)), 200, 'and none of that touched the session')
}, stored)

onEach(t, 'a login, a renewal and a change of principal give a new cookie, and the old one is worth nothing at once (CVE-2023-29019)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const client = world.visitor()
  const steps: Array<[string, string, object?]> = [
    ['a cart of a guest', '/put', { cart: 1 }], ['login', '/login', { userId: 'ada' }], ['renewal', '/do/renew'], ['change of principal', '/do/become'],
    ['regenerate', '/do/regenerate'], ['login as somebody else', '/login', { userId: 'bob' }], ['login as the same', '/login', { userId: 'bob' }]
  ]
  let before = ''
  for (const [step, url, body] of steps) {
    t.equal((await client.post(url, body)).statusCode, 200, step)
    const after = tokenOf(client)
    t.not(after, before, `${step}: new token`)
    if (before !== '') t.equal(await replay(world, before), 401, `${step}: the old one is dead`)
    if (before !== '') t.equal(await seen(world, before), false, `${step}: not even a guest`)
    before = after
  }
  t.equal(await replay(world, before), 200)
  const left = await Promise.all(['ada', 'bob'].map(async (user) => (await sessionsOf(world.app, user)).length))
  t.same(left, [0, 1])
}, stored)

async function seen ({ app }: World, token: string): Promise<boolean> {
  return (await ask(app, '/seen', `${COOKIE}=${token}`)).json<{ exists: boolean }>().exists
}

onEach(t, 'an attacker who planted the cart of a guest has neither the login nor what comes after it', async (t, backend) => {
  const world = await createWorld(t, backend)
  const attacker = world.visitor()
  await attacker.post('/put', { cart: 1 })
  const planted = tokenOf(attacker)
  const victim = world.visitor()
  victim.jar.take(`${COOKIE}=${planted}; Path=/`)
  // In the very moment of the login the attacker writes too.
  await Promise.all([victim.post('/put', { userId: 'ada', secret: 1 }), attacker.post('/put', { gift: 1 })])
  t.not(tokenOf(victim), planted)
  t.equal((await victim.get('/me')).json<{ userId: string }>().userId, 'ada')
  t.equal(await replay(world, planted), 401)
  t.equal(await seen(world, planted), false)
  t.equal((await attacker.get('/me')).statusCode, 401, 'whatever the attacker has now, if anything, is a cart of their own')
}, stored)

onEach(t, 'update() cannot change the principal of a session', async (t, backend) => {
  const world = await createWorld(t, backend)
  const client = world.visitor()
  await client.post('/put', { cart: 1 })
  const response = await client.post('/add/userId')
  t.equal(response.statusCode, 401, 'a guest')
  const ada = await world.signedIn()
  t.equal((await ada.post('/add/userId')).statusCode, 500)
  t.equal((await ada.get('/me')).json<{ userId: string }>().userId, 'ada')
})

alone.test('a session that is being renewed is revoked, or spared, by its id', async (t: Test) => {
  const world = await createWorld(t, backends['memory'] as Backend)
  world.app.post('/revoke-self', { schema: { security: [{ session: [] }] } }, async (request) => {
    const session = sessionOf(request)
    session.renew()
    return { revoked: await managerOf(world.app).revoke(session.id) }
  })
  world.app.post('/others-out', { schema: { security: [{ session: [] }] } }, async (request) => {
    const session = sessionOf(request)
    session.renew()
    return { ended: await managerOf(world.app).revokeAll('bob', { except: session.id }) }
  })
  const ada = await world.signedIn('ada')
  t.same((await ada.post('/revoke-self')).json(), { revoked: true })
  t.equal((await ada.get('/me')).statusCode, 401)
  const bob = await world.signedIn('bob')
  await world.signedIn('bob')
  t.same((await bob.post('/others-out')).json(), { ended: 1 })
  t.equal((await bob.get('/me')).statusCode, 200, 'the one that is spared is renewed and stays')
})
