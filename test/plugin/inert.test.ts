/** What `request.session` is on a route that does not declare it. */
import type { FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { createGate } from '../support/gate.js'
import { ask, guarded } from '../support/harness.js'
import { anySession, setUp, type VisitorSession } from './support.js'

async function isInert (t: Test, request: FastifyRequest, where: string): Promise<void> {
  const session = anySession(request)
  t.equal(session.exists, false, where)
  t.equal(session.get('userId'), undefined)
  t.equal(session.user, undefined)
  const message = request.is404
    ? /does not declare the session "session": write app\.setNotFoundHandler\(\{ schema: \{ security: \[\{ session: \[\] \}\] \} \}, handler\)/
    : /does not declare the session "session": add security: \[\{ session: \[\] \}\] to the route's schema, by an onRoute hook if another plugin adds the route/
  const refused = { code: 'FST_SESSION_NOT_DECLARED', statusCode: 500, message }
  const members: Array<(session: VisitorSession) => unknown> = [
    (session) => session.id, (session) => session.data, (session) => session.createdAt, (session) => session.authenticatedAt, (session) => session.expiresAt,
    (session) => { session.set('a', 1) }, (session) => { session.unset('a') }, (session) => { session.start({ roles: [], cart: {} }) },
    (session) => { session.renew() }, (session) => { session.destroy() }
  ]
  for (const member of members) t.throws(() => member(session), refused, String(member))
  for (const call of [session.regenerate(), session.update(() => {}), session.commit()] as Array<Promise<unknown>>) await t.rejects(call, refused)
}

t.test('hooks, handlers and error handlers of undeclared routes find an inert session', async (t) => {
  const { app, store } = await setUp(t)
  const hooks: string[] = []
  const allSeen = createGate()
  for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse', 'onError'] as const) {
    app.addHook(hook as 'onRequest', async (request) => {
      await isInert(t, request, hook)
      hooks.push(hook)
      if (hooks.filter((name) => name === 'onResponse').length === 4) allSeen.open()
    })
  }
  app.setErrorHandler(async (error, request, reply) => {
    await isInert(t, request, 'error handler')
    return await reply.code(400).send({ message: (error as Error).message })
  })
  app.setNotFoundHandler(async (request, reply) => {
    await isInert(t, request, '404')
    return await reply.code(404).send('nothing here')
  })
  app.get('/plain', async (request) => { await isInert(t, request, 'handler'); return { plain: true } })
  app.get('/none', { schema: { security: [] } }, async (request) => { await isInert(t, request, 'security: []'); return { plain: true } })
  app.get('/throws', async () => { throw new Error('no') })
  const { cookie } = await app.session.issue({ roles: [], cart: {} })
  store.take()
  for (const [url, status] of [['/plain', 200], ['/none', 200], ['/throws', 400], ['/nowhere', 404]] as const) {
    const response = await ask(app, url, cookie)
    t.equal(response.statusCode, status, url)
    t.same([response.headers.vary, response.headers['cache-control'], response.headers['set-cookie']], [undefined, undefined, undefined])
  }
  await allSeen.pass()
  t.same(store.take(), [])
  t.same([...new Set(hooks)].sort(), ['onError', 'onRequest', 'onResponse', 'onSend', 'preHandler', 'preParsing', 'preSerialization', 'preValidation'])
})

t.test('the session is inert until the plugin\'s hook has loaded it, and in the listeners of an undeclared response', async (t) => {
  const { app, client } = await setUp(t)
  let finished: Promise<void> | undefined
  app.get('/', async (request, reply) => {
    finished = new Promise((resolve) => {
      reply.raw.once('finish', () => { void isInert(t, request, 'finish').then(resolve) })
    })
    return 'x'
  })
  app.get('/declared', { schema: guarded }, async ({ session }) => session.exists)
  client.jar.take((await app.session.issue({ roles: [], cart: {} })).setCookie)
  await client.get('/')
  await finished
  t.equal((await client.get('/declared')).json(), true)
})
