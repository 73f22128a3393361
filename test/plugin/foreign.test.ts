/** What code that was written for another session plugin finds. */
import { runInThisContext } from 'node:vm'
import Fastify, { type RouteHandlerMethod } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import t, { type Test } from 'tap'
import { ask, guarded, makeApp, openWorld, optional, sessionOf, setCookies } from '../support/harness.js'

/** An app without a schema, with a route for each handler, whose user has signed in. */
async function foreign (t: Test, handlers: Record<string, RouteHandlerMethod>): Promise<ReturnType<typeof makeApp> & { client: Client }> {
  const { app, log } = makeApp(t)
  await app.register(sessionPlugin as never)
  app.post('/login', { schema: optional }, async (request) => {
    const session = request.session as any
    session.user = { id: 7 }
    session['returnTo'] = '/cart'
  })
  app.get('/data', { schema: guarded }, async ({ session }: any) => session.data)
  for (const [url, handler] of Object.entries(handlers)) app.post(url, { schema: optional }, handler)
  const client = new Client(app)
  await client.post('/login')
  return { app, client, log }
}

t.test('a property that is not a member of the session is a key of its data', async (t) => {
  const { client } = await foreign(t, {
    '/': async ({ session }: any) => [session.user.id, session.returnTo, session['absent'] === undefined, session.cookie.maxAge === undefined]
  })
  t.same((await client.post('/')).json(), [7, '/cart', true, true])
  t.same((await client.get('/data')).json(), { user: { id: 7 }, returnTo: '/cart' })
})

t.test('the members of every object, and symbols, are not keys of the data', async (t) => {
  const { client } = await foreign(t, {
    '/': async (request: any) => {
      const { session } = request
      const mark = Symbol('of another plugin')
      session[mark] = 1
      return [String(session), session.hasOwnProperty('returnTo'), session.constructor.name, request.session[mark], session[Symbol('none')] === undefined]
    }
  })
  t.same((await client.post('/')).json(), ['[object Object]', false, 'PublicSession', 1, true])
  t.same((await client.get('/data')).json(), { user: { id: 7 }, returnTo: '/cart' })
})

t.test('destroy(callback) and regenerate(callback) call it when the store has been written', async (t) => {
  const { app, client } = await foreign(t, {
    '/destroy': (request, reply) => { (request.session as any).destroy(() => reply.redirect('/')) },
    '/regenerate': (request, reply) => { (request.session as any).regenerate(() => reply.send('ok')) },
    '/keep': (request, reply) => { (request.session as any).regenerate(['user'], () => reply.send('ok')) }
  })
  const before = client.jar.header()
  t.match(await client.post('/keep'), { statusCode: 200, body: 'ok' })
  t.not(client.jar.header(), before)
  t.same((await client.get('/data')).json(), { user: { id: 7 } })
  t.match(await client.post('/regenerate'), { statusCode: 200, body: 'ok' })
  t.same((await client.get('/data')).json(), {})
  const last = client.jar.header() as string
  const response = await client.post('/destroy')
  t.match(response, { statusCode: 302, headers: { location: '/' } })
  t.match(setCookies(response), [/Max-Age=0/])
  t.equal((await ask(app, '/data', last)).statusCode, 401)
})

t.test('a callback gets the error if the store fails', async (t) => {
  const { app, client, store } = await openWorld(t, {})
  app.post('/login', { schema: optional }, async (request) => { sessionOf(request).start({}) })
  const methods = ['destroy', 'regenerate']
  for (const method of methods) {
    app.post(`/${method}`, { schema: optional }, (request, reply) => {
      void (sessionOf(request) as any)[method]((error: any) => { void reply.send(error?.code ?? 'none') })
    })
  }
  for (const method of methods) {
    await client.post('/login')
    store.before = ({ method }) => { if (method === 'delete' || method === 'update') throw new Error('down') }
    t.equal((await client.post(`/${method}`)).body, 'FST_SESSION_STORE', method)
    store.before = () => {}
  }
})

