import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import sessionPlugin, { type Adoption, MemoryStore } from 'fastify-openapi-session'
import type { ExpressStore } from 'fastify-openapi-session/express'
import { adoptCookies, adoptExpressSessions } from 'fastify-openapi-session/migration'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import t, { type Test } from 'tap'
import { ask, cookieOf, sessionOf, setCookies, stopTimers } from '../support/harness.js'
import { expressSession, FileStore, holdNextGet, moved, required, secret, withExpressSession, withFastifySession } from './support.js'

const oldApps: Record<string, { cookieName: string, signIn: (t: Test, store: ExpressStore) => Promise<string> }> = {
  '@fastify/session': { cookieName: 'sessionId', signIn: async (t, store) => await withFastifySession(store) },
  'express-session': { cookieName: 'connect.sid', signIn: withExpressSession }
}

for (const [name, { cookieName, signIn }] of Object.entries(oldApps)) {
  t.test(`a session of ${name} is adopted once: it gets a new cookie, and the old record and cookie are gone`, async (t) => {
    const store = new expressSession.MemoryStore()
    const cookie = await signIn(t, store)
    const { app, events, clock } = await moved(t, store, cookieName)

    const first = await ask(app, '/me', cookie)
    t.equal(first.statusCode, 200)
    t.match(first.json(), { userId: 'ada', cart: ['tea'] })
    t.notOk('cookie' in first.json(), 'what belongs to the old plugin stays behind')
    t.same(Object.keys(store.sessions), [], 'the old record is gone')
    t.match(first.headers['set-cookie'], [/^__Host-session=[\w-]{22}\.[\w-]{43};/, new RegExp(`^${cookieName.replace('.', '\\.')}=; Max-Age=0; Path=/`)])
    t.match(events.filter(({ type }) => type === 'created'), [{ reason: 'adopted', principal: 'ada' }])

    const own = cookieOf(first)
    t.equal((await ask(app, '/me', own)).statusCode, 200)
    clock.advance(11_000)
    t.equal((await ask(app, '/me', cookie)).statusCode, 401, 'a copy of the old cookie is worth nothing')
    t.equal((await ask(app, 'POST /logout', own)).statusCode, 200)
    t.equal((await ask(app, '/me', own)).statusCode, 401)
    t.equal((await ask(app, '/me', cookie)).statusCode, 401)
  })

  t.test(`parallel requests with one old cookie of ${name} all get the same session`, async (t) => {
    const store = new expressSession.MemoryStore()
    const cookie = await signIn(t, store)
    const { app, events } = await moved(t, store, cookieName)
    const answers = await Promise.all(Array.from({ length: 10 }, async () => await ask(app, '/me', cookie)))
    t.same(answers.map(({ statusCode }) => statusCode), Array.from({ length: 10 }, () => 200))
    const set = answers.filter(({ headers }) => headers['set-cookie'] !== undefined)
    t.equal(set.length, 1, 'one response has the new cookie, and no other one takes the old cookie away')
    t.equal((await app.session.list('ada')).sessions.length, 1)
    t.equal(events.filter(({ type }) => type === 'created').length, 1)
  })
}

t.test('the old cookie leads to the new session for ten seconds, and nowhere after that', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const { app, clock } = await moved(t, store, 'sessionId')
  t.equal(setCookies(await ask(app, '/me', cookie)).length, 2)
  clock.advance(9999)
  const parallel = await ask(app, '/me', cookie)
  t.equal(parallel.statusCode, 200)
  t.same(setCookies(parallel), [])
  clock.advance(1)
  t.equal((await ask(app, '/me', cookie)).statusCode, 401)
})

t.test('the debug line of a request whose old cookie another request has adopted says that the session did not change', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const { app, log } = await moved(t, store, 'sessionId')
  app.log.level = 'debug'
  await ask(app, '/me', cookie)
  log.length = 0
  await ask(app, '/me', cookie)
  t.match(log.filter(({ session }) => session?.loaded !== undefined), [{ session: { loaded: 'adopted', setCookie: false }, msg: /cookie not set: the session did not change/ }])
})

