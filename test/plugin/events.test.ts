import t from 'tap'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyRequest } from 'fastify'
import type { SessionEvent, SessionTrace } from 'fastify-openapi-session'
import { guarded, optional } from '../support/harness.js'
import { anySession, setUp } from './support.js'

const ada = { userId: 'ada', roles: [], cart: {} }

t.test('each thing that happens is one event, with its reason and the request', async (t) => {
  const seen: Array<[event: SessionEvent, url: string | undefined]> = []
  const { app, client, clock } = await setUp(t, {
    principal: (data) => data.userId, idleTimeout: 60,
    onEvent: (event, request) => { seen.push([event, request?.url]) }
  })
  app.post('/in', { schema: optional }, async (request) => { request.session.start(ada); return anySession(request).id })
  app.post('/renew', { schema: guarded }, async ({ session }) => { session.renew() })
  app.post('/out', { schema: guarded }, async ({ session }) => { session.destroy() })
  app.get('/', { schema: guarded }, async ({ session }) => session.id)
  const take = (): unknown => seen.splice(0)

  const first = (await client.post('/in')).body
  t.same(take(), [[{ scheme: 'session', type: 'created', reason: 'start', id: first, principal: 'ada' }, '/in']])
  await client.post('/renew')
  t.same(take(), [[{ scheme: 'session', type: 'renewed', reason: 'renew', id: first, principal: 'ada' }, '/renew']])
  await client.post('/out')
  t.same(take(), [[{ scheme: 'session', type: 'destroyed', reason: 'destroy', id: first, principal: 'ada' }, '/out']])
  const { id } = await app.session.issue(ada)
  await app.session.revoke(id)
  t.same(take(), [
    [{ scheme: 'session', type: 'created', reason: 'issue', id, principal: 'ada' }, undefined],
    [{ scheme: 'session', type: 'destroyed', reason: 'revoke', id }, undefined]
  ])
  client.jar.take((await app.session.issue(ada)).setCookie)
  take()
  clock.advance(60_000)
  await client.get('/')
  t.match(seen.map(([{ type, reason }]) => [type, reason]), [['expired', 'absent'], ['rejected', 'unauthenticated']])
})

t.test('events are frozen', async (t) => {
  const { app, events } = await setUp(t)
  await app.session.issue(ada)
  t.ok(Object.isFrozen(events[0]))
})

t.test('a listener that throws or rejects stops nothing, and is logged', async (t) => {
  const ring = (): never => { throw new Error('alarm bell broken') }
  // Some query builders throw when they are awaited instead of executed.
  // oxlint-disable-next-line unicorn/no-thenable -- what a listener may return
  for (const onEvent of [ring, async () => ring(), () => ({ then: ring })]) {
    const { app, client, log } = await setUp(t, { onEvent })
    app.post('/in', { schema: optional }, async ({ session }) => { session.start(ada); return 'in' })
    t.equal((await client.post('/in')).body, 'in')
    t.ok(log.some(({ level, err }) => level === 50 && err?.message === 'alarm bell broken'))
  }
})

t.test('each event is published on the diagnostics channel', async (t) => {
  const heard: Array<{ event: SessionEvent, request: FastifyRequest | undefined }> = []
  const listener = (message: unknown): void => { heard.push(message as typeof heard[0]) }
  subscribe('fastify-openapi-session:event', listener)
  t.teardown(() => unsubscribe('fastify-openapi-session:event', listener))
  const { app, client, events } = await setUp(t)
  app.post('/in', { schema: optional }, async ({ session }) => { session.start(ada) })
  await client.post('/in')
  t.equal(heard.length, 1)
  t.equal(heard[0]?.event, events[0])
  t.equal(heard[0]?.request?.url, '/in')
})