t.test('what a callback throws is logged, and the process goes on', async (t) => {
  const { client, log } = await foreign(t, {
    '/': (request, reply) => {
      (request.session as any).destroy(() => {
        void reply.send('ok')
        throw new Error('a mistake in the callback')
      })
    }
  })
  t.equal((await client.post('/')).body, 'ok')
  t.match(log.filter(({ level }) => level === 50), [{ msg: 'the callback of a session method failed', err: { message: 'a mistake in the callback' } }])
})

t.test('a method without a counterpart, or a change of its cookie, throws an error that says what to write', async (t) => {
  const calls: Array<[(session: any) => unknown, RegExp]> = [
    [(session) => session.save(), /session\.save\(\).*commit\(\)/],
    [(session) => session.touch(), /session\.touch\(\).*touch: false/],
    [(session) => session.reload(), /session\.reload\(\).*session\.update/],
    [(session) => { session.cookie.maxAge = 5 }, /session\.cookie\.maxAge.*start\(data, \{ persistent, absoluteTimeout \}\)/],
    [(session) => { session.cookie = {} }, /session\.cookie is not supported/],
    [(session) => { session.options({ maxAge: 5 }) }, /session\.options\(\).*start\(data, \{ persistent, absoluteTimeout \}\)/],
    [(session) => { session.sessionId = 'mine' }, /session\.sessionId is not supported: session\.renew\(\)/]
  ]
  const handlers = calls.map(([call], index) => [`/${index}`, async ({ session }: any) => call(session)])
  const { client } = await foreign(t, Object.fromEntries(handlers))
  for (const [index, [call, sentence]] of calls.entries()) {
    t.match((await client.post(`/${index}`)).json(), { statusCode: 500, code: 'FST_SESSION_OPTIONS', message: sentence }, String(call))
  }
})

t.test('a log serializer may ask for the session of a request that no hook has seen yet', async (t) => {
  const lines: any[] = []
  const app = Fastify({
    logger: {
      stream: { write: (line: string) => { lines.push(JSON.parse(line)) } },
      serializers: { req: (request) => ({ user: (request.session as any)?.get('user') ?? 'none' }) as never }
    }
  })
  t.teardown(() => app.close())
  await app.register(sessionPlugin as never)
  app.get('/', { schema: guarded }, async () => 'in')
  t.equal((await app.inject('/')).statusCode, 401)
  t.match(lines[0], { msg: 'incoming request', req: { user: 'none' } })
})

t.test('an error is an HTTP error to frameworks around Fastify: Nest 12 looks for `status` and `expose`', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin as never)
  app.get('/', { schema: guarded }, async () => 'in')
  app.get('/undeclared', async ({ session }: any) => session.data)
  app.setErrorHandler(({ statusCode, status, expose }: any, _request, reply) => { void reply.code(statusCode).send({ statusCode, status, expose }) })
  t.same((await app.inject('/')).json(), { statusCode: 401, status: 401, expose: true })
  t.same((await app.inject('/undeclared')).json(), { statusCode: 500, status: 500, expose: false })
})

t.test('session.sessionId is the id', async (t) => {
  const { client } = await foreign(t, { '/': async ({ session }: any) => session.sessionId === session.id && session.id.length })
  t.equal((await client.post('/')).body, '22')
})

t.test('session.data = ... is refused in JavaScript that is not strict, too, with what to write', async (t) => {
  const assign = runInThisContext('(session) => { session.data = { user: 1 } }') as (session: unknown) => void
  const { client } = await foreign(t, { '/': async ({ session }) => { assign(session) } })
  t.match((await client.post('/')).json(), { statusCode: 500, message: /session\.data cannot be replaced: write Object\.assign\(session\.data, \{ \.\.\. \}\)/ })
  t.match((await client.get('/data')).json(), { user: { id: 7 } })
})
