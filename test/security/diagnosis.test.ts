import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { SessionStore } from 'fastify-openapi-session'
import t from 'tap'
import { breakable } from './failing.js'
import { ask, type LogLine, managerOf, optional, sessionOf } from '../support/harness.js'
import { alone, COOKIE, createWorld, onEach, sessionsOf, startSlow, tokenOf, type World } from './support.js'

/** Takes the lines that explain what became of a session out of the log. */
function explained ({ log }: World): LogLine[] {
  return log.splice(0).filter(({ session }) => session?.loaded !== undefined)
}

onEach(t, 'a debug line says why a session was not loaded and why a cookie was not set', async (t, backend) => {
  const generation = { now: 1 }
  const world = await createWorld(t, backend, { verify: (data) => data.userId !== 'banned' || generation.now === 1 }, { level: 'debug' })
  const { app, clock } = world
  const line = async (request: () => Promise<unknown>): Promise<LogLine> => {
    world.log.length = 0
    await request()
    const lines = explained(world)
    t.equal(lines.length, 1, 'one line')
    const [found] = lines as [LogLine]
    t.equal(found.level, 20)
    t.match(found.session, { scheme: 'session', cookie: COOKIE })
    return found
  }
  const ada = await world.signedIn()
  const cases: Array<[string, () => Promise<unknown>, object, RegExp]> = [
    ['no cookie', () => world.visitor().get('/seen'), { loaded: 'no-cookie', saved: 'none', setCookie: false }, /not loaded: the request has no such cookie; cookie not set: no data were set/],
    ['no cookie, 401', () => world.visitor().get('/me'), { loaded: 'no-cookie', setCookie: false }, /has no such cookie/],
    ['unchanged', () => ada.get('/me'), { loaded: 'live', saved: 'none', setCookie: false }, /cookie not set: the session did not change/],
    ['created', () => world.visitor().post('/put', { n: 1 }), { loaded: 'no-cookie', saved: 'data', setCookie: true }, /cookie set/],
    ['renewed', () => ada.post('/do/renew'), { loaded: 'live', saved: 'renew', setCookie: true }, /cookie set/],
    ['twice', () => ask(app, '/seen', `${COOKIE}=a; ${COOKIE}=b`), { loaded: 'duplicate-cookie' }, /has the cookie twice/],
    ['unknown', () => ask(app, '/seen', `${COOKIE}=${'A'.repeat(22)}.${'A'.repeat(43)}`), { loaded: 'ended' }, /belongs to no live session/],
    ['cross-origin', () => ada.inject({ method: 'POST', url: '/do/touch', headers: { origin: 'https://evil.example' } }), { loaded: 'cross-origin', setCookie: false }, /page of another origin/],
    ['ended', () => ada.post('/logout'), { loaded: 'live', saved: 'destroy', setCookie: true }, /cookie set/],
    ['ended twice', () => ada.post('/logout'), { loaded: 'no-cookie', saved: 'none', setCookie: false }, /cookie not set/]
  ]
  for (const [name, request, session, why] of cases) {
    const found = await line(request)
    t.match(found.session, session, name)
    t.match(found.msg, why, name)
  }
  const bob = await world.signedIn('bob')
  clock.advance(1_800_001)
  t.match((await line(() => bob.get('/seen'))).msg, /expired/)
  const banned = await world.signedIn('banned')
  generation.now = 2
  t.match((await line(() => banned.get('/seen'))).msg, /not loaded: the option verify or user refused it; cookie set/)
  const writer = await world.signedIn('writer')
  const update = await line(() => writer.post('/put', { n: 1 }))
  t.match(update.session, { saved: 'data', setCookie: backend.sealed })
})

alone.test('a debug line says why a session was not saved', async (t) => {
  const broken = breakable()
  const world = await createWorld(t, broken.backend, { storeTimeout: 0.05 }, { level: 'debug' })
  world.app.post('/fails', { schema: optional }, async (request) => {
    sessionOf(request).data.n = 1
    throw new Error('no')
  })
  const ada = await world.signedIn()
  world.log.length = 0
  await ada.post('/fails')
  t.match(explained(world)[0]?.msg, /cookie not set: a response with a status of 500 or more saves no data/)
  broken.break('create', () => { throw new Error('down') })
  await world.visitor().post('/login', { userId: 'bob' })
  t.match(explained(world)[0], { session: { saved: 'failed', setCookie: false }, msg: /could not be saved/ })
  broken.break('read', () => { throw new Error('down') })
  await ada.get('/me')
  t.match(explained(world)[0], { session: { loaded: 'failed' }, msg: /could not be read/ })
  broken.repair()
  const slow = await startSlow(world, ada, 'renew')
  await managerOf(world.app).revokeAll('ada')
  world.log.length = 0
  await slow.release()
  t.match(explained(world)[0], { session: { saved: 'renew', setCookie: false }, msg: /ended while the request was running/ })
  const other = await world.signedIn('other')
  const slowWrite = await startSlow(world, other, 'write')
  await managerOf(world.app).revokeAll('other')
  await slowWrite.release()
  t.ok(world.events.some(({ reason }) => reason === 'ended'))
})

alone.test('no debug line is written for a route without a session, nor on a higher level', async (t) => {
  const world = await createWorld(t, undefined, {}, { level: 'debug' })
  const ada = await world.signedIn()
  world.log.length = 0
  await ada.get('/plain')
  t.same(explained(world), [])
  const quiet = await createWorld(t, undefined, {}, { level: 'info' })
  await (await quiet.signedIn()).get('/me')
  t.same(explained(quiet), [])
})