t.test('a forged old cookie, and one whose old session has ended, open no session', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const { app, events } = await moved(t, store, 'sessionId')
  const [id] = Object.keys(store.sessions) as [string]
  for (const value of ['', 'junk', id, `${id}.`, `${id}.${'A'.repeat(43)}`, `.${'A'.repeat(43)}`, '%E0%A4%A', `s:${id}.x`]) {
    t.equal((await ask(app, '/me', `sessionId=${value}`)).statusCode, 401, value)
  }
  t.equal((await ask(app, '/me', `${cookie}; ${cookie}`)).statusCode, 401, 'twice')
  t.ok(events.some(({ type, reason }) => type === 'rejected' && reason === 'duplicate-cookie'))
  t.ok(events.some(({ type, reason }) => type === 'rejected' && reason === 'malformed-cookie'))
  t.equal(Object.keys(store.sessions).length, 1, 'and the record is still there')

  const expired = JSON.parse(store.sessions[id] as string) as { cookie: { expires: string } }
  expired.cookie.expires = new Date(Date.now() - 1000).toISOString()
  store.sessions[id] = JSON.stringify(expired)
  t.equal((await ask(app, '/me', cookie)).statusCode, 401, 'expired')
  store.sessions[id] = '{'
  t.equal((await ask(app, '/me', cookie)).statusCode, 401, 'damaged')
})

t.test('the log says why an old cookie opened no session, and which option to check', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const log: string[] = []
  const lines = async (adopt: Adoption, value: string): Promise<string[]> => {
    const app = Fastify({ logger: { level: 'debug', stream: { write: (line: string) => { log.push((JSON.parse(line) as { msg: string }).msg) } } } })
    t.teardown(() => app.close())
    await app.register(sessionPlugin, { adopt })
    app.get('/', required, async () => 'in')
    log.length = 0
    t.equal((await ask(app, '/', value)).statusCode, 401)
    return log.filter((line) => line.startsWith('session '))
  }
  const express = (secret: string): Adoption => adoptExpressSessions({ cookieName: 'sessionId', secret, store })
  const [signature = '', , summary = ''] = await lines(express('a secret that signed no cookie'), cookie)
  t.equal(signature, 'session rejected: malformed-cookie: the signature of the cookie "sessionId" does not verify: check the secret in the option adopt')
  t.match(summary, /^session "session" not loaded: the request has only the old cookie/)
  const sealed = adoptCookies({ cookieName: 'old', open: () => undefined, expiresAt: () => 0 })
  t.match(await lines(sealed, 'old=sealed-with-another-key'), [/^session expired: absent: the cookie "old" leads to no live session.*check the store or the key in the option adopt$/, /./, /./])
  t.match((await lines(express(secret), `${cookie}; ${cookie}`)).at(-1), /has the cookie twice/)
  t.match((await lines(express(secret), 'sessionId=')).at(-1), /has no such cookie/)
})

t.test('a session of this plugin takes precedence over an old one, and a route without a session calls no store', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const { app } = await moved(t, store, 'sessionId')
  const issued = await (app as any).session.issue({ userId: 'bob' })
  t.equal((await ask(app, '/me', `${issued.cookie}; ${cookie}`)).json().userId, 'bob')
  t.equal((await ask(app, '/plain', cookie)).headers['set-cookie'], undefined)
  t.equal(Object.keys(store.sessions).length, 1)
})

t.test('the option data converts old data, and an old session whose data do not fit is left alone and reported', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const refusing = await moved(t, store, 'sessionId', { adopt: adoptExpressSessions({ cookieName: 'sessionId', secret, store, data: () => undefined }) })
  t.equal((await ask(refusing.app, '/me', cookie)).statusCode, 401)
  t.same(refusing.events.filter(({ type }) => type !== 'rejected'), [], 'that is no fault')
  const broken = await moved(t, store, 'sessionId', { adopt: adoptExpressSessions({ cookieName: 'sessionId', secret, store, data: () => ({ when: new Date() }) }) })
  t.equal((await ask(broken.app, '/home', cookie)).body, 'false')
  t.match(broken.events, [{ type: 'discarded', reason: 'unfit' }])
  t.equal(Object.keys(store.sessions).length, 1, 'nothing is lost')
  const mapping = await moved(t, store, 'sessionId', { adopt: adoptExpressSessions({ cookieName: 'sessionId', secret, store, path: '/app', domain: 'shop.example', data: (old) => ({ userId: old.userId.toUpperCase() }) }) })
  const adopted = await ask(mapping.app, '/me', cookie)
  t.same(adopted.json(), { userId: 'ADA' })
  t.match(adopted.headers['set-cookie'], [/^__Host-session=/, /^sessionId=; Max-Age=0; Domain=shop\.example; Path=\/app;/])
})

