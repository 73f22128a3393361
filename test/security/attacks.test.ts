import { inspect } from 'node:util'
import swagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { MemoryStore } from 'fastify-openapi-session'
import t, { type Test } from 'tap'
import { ProbeStore } from '../support/probe-store.js'
import { createGate } from '../support/gate.js'
import { backends } from './backends.js'
import { breakable } from './failing.js'
import { ask, guarded, managerOf, plugin, sessionOf, setCookies } from '../support/harness.js'
import { only } from './place.js'
import { alone, bootErrorOf, createWorld, onEach, type Options, replay, sessionsOf, startSlow, stored, tokenOf, type World } from './support.js'

/** An app with a guarded route that nothing has requested yet, and a document. */
async function documented (t: Test, transform: (app: FastifyInstance, subject: any) => unknown): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(swagger, { openapi: {}, transform: (subject: any) => { transform(app, subject); return subject } })
  await app.register(plugin, { roles: () => [] })
  for (const url of ['/secret', '/other']) app.get(url, { schema: { security: [{ session: [] }] } }, async () => 'in')
  app.post('/admin', { schema: { security: [{ session: ['admin'] }] } }, async () => 'in')
  await app.ready()
  return app
}

const transforms: Record<string, (app: FastifyInstance, subject: any) => unknown> = {
  'freezes its arguments': (_app, { schema, route }) => { Object.freeze(schema); Object.freeze(schema.security); Object.freeze(route); Object.freeze(route.config) },
  'seals its arguments': (_app, { schema, route }) => { Object.seal(schema); Object.seal(schema.security); Object.seal(route) },
  'removes the requirement': (_app, { schema, route }) => { schema.security.length = 0; delete schema.security; route.schema = {} },
  'adds an empty alternative': (_app, { schema }) => { schema.security.push({}) },
  'replaces the configuration of the route': (_app, { route }) => { route.config = {} },
  'throws': () => { throw new Error('no document') },
  'sends a request to the route': (app, { url }) => { void app.inject(url).then(() => {}, () => {}) }
}

alone.test('a transform of @fastify/swagger opens no route, whatever it does to what it is given', async (t) => {
  for (const [name, transform] of Object.entries(transforms)) {
    const app = await documented(t, transform)
    for (let round = 0; round < 2; round++) {
      try {
        ;(app as unknown as { swagger: () => unknown }).swagger()
      } catch {}
      for (const [method, url] of [['GET', '/secret'], ['HEAD', '/secret'], ['GET', '/other'], ['POST', '/admin']] as const) {
        t.equal((await app.inject({ method, url })).statusCode, 401, `${name}: ${method} ${url}`)
      }
    }
  }
})

alone.test('a route whose options are frozen before the plugin sees them is guarded, or stops the boot', async (t) => {
  for (const freeze of [Object.freeze, Object.seal, Object.preventExtensions]) {
    const app = Fastify()
    t.teardown(() => app.close())
    app.addHook('onRoute', (route) => { freeze(route.schema ?? {}); freeze(route.config ?? {}); freeze(route) })
    try {
      await app.register(plugin)
      app.get('/secret', { schema: { security: [{ session: [] }] } }, async () => 'in')
      await app.ready()
    } catch {
      t.pass('the boot stopped')
      continue
    }
    t.equal((await app.inject('/secret')).statusCode, 401)
  }
})

alone.test('with a default security, OPTIONS on a route for all methods runs no handler without a session', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(plugin, { security: [{ session: [] }] })
  let entered = 0
  app.all('/export', async () => ++entered)
  app.route({ method: ['GET', 'OPTIONS'], url: '/both', handler: async () => ++entered })
  app.options('/preflight', async () => 'allowed')
  for (const url of ['/export', '/both']) {
    for (const method of ['OPTIONS', 'GET', 'HEAD'] as const) t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
  }
  t.equal(entered, 0)
  t.equal((await app.inject({ method: 'OPTIONS', url: '/preflight' })).statusCode, 200, 'a preflight has no cookie')
})

/** Moves the clock of the process forward for those who measure how long a request has taken. */
function passSeconds (t: Test, seconds: number): void {
  const { now } = performance
  t.intercept(performance, 'now', { value: () => now.call(performance) + seconds * 1000 })
}

