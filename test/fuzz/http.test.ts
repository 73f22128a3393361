import fc from 'fast-check'
import t from 'tap'
import { hashSecret, mintCredential } from '../../lib/session/credential.js'
import { backends } from '../security/backends.js'
import { COOKIE, createWorld, alone, onEach, replay, stored, tokenOf, type World } from '../security/support.js'
import { holds } from './property.js'

const hostile = fc.oneof(fc.string(), fc.base64String(), fc.constantFrom(COOKIE, `${COOKIE}=`, '=', ';', '; ', '"', ',', '%00', '__proto__', 'A'.repeat(43), 'A'.repeat(5000)))

/** What a header may carry on the wire: Node's parser refuses the rest. */
const headerText = fc.array(hostile, { maxLength: 10 }).map((parts) => parts.join('').replace(/[^\t\x20-\x7e\x80-\xff]/g, ''))

async function statusOf ({ app }: World, cookie: string, url = '/me'): Promise<{ status: number, body: string }> {
  const { statusCode: status, body } = await app.inject({ url, headers: { cookie } })
  return { status, body }
}

onEach(t, 'any Cookie header gets 401, or 200 for exactly the one session that it names', async (t, backend) => {
  const world = await createWorld(t, backend)
  const token = tokenOf(await world.signedIn('ada'))
  const around = fc.tuple(headerText, headerText).map(([before, after]) => `${before}; ${COOKIE}=${token}; ${after}`)
  await holds(t, fc.asyncProperty(fc.oneof(headerText, around), async (header) => {
    const { status, body } = await statusOf(world, header)
    const values = header.split(';').map((pair) => pair.trim()).filter((pair) => pair.startsWith(`${COOKIE}=`)).map((pair) => pair.slice(COOKIE.length + 1))
    const alone = values.length === 1 && values[0] === token
    if (status !== (alone ? 200 : 401)) throw new Error(`${status} ${body}`)
    if (alone && (JSON.parse(body) as { userId: string }).userId !== 'ada') throw new Error(body)
  }), Math.ceil(300 * backend.share), 10_000)
})

alone.test('a sealed cookie that was changed in any way is 401', async (t) => {
  const world = await createWorld(t, backends['sealed'])
  const value = tokenOf(await world.signedIn())
  const bytes = Buffer.from(value, 'base64url')
  const spliced = fc.tuple(fc.nat({ max: bytes.length }), fc.nat({ max: 20 }), fc.uint8Array({ maxLength: 20 })).map(([at, cut, put]) => Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + cut)]).toString('base64url'))
  const changed = fc.oneof(spliced, fc.base64String({ maxLength: 400 }), fc.uint8Array({ minLength: 29, maxLength: 300 }).map((random) => Buffer.from(random).toString('base64url')), headerText.map((text) => text.replace(/[;\s]/g, '')))
  await holds(t, fc.asyncProperty(changed, async (text) => text === value || await replay(world, text) === 401), 10_000, 100_000)
})

/** A change of a text: bytes over others, cut out, put in, or doubled. */
const change = fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), cut: fc.nat({ max: 12 }), put: fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('', '"', '}', '{', ',', ':', '\\', 'null', '[]', '1e999', '"userId":"eve"', '__proto__', '\u0000', '\ud800')) })

onEach(t, 'a stored record that was changed at random makes no user another one, and never a 5xx', async (t, backend) => {
  const world = await createWorld(t, backend)
  const { store } = world.place as unknown as { store: any }
  const life = { at: world.clock.now(), authenticatedAt: world.clock.now() - 1, ms: 4e7 }
  const credential = mintCredential()
  const payload = JSON.stringify({ ...life, hash: hashSecret(credential.secret), data: { userId: 'ada', roles: ['reader'], cart: { tea: 1 } } })
  await holds(t, fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat({ max: 9 }), async (changes, chance) => {
    const text = changes.reduce((before, { at, cut, put }) => {
      const index = Math.floor(at * before.length)
      return before.slice(0, index) + put + before.slice(index + cut)
    }, payload)
    const { id, secret } = credential
    const token = `${id}.${secret}`
    await store.create(id, { payload: text, version: 1, expiresAt: world.clock.now() + 1e6, principal: 'ada' })
    const { status, body } = await statusOf(world, `${COOKIE}=${token}`)
    if (status !== 401 && status !== 200) throw new Error(`${status} ${body} for ${text}`)
    if (status === 200 && (JSON.parse(body) as { userId: string }).userId !== 'ada') throw new Error(`${body} for ${text}`)
    // Nothing of a record that was refused is saved; now and then that is tried, too.
    const saved = status === 401 && chance > 0 ? { statusCode: 200 } : await world.app.inject({ method: 'POST', url: '/put', payload: { n: 1 }, headers: { cookie: `${COOKIE}=${token}` } })
    if (saved.statusCode >= 500) throw new Error(`${saved.statusCode} on save of ${text}`)
    await store.delete(id)
  }), backend.name === 'memory' ? 10_000 : Math.ceil(300 * backend.share), backend.name === 'memory' ? 100_000 : 10_000)
}, stored)

alone.test('what a request puts into its session is kept as it is or refused, and stays the person\'s own', async (t) => {
  const world = await createWorld(t)
  const ada = await world.signedIn('ada')
  const bob = await world.signedIn('bob')
  const value = fc.jsonValue({ depthSize: 'small', noUnicodeString: false })
  await holds(t, fc.asyncProperty(fc.string(), value, async (key, item) => {
    if (key === 'userId' || key === 'roles') return
    const { statusCode } = await ada.inject({ method: 'POST', url: '/put', headers: { 'content-type': 'application/json' }, payload: `{${JSON.stringify(key)}:${JSON.stringify(item)}}` })
    // Fastify itself refuses bodies with __proto__ or constructor.
    if (statusCode === 400) return
    if (statusCode !== 200) throw new Error(`${statusCode}`)
    const mine = (await ada.get('/me')).json<Record<string, unknown>>()
    if (JSON.stringify(mine[key]) !== JSON.stringify(item)) throw new Error(`${JSON.stringify(mine[key])} instead of ${JSON.stringify(item)}`)
    if (JSON.stringify((await bob.get('/me')).json()) !== '{"userId":"bob","roles":[]}') throw new Error('in another session')
    await ada.post('/login', { userId: 'ada' })
  }), 150)
})
