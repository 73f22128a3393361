import crypto, { createHash } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import t, { type Test } from 'tap'
import { mint } from '../../lib/token.js'
import { backends } from './backends.js'
import type { Backend } from './place.js'
import { rounds } from './rounds.js'
import { COOKIE, cookies, createWorld, managerOf, alone, onEach, replay, startSlow, stored, told, tokenOf, type World } from './support.js'

alone.test('C4 tokens are 256 bits that never repeat', async (t) => {
  const tokens = new Set<string>()
  const bits = Array.from({ length: 256 }, () => 0)
  for (let i = 0; i < 100_000; i++) {
    const { token } = mint()
    tokens.add(token)
    const bytes = Buffer.from(token, 'base64url')
    if (bytes.length !== 32) throw new Error(`${bytes.length} bytes`)
    if (i < 10_000) for (let bit = 0; bit < 256; bit++) bits[bit] = (bits[bit] as number) + (((bytes[bit >> 3] as number) >> (bit & 7)) & 1)
  }
  t.equal(tokens.size, 100_000)
  // Each bit is set in half of them: 5000 with a deviation of 50; seven of those leave one false alarm in 10^9 runs.
  t.same(bits.filter((set) => Math.abs(set - 5000) > 350), [])
})

onEach(t, 'C4 without randomness there is no session: 503, no cookie, no weaker source', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { randomFillSync, randomBytes } = crypto
  t.teardown(() => {
    Object.assign(crypto, { randomFillSync, randomBytes })
    syncBuiltinESMExports()
  })
  const broken = (): never => { throw new Error('entropy source gone') }
  Object.assign(crypto, { randomFillSync: broken, randomBytes: broken })
  syncBuiltinESMExports()
  // What is left from before is good randomness: use it up.
  t.throws(() => { while (true) mint() }, { code: 'FST_SESSION_STORE' })
  const response = await world.app.inject({ method: 'POST', url: '/login', payload: { userId: 'ada' } })
  t.equal(response.statusCode, 503)
  t.same(cookies(response), [])
  t.notMatch(response.body, /entropy/)
  t.equal(await world.place.count(), 0)
})

alone.test('C4 without randomness nothing is sealed anew', async (t) => {
  const world = await createWorld(t, backends['sealed'] as Backend)
  const visitor = world.visitor()
  await visitor.post('/login', { userId: 'ada' })
  const { randomBytes } = crypto
  t.teardown(() => {
    Object.assign(crypto, { randomBytes })
    syncBuiltinESMExports()
  })
  Object.assign(crypto, { randomBytes: () => { throw new Error('entropy source gone') } })
  syncBuiltinESMExports()
  const response = await visitor.post('/do/write')
  t.match(response, { statusCode: 503, headers: { 'retry-after': '5' } })
  t.same(cookies(response), [])
})

onEach(t, 'C5 never adopts a client id (CVE-2024-38513)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const planted = mint().token
  const victim = world.visitor()
  victim.jar.take(`${COOKIE}=${planted}; Path=/`)
  t.equal((await victim.get('/me')).statusCode, 401)
  await victim.post('/put', { cart: 1 })
  t.not(tokenOf(victim), planted, 'a first write gets a token of its own')
  victim.jar.take(`${COOKIE}=${planted}; Path=/`)
  await victim.post('/login', { userId: 'ada' })
  t.not(tokenOf(victim), planted, 'so does a login')
  t.equal(await replay(world, planted), 401)
  t.equal(await replay(world, tokenOf(victim)), 200)
  const atRest = await world.place.atRest()
  t.notMatch(atRest, planted)
  t.notMatch(atRest, new RegExp(`(create|update) \\["${createHash('sha256').update(planted).digest('base64url')}`), 'it was looked up and never written')
  t.equal(await world.place.count(), backend.sealed ? 0 : 2, 'the records are those of the first write and of the login')
})

/** Every spelling in which a token might be kept. */
function spellings (token: string): string[] {
  const bytes = Buffer.from(token, 'base64url')
  return [token, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('latin1'), encodeURIComponent(token), Buffer.from(token).toString('base64').replace(/=+$/, ''), Buffer.from(token).toString('hex')]
}