t.test('verify can refuse an old session, and a logout ends an old session that is not adopted yet', async (t) => {
  const store = new expressSession.MemoryStore()
  const { app } = await moved(t, store, 'sessionId', { verify: () => false })
  const refused = await ask(app, '/me', await withFastifySession(store))
  t.equal(refused.statusCode, 401)
  t.match(setCookies(refused), [/^sessionId=; .*Max-Age=0/], 'a cookie that a parallel login has set stays')
  const other = await moved(t, store, 'sessionId')
  const out = await ask(other.app, 'POST /logout', await withFastifySession(store))
  t.equal(cookieOf(out), '')
  t.same(Object.keys(store.sessions), [])
})

t.test('an old record without an expiry is adopted', async (t) => {
  // express-session with `cookie: { expires: false }` or `maxAge: false`, as in many examples, stores `false`.
  for (const times of [undefined, { expires: null }, { expires: false }]) {
    const store = new expressSession.MemoryStore()
    const cookie = await withFastifySession(store)
    const [id] = Object.keys(store.sessions) as [string]
    store.sessions[id] = JSON.stringify({ userId: 'ada', ...(times && { cookie: times }) })
    const { app } = await moved(t, store, 'sessionId')
    t.same((await ask(app, '/me', cookie)).json(), { userId: 'ada' })
  }
})

t.test('an old session that could not be ended is adopted by a later request', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const destroy = store.destroy.bind(store)
  const { app, clock } = await moved(t, store, 'sessionId')
  store.destroy = (id, callback) => callback(new Error('down for a moment'))
  const failed = await ask(app, '/me', cookie)
  t.equal(failed.statusCode, 503)
  t.equal(cookieOf(failed), '', 'no client has the new cookie while the old one opens')
  store.destroy = destroy
  clock.advance(600_000)
  const again = await ask(app, '/me', cookie)
  t.equal(again.statusCode, 200)
  t.equal((await ask(app, '/me', cookieOf(again))).statusCode, 200)
  t.same(Object.keys(store.sessions), [])
})

t.test('a slow adoption does not revive a session that a faster request adopted and ended', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const { app } = await moved(t, store, 'sessionId')
  const held = holdNextGet(store)
  const late = ask(app, '/me', cookie)
  await held.reached
  const own = cookieOf(await ask(app, '/me', cookie))
  t.equal((await ask(app, 'POST /logout', own)).statusCode, 200)
  held.open()
  const answer = await late
  t.equal(answer.statusCode, 401)
  t.equal(cookieOf(answer), '')
  t.equal((await ask(app, '/me', own)).statusCode, 401)
})

t.test('a slow adoption does not revive a session that ended after an adoption whose confirmation was lost', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const store = new MemoryStore()
  const create = store.create.bind(store)
  const { app } = await moved(t, old, 'sessionId', { store })
  const held = holdNextGet(old)
  const late = ask(app, '/me', cookie)
  await held.reached
  store.create = (id, record) => {
    store.create = create
    create(id, record)
    throw new Error('too late')
  }
  t.equal((await ask(app, '/me', cookie)).statusCode, 503)
  const own = cookieOf(await ask(app, '/me', cookie))
  t.equal((await ask(app, '/me', own)).statusCode, 200)
  const { sessions: [{ id } = { id: '' }] } = await app.session.list('ada')
  await ask(app, 'POST /logout', own)
  t.equal(await app.session.revoke(id), false, 'it has ended')
  held.open()
  t.equal((await late).statusCode, 401)
  t.equal((await ask(app, '/me', own)).statusCode, 401)
})