alone.test('each event is published on the diagnostics channel, with its request', async (t) => {
  const world = await createWorld(t)
  const seen: Array<{ event: { type: string }, request?: { url: string } }> = []
  const listen = (message: unknown): void => { seen.push(message as typeof seen[number]) }
  subscribe('fastify-openapi-session:event', listen)
  t.teardown(() => unsubscribe('fastify-openapi-session:event', listen))
  await world.signedIn()
  await managerOf(world.app).issue({ userId: 'bob' })
  t.same(seen.map(({ event, request }) => [event.type, request?.url]), [['created', '/login'], ['created', undefined]])
  t.same(seen.map(({ event }) => event), world.events)
})

alone.test('an async listener that rejects does not end the process', async (t) => {
  const world = await createWorld(t, undefined, { onEvent: (async () => { throw new Error('async listener broke') }) as never })
  t.equal((await (await world.signedIn()).get('/me')).statusCode, 200)
  t.match(JSON.stringify(world.log), /async listener broke/)
})

/** Every spelling in which a token might be found in a text. */
function spellings (token: string): string[] {
  const bytes = Buffer.from(token, 'base64url')
  const of = (text: string): string[] => [text, Buffer.from(text).toString('base64').replace(/=+$/, '').slice(0, -1), Buffer.from(text).toString('hex'), [...text].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')]
  return [...of(token), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex'), encodeURIComponent(bytes.toString('base64')).replace(/(%3D)+$/i, '')]
}

/** Does `work` while no session can be read. */
async function whileDown ({ place }: World, work: () => Promise<void>): Promise<void> {
  const store = place.store as SessionStore
  const { read } = store
  store.read = async () => { throw new Error('the store is down') }
  await work()
  store.read = read
}

onEach(t, 'no secret of a cookie is in logs, bodies, errors, events or the channel, in any spelling, on level trace', async (t, backend) => {
  const messages: string[] = []
  const listen = (message: unknown): void => { messages.push(JSON.stringify((message as { event: unknown }).event)) }
  subscribe('fastify-openapi-session:event', listen)
  t.teardown(() => unsubscribe('fastify-openapi-session:event', listen))
  const world = await createWorld(t, backend, { maxSize: 2000 }, { level: 'trace' })
  const { app } = world
  app.post('/throws', { schema: optional }, async (request) => {
    request.log.info({ req: request, session: sessionOf(request), manager: managerOf(app) }, 'everything that a handler has at hand')
    request.log.error(new Error(`in ${JSON.stringify(sessionOf(request))}`))
    throw new Error('broken')
  })
  app.post('/logs', { schema: optional }, async (request) => {
    request.log.trace({ session: sessionOf(request), text: String(sessionOf(request)) })
    sessionOf(request).renew()
    request.log.trace({ session: sessionOf(request), id: sessionOf(request).id })
    return { session: sessionOf(request), id: sessionOf(request).id }
  })
  const bodies: string[] = []
  const [tokens, secrets] = [new Set<string>(), new Set<string>()]
  const ada = world.visitor()
  const asAda = async (url: string, body?: object, headers: Record<string, string> = {}): Promise<void> => {
    const response = await ada.post(url, body, headers)
    bodies.push(response.body, JSON.stringify(Object.entries(response.headers).filter(([name]) => name !== 'set-cookie')))
    if (tokenOf(ada) === '') return
    tokens.add(tokenOf(ada))
    // The id before the dot may be shown.
    secrets.add(tokenOf(ada).replace(/^.*\./, ''))
  }
  await asAda('/put', { n: 1 })
  await asAda('/login', { userId: 'ada' })
  for (const url of ['/throws', '/logs', '/do/renew', '/do/update', '/do/become', '/add/n', '/nowhere']) await asAda(url)
  await asAda('/put', { n: 'x'.repeat(2000) })
  await asAda('/do/touch', undefined, { origin: 'https://evil.example' })
  bodies.push((await ada.get('/admin')).body, (await ada.get('/me')).body)
  const list = backend.sealed ? [] : await sessionsOf(app, 'eve')
  bodies.push(JSON.stringify(list))
  await ask(app, '/me', `${COOKIE}=${[...tokens][0] ?? ''}; ${COOKIE}=${[...tokens][1] ?? ''}`)
  if (!backend.sealed) await whileDown(world, async () => asAda('/put', { n: 2 }))
  await asAda('/logout')
  // A malformed cookie may hold a secret, with a character too many.
  for (const value of [...tokens].flatMap((token) => [token, `${token}A`])) await ask(app, '/me', `${COOKIE}=${value}`)
  t.ok(tokens.size >= 4)
  const everything = { log: JSON.stringify(world.log), bodies: bodies.join(''), events: JSON.stringify(world.events), channel: messages.join('') }
  t.ok(everything.log.length > 10_000 && everything.events.length > 500 && everything.channel.length > 500, 'there was something to search')
  for (const [where, text] of Object.entries(everything)) {
    const found = [...secrets].flatMap((secret) => spellings(secret).filter((spelling) => text.toLowerCase().includes(spelling.toLowerCase())))
    t.same(found, [], where)
  }
})

alone.test('the search finds a secret in each of its spellings', async (t) => {
  const token = Buffer.alloc(32, 'n?~').toString('base64url')
  for (const text of [token, `%22${token}%22`, Buffer.from(token, 'base64url').toString('base64'), Buffer.from(token).toString('base64')]) {
    t.ok(spellings(token).some((spelling) => text.toLowerCase().includes(spelling.toLowerCase())))
  }
})