onEach(t, 'C6 only the hash of a token is at rest (CVE-2019-16782)', async (t, backend) => {
  const world = await createWorld(t, backend)
  const ada = await world.signedIn()
  const tokens = [tokenOf(ada)]
  await ada.post('/put', { cart: 1 })
  await ada.post('/do/renew')
  tokens.push(tokenOf(ada))
  tokens.push(tokenOf(await world.signedIn()), (await managerOf(world.app).issue({ userId: 'ada' })).cookie.slice(COOKIE.length + 1))
  await managerOf(world.app).list('ada')
  const atRest = await world.place.atRest()
  for (const token of tokens) for (const spelling of spellings(token)) t.notOk(atRest.includes(spelling), spelling)
  t.ok(atRest.includes(createHash('sha256').update(tokens[1] as string).digest('base64url')), 'the hash is what it is kept under')
}, stored)

onEach(t, 'C6 the id that an app may show is no cookie', async (t, backend) => {
  const world = await createWorld(t, backend)
  await world.signedIn()
  const [session] = await managerOf(world.app).list('ada')
  t.equal(await replay(world, (session as { id: string }).id), 401)
}, stored)

onEach(t, 'C7 a login, a renewal and a change of principal give a new token, and the old one is worth nothing at once (CVE-2023-29019)', async (t, backend) => {
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
  const left = await Promise.all(['ada', 'bob'].map(async (user) => (await managerOf(world.app).list(user)).length))
  t.same(left, [0, 1])
}, stored)

async function seen ({ app }: World, token: string): Promise<boolean> {
  return (await app.inject({ url: '/seen', headers: { cookie: `${COOKIE}=${token}` } })).json<{ exists: boolean }>().exists
}

onEach(t, 'C7 an attacker who planted the cart of a guest has neither the login nor what comes after it', async (t, backend) => {
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

onEach(t, 'C7 update() cannot make somebody else of a session under its old token', async (t, backend) => {
  const world = await createWorld(t, backend)
  const client = world.visitor()
  await client.post('/put', { cart: 1 })
  const response = await client.post('/add/userId')
  t.equal(response.statusCode, 401, 'a guest')
  const ada = await world.signedIn()
  t.equal((await ada.post('/add/userId')).statusCode, 500)
  t.equal((await ada.get('/me')).json<{ userId: string }>().userId, 'ada')
})

onEach(t, 'C7 renewals at the same time leave one token', async (t, backend) => {
  const world = await createWorld(t, backend)
  for (let round = 0; round < rounds(30, 1000, backend.share); round++) {
    const ada = await world.signedIn(`ada${round}`)
    const old = tokenOf(ada)
    const slow = await Promise.all([1, 2, 3, 4].map(() => startSlow(world, ada, 'renew')))
    const answers = await Promise.all(slow.map(({ release }) => release()))
    const tokens = answers.flatMap(cookies).map((line) => line.slice(COOKIE.length + 1).split(';')[0] as string)
    const alive = (await Promise.all(tokens.map((token) => replay(world, token)))).filter((status) => status === 200)
    t.equal(await replay(world, old), 401)
    t.equal(tokens.length, 1, 'one of the four renewed it, and only that one was given a token')
    t.equal(alive.length, 1)
    t.equal((await managerOf(world.app).list(`ada${round}`)).length, 1)
  }
  t.notOk(told(world.events).includes('discarded:ended-meanwhile'))
}, stored)

alone.test('C7 a renewal is revoked under the id that it has in the store', async (t: Test) => {
  const world = await createWorld(t, backends['memory'] as Backend)
  world.app.post('/revoke-self', { schema: { security: [{ session: [] }] } }, async (request) => {
    const { sessionOf } = await import('./support.js')
    const session = sessionOf(request)
    session.renew()
    return { revoked: await managerOf(world.app).revoke(session.id) }
  })
  world.app.post('/others-out', { schema: { security: [{ session: [] }] } }, async (request) => {
    const { sessionOf } = await import('./support.js')
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