t.test('an adopted session that was revoked by id or by principal stays revoked', async (t) => {
  for (const how of ['revoke', 'revokeAll', 'revokeAll but another'] as const) {
    const old = new expressSession.MemoryStore()
    const cookie = await withFastifySession(old)
    const { app, clock } = await moved(t, old, 'sessionId')
    const other = await app.session.issue({ userId: 'ada', cart: [] } as never)
    t.equal((await ask(app, '/me', cookie)).statusCode, 200)
    const [{ id } = { id: '' }] = (await app.session.list('ada')).sessions.filter((session) => session.id !== other.id)
    if (how === 'revoke') t.equal(await app.session.revoke(id), true)
    else t.equal(await app.session.revokeAll('ada', how === 'revokeAll' ? {} : { except: other.id }), how === 'revokeAll' ? 2 : 1)
    clock.advance(1000)
    t.equal((await ask(app, '/me', cookie)).statusCode, 401, how)
    // The other session has ended by then.
    clock.advance(1_000_000)
    t.equal((await ask(app, '/me', cookie)).statusCode, 401, `${how}: nor later`)
    t.same(Object.keys(old.sessions), [], 'the old session has ended where it was kept, too')
    t.equal(await app.session.revokeAll('ada', { except: other.id }), 0)
  }
})

t.test('the ten seconds for parallel requests begin when the old session ends, and not with an earlier event stream', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const { app, clock } = await moved(t, old, 'sessionId')
  app.get('/events', required, async (request, reply) => { reply.hijack(); reply.raw.end('x') })
  await ask(app, '/events', cookie, { accept: 'text/event-stream' })
  clock.advance(60_000)
  const status = async (): Promise<number> => (await ask(app, '/me', cookie)).statusCode
  t.same([await status(), await status()], [200, 200])
  clock.advance(11_000)
  t.equal(await status(), 401)
})

t.test('parallel requests with an old cookie that verify refuses call verify at most once each', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  let asked = 0
  const verify = async (): Promise<boolean> => {
    if (++asked > 100) throw new Error('asked again and again')
    // While it looks, others adopt the same session, and write so.
    for (let turns = asked % 4 + 1; turns > 0; turns--) await turn()
    return false
  }
  const { app } = await moved(t, old, 'sessionId', { verify })
  const answers = await Promise.all(Array.from({ length: 5 }, async () => await ask(app, '/me', cookie, { accept: 'text/event-stream' })))
  t.same(answers.map(({ statusCode }) => statusCode), [401, 401, 401, 401, 401])
  t.ok(asked <= 5, 'what only the others wrote is no new evidence')
})

t.test('a slow adoption does not end a newer session of the same principal', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const { app, events } = await moved(t, old, 'sessionId', { maxPerPrincipal: 1 })
  const held = holdNextGet(old)
  const late = ask(app, '/me', cookie)
  await held.reached
  const own = cookieOf(await ask(app, '/me', cookie))
  await ask(app, 'POST /logout', own)
  const login = await app.session.issue({ userId: 'ada', cart: [] } as never)
  events.length = 0
  held.open()
  t.equal((await late).statusCode, 401)
  t.equal((await ask(app, '/me', login.cookie)).statusCode, 200)
  t.same(events.map(({ type }) => type), ['rejected'])
})

t.test('an old session that verify refused with an error, or that could not be ended, can still be adopted', async (t) => {
  const store = new expressSession.MemoryStore()
  const destroy = store.destroy.bind(store)
  let refuses = true
  const verify = (): boolean => { if (refuses) throw Object.assign(new Error('not now'), { statusCode: 403 }); return true }
  const { app } = await moved(t, store, 'sessionId', { verify })
  app.get('/events', required, async (request, reply) => {
    store.destroy = (id, callback) => { store.destroy = destroy; callback(new Error('down for a moment')) }
    const session = sessionOf(request)
    await t.rejects(session.commit(), { code: 'FST_SESSION_STORE' })
    const line = await session.commit()
    reply.hijack()
    reply.raw.writeHead(200, { 'set-cookie': line }).end('data: x\n\n')
  })
  const cookie = await withFastifySession(store)
  const headers = { cookie, accept: 'text/event-stream' }
  t.equal((await app.inject({ url: '/events', headers })).statusCode, 403)
  t.equal(Object.keys(store.sessions).length, 1)
  refuses = false
  const answer = await app.inject({ url: '/events', headers })
  t.equal((await ask(app, '/me', cookieOf(answer))).statusCode, 200)
  t.same(Object.keys(store.sessions), [])
})