const endings: Record<string, (world: World, id: string, token: string) => unknown> = {
  'signed out everywhere': ({ app }) => managerOf(app).revokeAll('ada'),
  'revoked': ({ app }, id) => managerOf(app).revoke(id),
  'expired': ({ clock }) => { clock.advance(1_800_001) },
  'renewed, so that its old cookie is dead': ({ app }, _id, token) => ask(app, 'POST /do/renew', `__Host-session=${token}`)
}

onEach(t, 'a client that withholds the body of a request until its session has ended does not reach the handler', async (t, backend) => {
  for (const [name, end] of Object.entries(endings)) {
    const world = await createWorld(t, backend)
    const gate = createGate()
    let entered = 0
    world.app.post('/transfer', { schema: guarded, preParsing: async () => { await gate.pass() } }, async () => ++entered)
    const ada = await world.signedIn()
    const withheld = ada.post('/transfer', { to: 'eve' })
    await gate.reached
    const token = tokenOf(ada)
    await end(world, token.split('.')[0] as string, token)
    await t.test(name, async (t) => {
      passSeconds(t, 2)
      gate.open()
      t.equal((await withheld).statusCode, 401)
      t.equal(entered, 0)
    })
  }
}, stored)

alone.test('a client that withholds the body of a request until its sealed session has ended does not reach the handler', async (t) => {
  const ends: Record<string, (world: World, token: string) => unknown> = {
    'signed out': ({ app }, token) => ask(app, 'POST /logout', `__Host-session=${token}`),
    'expired': ({ clock }) => { clock.advance(1_800_001) }
  }
  for (const [name, end] of Object.entries(ends)) {
    const world = await createWorld(t, backends['sealed'])
    const gate = createGate()
    let entered = 0
    world.app.post('/transfer', { schema: guarded, preParsing: async () => { await gate.pass() } }, async () => ++entered)
    const ada = await world.signedIn()
    const withheld = ada.post('/transfer', { to: 'eve' })
    await gate.reached
    await end(world, tokenOf(ada))
    await t.test(name, async (t) => {
      passSeconds(t, 2)
      gate.open()
      t.equal((await withheld).statusCode, 401)
      t.equal(entered, 0)
    })
  }
})

alone.test('a client that withholds the body of a request until its account is disabled does not reach the handler', async (t) => {
  let isEnabled = true
  const options: Options = { verify: () => isEnabled, user: () => isEnabled ? {} : null, roles: () => isEnabled ? ['admin'] : [] }
  for (const name of ['verify', 'user', 'roles'] as const) {
    isEnabled = true
    const world = await createWorld(t, undefined, { [name]: options[name] })
    const gate = createGate()
    let entered = 0
    const schema = { security: [{ session: name === 'roles' ? ['admin'] : [] }] }
    world.app.post('/transfer', { schema, preParsing: async () => { await gate.pass() } }, async () => ++entered)
    const ada = await world.signedIn()
    const withheld = ada.post('/transfer', { to: 'eve' })
    await gate.reached
    isEnabled = false
    await t.test(name, async (t) => {
      passSeconds(t, 2)
      gate.open()
      t.equal((await withheld).statusCode, name === 'roles' ? 403 : 401)
      t.equal(entered, 0)
      t.equal((await sessionsOf(world.app, 'ada')).length, name === 'roles' ? 1 : 0)
    })
  }
})

alone.test('a change that a hook makes before a slow body is kept, beside what another request saved since', async (t) => {
  const world = await createWorld(t)
  const gate = createGate()
  const onRequest = async (request: FastifyRequest): Promise<void> => { sessionOf(request).set('hook', 1) }
  world.app.post('/upload', { schema: guarded, onRequest, preParsing: async () => { await gate.pass() } }, async (request) => sessionOf(request).data)
  const ada = await world.signedIn()
  const upload = ada.post('/upload', {})
  await gate.reached
  await ada.post('/put', { other: 1 })
  await t.test('after two seconds', async (t) => {
    passSeconds(t, 2)
    gate.open()
    const both = { userId: 'ada', roles: [], other: 1, hook: 1 }
    t.same((await upload).json(), both)
    t.same((await ada.get('/me')).json(), both)
  })
})