t.test('the tracing channel has a span for each time that a request loads, saves or updates its session', async (t) => {
  const spans: string[] = []
  const ended = (when: string) => (message: unknown): void => {
    const { operation, scheme, request, error } = message as SessionTrace & { error?: Error & { code?: string } }
    spans.push([when, operation, scheme, request.url, error?.code].filter(Boolean).join(' '))
  }
  const channel = tracingChannel<unknown, SessionTrace>('fastify-openapi-session')
  const subscribers = { start: ended('start'), end: () => {}, asyncStart: () => {}, asyncEnd: ended('end'), error: ended('error') }
  channel.subscribe(subscribers as never)
  t.teardown(() => { channel.unsubscribe(subscribers as never) })
  const { app, client, store } = await setUp(t, { storeTimeout: 0.05 })
  app.post('/in', { schema: optional }, async ({ session }) => { session.start(ada) })
  app.post('/', { schema: guarded }, async ({ session }) => {
    session.data.a = 1
    await session.commit()
    await session.update((data) => { data.a = 2 })
  })
  app.get('/', { schema: guarded }, async () => 'in')
  await client.post('/in')
  t.same(spans.splice(0), ['start save session /in', 'end save session /in'])
  await client.post('/')
  t.same(spans.splice(0), ['load', 'save', 'update'].flatMap((operation) => [`start ${operation} session /`, `end ${operation} session /`]))
  store.before = () => { throw new Error('down') }
  await client.get('/')
  t.same(spans, ['start load session /', 'error load session / FST_SESSION_STORE', 'end load session / FST_SESSION_STORE'])
})

t.test('each event is a line of the log: debug, or a warning for what points to a defect or an attack', async (t) => {
  const { app, client, log, store } = await setUp(t)
  app.get('/', { schema: optional }, async ({ session }) => session.exists)
  const { id, cookie, setCookie } = await app.session.issue(ada)
  client.jar.take(setCookie)
  store.inner.update(id, { payload: 'junk', version: 2, expiresAt: Date.now() + 1e6 })
  await client.get('/')
  const lines = log.filter(({ session }) => session !== undefined)
  t.match(lines, [
    { level: 20, msg: 'session created: issue', session: { scheme: 'session', id } },
    { level: 40, msg: 'session discarded: damaged', session: { scheme: 'session', id }, reqId: /./ }
  ])
  t.notMatch(JSON.stringify(log), cookie.split('=')[1] as string)
})

t.test('a request that takes longer than the idle timeout is warned of, with what to set', async (t) => {
  const { app, client, clock, log } = await setUp(t, { idleTimeout: 60, absoluteTimeout: 200 })
  const { now } = performance
  const start = clock.now()
  t.intercept(performance, 'now', { value: () => now.call(performance) + clock.now() - start })
  app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada) })
  const wait = { seconds: 61 }
  app.post('/upload', { schema: guarded, preParsing: async () => { clock.advance(wait.seconds * 1000) } }, async () => 'taken')
  app.post('/report', { schema: guarded }, async ({ session }) => {
    clock.advance(wait.seconds * 1000)
    session.set('a', 1)
  })
  await app.ready()
  log.length = 0
  for (const [url, status, told] of [['/upload', 401, 'session expired: idle-during-request'], ['/report', 200, 'session discarded: idle-during-request']] as const) {
    await client.post('/login')
    t.equal((await client.post(url, {})).statusCode, status)
    const warned = log.splice(0).filter(({ level, reqId }) => level === 40 && reqId !== undefined)
    t.match(warned, [{ msg: /set idleTimeout to more than the longest request takes/, session: { id: /./ } }], url)
    t.ok(warned[0]?.msg.startsWith(told), url)
    t.equal((await client.post(url, {})).statusCode, 401)
  }
  wait.seconds = 201
  for (const url of ['/upload', '/report']) {
    await client.post('/login')
    log.length = 0
    await client.post(url, {})
    t.same(log.filter(({ level }) => level === 40), [], `${url}: the absolute timeout is meant to end a session`)
  }
})

t.test('a live session without a principal is refused with that reason: the option principal may name the wrong key', async (t) => {
  const { app, client, events } = await setUp(t, { principal: (data: any) => data.userid })
  app.post('/login', { schema: optional }, async ({ session }) => { session.start(ada) })
  app.get('/me', { schema: guarded }, async () => 'in')
  await client.post('/login')
  t.equal((await client.get('/me')).statusCode, 401)
  t.match(events.at(-1), { type: 'rejected', reason: 'unauthenticated', detail: /"session" belongs to a guest: the option principal returned nothing/ })
  client.jar.clear()
  t.equal((await client.get('/me')).statusCode, 401)
  t.match(events.at(-1), { detail: 'there is no live session "session"' })
})