t.test('an adopted session that was renewed while verify ran keeps its new cookie', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  let own = ''
  let slow = true
  const { app } = await moved(t, old, 'sessionId', {
    verify: async () => {
      if (!slow) return true
      slow = false
      own = cookieOf(await ask(app, '/me', cookie))
      own = cookieOf(await ask(app, 'POST /renew', own))
      return false
    }
  })
  app.post('/renew', required, async (request) => { sessionOf(request).renew() })
  const late = await ask(app, '/me', cookie)
  t.equal(late.statusCode, 401)
  t.equal(cookieOf(late), '')
  t.equal((await ask(app, '/me', own)).statusCode, 200)
})

t.test('an event stream or a WebSocket that sends no cookie does not end the old session', async (t) => {
  for (const asks of [{ accept: 'text/event-stream' }, { upgrade: 'websocket', connection: 'upgrade' }]) {
    const store = new expressSession.MemoryStore()
    const cookie = await withFastifySession(store)
    const { app, clock } = await moved(t, store, 'sessionId')
    app.get('/events', required, async (request, reply) => {
      reply.hijack()
      reply.raw.end(`data: ${sessionOf(request).data.userId}\n\n`)
    })
    app.get('/farewell', required, async (request, reply) => {
      sessionOf(request).destroy()
      await sessionOf(request).commit()
      reply.hijack()
      reply.raw.end('data: bye\n\n')
    })
    app.get('/by-hooks', required, async () => 'data: x\n\n')
    for (let i = 0; i < 2; i++) {
      t.equal((await ask(app, '/events', cookie, asks)).body, 'data: ada\n\n')
      clock.advance(11_000)
    }
    t.equal(Object.keys(store.sessions).length, 1)
    const answer = await ask(app, '/by-hooks', cookie, asks)
    t.match(cookieOf(answer), /^__Host-session=/, 'where the answer goes by the hooks, it is handed out')
    t.same(Object.keys(store.sessions), [])

    const another = await withFastifySession(store)
    t.equal((await ask(app, '/farewell', another, asks)).body, 'data: bye\n\n')
    t.same(Object.keys(store.sessions), [], 'who signs out there signs out of both')
    t.equal((await ask(app, '/me', another)).statusCode, 401)

    const third = await withFastifySession(store)
    const destroy = store.destroy.bind(store)
    store.destroy = (id, callback) => callback(new Error('down for a moment'))
    const failed = await ask(app, '/by-hooks', third, asks)
    t.equal(failed.statusCode, 503)
    t.equal(cookieOf(failed), '', 'no client has the new cookie while the old one opens')
    store.destroy = destroy
  }
})

t.test('parallel requests on a store of uneven speed all get the same session, and it stays live', async (t) => {
  for (let round = 0; round < 15; round++) {
    const store = new expressSession.MemoryStore()
    const cookie = await withFastifySession(store)
    const { app } = await moved(t, store, 'sessionId')
    let calls = round
    const { get, destroy } = { get: store.get.bind(store), destroy: store.destroy.bind(store) }
    const later = (work: () => void): void => {
      let turns = (calls++ * 5) % 9
      const wait = (): void => { if (turns-- > 0) setImmediate(wait); else work() }
      wait()
    }
    store.get = (id, callback) => { later(() => get(id, callback)) }
    store.destroy = (id, callback) => { later(() => destroy(id, callback)) }
    const answers = await Promise.all(Array.from({ length: 4 }, async () => await ask(app, '/me', cookie)))
    t.same(answers.map(({ statusCode }) => statusCode), [200, 200, 200, 200])
    const own = answers.map(cookieOf).filter((line) => line !== '')
    t.equal(own.length, 1)
    t.equal((await ask(app, '/me', own[0])).statusCode, 200)
  }
})