alone.test('a slow upload within a live session is let in, a sealed cookie under a former name included', async (t) => {
  for (const [name, options] of [['memory', {}], ['sealed', {}], ['sealed', { cookie: { name: 'id', previous: [{ name: '__Host-session' }] } }]] as Array<[string, Options]>) {
    const backend = backends[name] as NonNullable<typeof backends[string]>
    const place = await backend.make(t, Date.now)
    const before = await createWorld(t, { make: async () => place })
    const world = await createWorld(t, { make: async () => place }, options)
    const gate = createGate()
    world.app.post('/upload', { schema: guarded, preParsing: async () => { await gate.pass() } }, async () => 'taken')
    const token = tokenOf(await before.signedIn())
    const upload = world.app.inject({ method: 'POST', url: '/upload', payload: {}, headers: { cookie: `__Host-session=${token}` } })
    await gate.reached
    await t.test(name, async (t) => {
      passSeconds(t, 2)
      gate.open()
      t.equal((await upload).statusCode, 200, JSON.stringify(options))
    })
  }
})

alone.test('a slow request that only reads hands out no sealed cookie after the logout of its session', async (t) => {
  for (const work of ['read', 'touch', 'write', 'renew', 'become', 'regenerate', 'update', 'commit']) {
    const world = await createWorld(t, backends['sealed'])
    const ada = await world.signedIn()
    world.clock.advance(600_000)
    const slow = await startSlow(world, ada, work)
    const before = tokenOf(ada)
    await ada.post('/logout')
    t.equal(tokenOf(ada), '')
    t.same(setCookies(await slow.release()), [], work)
    t.equal(await replay(world, before), 401, `${work}: nor does this process take the old one`)
  }
})

alone.test('what commit() refused with 409 or 503 is not saved with the response', async (t) => {
  const { backend, probe } = breakable()
  const world = await createWorld(t, backend, { schema: Type.Object({ userId: Type.String() }, { additionalProperties: true, maxProperties: 3 }), roles: () => [] })
  const gate = createGate()
  let code: string | undefined
  world.app.post('/commits', { schema: guarded }, async (request) => {
    const session = sessionOf(request)
    session.data.refused = true
    await gate.pass()
    await session.commit().catch((error) => { ({ code } = error) })
    return 'done'
  })
  const ada = await world.signedIn()
  await ada.post('/put', { roles: [] })
  const commits = ada.post('/commits')
  await gate.reached
  t.equal((await ada.post('/put', { other: 1 })).statusCode, 200)
  gate.open()
  t.equal((await commits).statusCode, 200)
  t.equal(code, 'FST_SESSION_CONFLICT')
  t.same((await ada.get('/me')).json(), { userId: 'ada', roles: [], other: 1 })

  const bob = await world.signedIn('bob')
  let broken = true
  probe.before = ({ method }) => {
    if (method !== 'update' || !broken) return
    broken = false
    throw new Error('down for a moment')
  }
  t.equal((await bob.post('/commits')).statusCode, 200)
  t.equal(code, 'FST_SESSION_STORE')
  t.notOk('refused' in (await bob.get('/me')).json())
})

alone.test('the error of a driver is logged without statement, parameters and data', async (t) => {
  const { backend, probe } = breakable()
  const world = await createWorld(t, backend, {}, { level: 'trace' })
  let caught: any
  world.app.setErrorHandler((error, request, reply) => {
    caught = error
    request.log.error({ err: error, cause: (error as Error).cause }, 'it failed')
    void reply.code(503).send('no')
  })
  const ada = await world.signedIn()
  probe.before = ({ method }) => {
    if (method !== 'update') return
    const inner = Object.assign(new Error('the pool is empty'), { values: ['hunter2'], code: 'EPOOL' })
    const error = Object.assign(new Error('the server closed the connection', { cause: inner }), {
      code: '57P01', sql: 'update sessions set payload = $1', parameters: ['hunter2'], detail: 'Failing row contains (hunter2)', command: { args: ['hunter2'] }, query: { bindings: ['hunter2'] }
    })
    throw error
  }
  world.log.length = 0
  t.equal((await ada.post('/put', { password: 'hunter2' })).statusCode, 503)
  t.match(caught.cause, { message: 'the server closed the connection', code: '57P01' })
  t.equal(caught.cause.cause.message, 'the pool is empty')
  t.match(JSON.stringify(world.log), 'the server closed the connection')
  for (const text of [JSON.stringify(world.log), inspect(caught, { depth: 10, showHidden: true }), JSON.stringify(caught)]) t.notMatch(text, 'hunter2')
  const loop = new Error('it is its own cause')
  loop.cause = loop
  probe.before = ({ method }) => { if (method === 'update') throw loop }
  t.equal((await ada.post('/put', { password: 'hunter2' })).statusCode, 503, 'a cause that leads to itself')
})

alone.test('a requirement that cannot be read, whatever its getter throws, lets no request in', async (t) => {
  for (const thrown of [undefined, null, 0, '', false, 'text', new Error('no')]) {
    for (const schema of [
      () => ({ get security (): never { throw thrown } }),
      () => ({ security: [{ get session (): never { throw thrown } }] }),
      () => ({ security: new Proxy([], { get () { throw thrown } }) }),
      () => ({ security: [new Proxy({}, { ownKeys () { throw thrown } })] })
    ]) {
      const late = await bootErrorOf(t, {}, (app) => { app.get('/secret', { schema: schema() as never }, async () => 'in') }).catch((error: unknown) => error)
      t.match(late, { code: 'FST_SESSION_OPTIONS' }, `declared after the plugin: ${String(thrown)}`)
      const app = Fastify()
      app.get('/secret', { schema: schema() as never }, async () => 'in')
      await app.register(plugin)
      for (let round = 0; round < 2; round++) t.not((await app.inject('/secret').catch(() => ({ statusCode: 500 }))).statusCode, 200, `declared before the plugin: ${String(thrown)}`)
      await app.close()
    }
  }
})

alone.test('an option that rejects with nothing lets no request in', async (t) => {
  for (const name of ['verify', 'user', 'roles'] as const) {
    const world = await createWorld(t, undefined, { [name]: async () => { throw undefined } })
    const ada = await world.signedIn()
    t.equal((await ada.get('/admin')).statusCode, 500, name)
  }
  const { app } = await createWorld(t, undefined, { verifiers: { bearer: async () => { throw undefined } } })
  app.get('/bearer', { schema: { security: [{ bearer: [] }] } as never }, async () => 'in')
  t.equal((await app.inject('/bearer')).statusCode, 500)
})

onEach(t, 'data that are nested more than 32 levels deep are refused before the store is called', async (t, backend) => {
  const world = await createWorld(t, backend)
  const nested = (depth: number): object => JSON.parse(`${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`) as object
  const ada = await world.signedIn()
  t.equal((await ada.post('/put', { deep: nested(31) })).statusCode, 200)
  const before = await world.place.atRest()
  for (const depth of [33, 4000]) {
    for (const url of ['/put', '/login']) {
      const refused = await ada.post(url, { deep: nested(depth) })
      t.match(refused.json(), { statusCode: 500, code: 'FST_SESSION_INVALID_DATA', message: /nested more than 32 levels deep/ }, `${url}, ${depth} levels`)
    }
  }
  const written = (text: string): number => text.match(/^(create|update) /gm)?.length ?? 0
  t.equal(written(await world.place.atRest()), written(before))
  t.equal((await ada.get('/me')).statusCode, 200)
})

alone.test('without Fetch Metadata, a page of http://host does not pass for one of https://host', async (t) => {
  const world = await createWorld(t, undefined, {}, { trustProxy: true })
  const ada = await world.signedIn()
  const post = async (origin: string, protocol: string, more: Record<string, string> = {}): Promise<number> =>
    (await ada.inject({ method: 'POST', url: '/do/touch', headers: { host: 'shop.example', 'x-forwarded-proto': protocol, origin, ...more } })).statusCode
  t.equal(await post('https://shop.example', 'https'), 200)
  t.equal(await post('http://shop.example', 'https'), 403)
  t.equal(await post('http://shop.example:80', 'https'), 403)
  t.equal(await post('http://shop.example:443', 'https'), 403)
  t.equal(await post('http://shop.example', 'http'), 200)
  t.equal(await post('http://shop.example', 'https', { 'sec-fetch-site': 'same-site' }), 403)
})

alone.test('a store that a client fills with carts of guests signs no user out', async (t) => {
  const store = new ProbeStore(new MemoryStore({ maxSessions: 50 }))
  const world = await createWorld(t, only(store))
  const users = await Promise.all(Array.from({ length: 10 }, (_, index) => world.signedIn(`user${index}`)))
  for (let index = 0; index < 200; index++) await world.visitor().post('/put', { cart: index })
  t.same(await Promise.all(users.map(async (user) => (await user.get('/me')).statusCode)), users.map(() => 200))
  t.equal(world.events.filter(({ reason }) => reason === 'evicted').length, 160)
})