t.test('the response expires an old cookie whose prefix requires Secure', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = (await withFastifySession(store)).replace('sessionId=', '__Host-sid=')
  const { app } = await moved(t, store, '__Host-sid')
  const { headers } = await ask(app, '/me', cookie)
  t.match(headers['set-cookie'], [/^__Host-session=/, /^__Host-sid=; Max-Age=0; Path=\/;.* Secure/])
})

t.test('if the old store is down, the response is 503 and no user is signed out', async (t) => {
  const store = new expressSession.MemoryStore()
  const cookie = await withFastifySession(store)
  const down: ExpressStore = { ...store, get: (id, callback) => callback(new Error('secret text of the store')), set: () => {}, destroy: () => {} }
  const { app } = await moved(t, down, 'sessionId')
  const answer = await ask(app, '/me', cookie)
  t.equal(answer.statusCode, 503)
  t.notMatch(answer.body, 'secret text')
  t.equal(answer.headers['set-cookie'], undefined)
})

t.test('an old cookie whose file is gone opens no session, and the user can sign in', async (t) => {
  const store = new FileStore({ path: t.testdir(), retries: 0, reapInterval: -1, logFn: () => {} })
  const cookie = await withFastifySession(store)
  const { app, clock } = await moved(t, store, 'sessionId')
  for (const round of ['the first request', 'another one that had the old cookie']) {
    t.match((await ask(app, '/me', cookie)).json(), { userId: 'ada' }, round)
  }
  clock.advance(11_000)
  t.equal((await ask(app, '/me', cookie)).statusCode, 401)
  t.equal((await ask(app, '/home', cookie)).statusCode, 200, 'where nobody need be signed in, such as a login')
})

t.test('if the new store is down, the response is 503 and the old session stays', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const store = new MemoryStore()
  store.create = () => { throw new Error('down') }
  const { app } = await moved(t, old, 'sessionId', { store })
  t.equal((await ask(app, '/me', cookie)).statusCode, 503)
  t.equal(Object.keys(old.sessions).length, 1)
})

t.test('a session is adopted into a sealed cookie', async (t) => {
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const { app } = await moved(t, old, 'sessionId', { store: sealedCookie({ keys: [makeKey()] }) })
  const own = cookieOf(await ask(app, '/me', cookie))
  t.match((await ask(app, '/me', own)).json(), { userId: 'ada' })
})

t.test('parallel requests that adopt into sealed cookies all get a session, for ten seconds', async (t) => {
  const pass = stopTimers(t)
  const old = new expressSession.MemoryStore()
  const cookie = await withFastifySession(old)
  const { app } = await moved(t, old, 'sessionId', { store: sealedCookie({ keys: [makeKey()] }) })
  const status = async (): Promise<number> => (await ask(app, '/me', cookie)).statusCode
  t.same(await Promise.all([status(), status(), status()]), [200, 200, 200])
  t.equal(await status(), 200, 'an answer that was lost on the way signs nobody out')
  const destroy = old.destroy.bind(old)
  old.destroy = (id, callback) => { old.destroy = destroy; callback(new Error('down for a moment')) }
  pass(10)
  t.equal(await status(), 401)
})

t.test('wrong options of adoptExpressSessions and adopt stop the boot with a sentence', async (t) => {
  const store = new expressSession.MemoryStore()
  t.throws(() => adoptExpressSessions({ cookieName: '', secret, store }), { code: 'FST_SESSION_OPTIONS', message: /"sessionId" in @fastify\/session/ })
  t.throws(() => adoptExpressSessions({ cookieName: 'a', secret: [], store }), { message: /secret/ })
  t.throws(() => adoptExpressSessions({ cookieName: 'a', secret, store: {} as never }), { message: /store/ })
  await t.rejects(moved(t, store, 'sessionId', { adopt: {} }), { message: /adoptExpressSessions/ })
  await t.rejects(moved(t, store, '__Host-session'), { message: /another cookie\.name/ })
})
