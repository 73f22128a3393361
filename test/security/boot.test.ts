import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { MemoryStore } from 'fastify-openapi-session'
import { fromExpressStore } from 'fastify-openapi-session/express'
import { makeKey, sealedCookie } from 'fastify-openapi-session/sealed'
import session from 'express-session'
import t, { type Test } from 'tap'
import { ProbeStore } from '../support/probe-store.js'
import { makeApp, plugin } from '../support/harness.js'
import type { Options } from './support.js'

const DECLARED = { schema: { security: [{ session: [] }] } }
const outside = (): MemoryStore => new ProbeStore() as unknown as MemoryStore

/** Boots an app; resolves its warnings, or the sentence that stopped it. */
async function boot (t: Test, build: (app: FastifyInstance) => unknown, env?: string): Promise<string[]> {
  const before = process.env['NODE_ENV']
  if (env !== undefined) process.env['NODE_ENV'] = env
  const { app, log } = makeApp(t)
  try {
    await build(app)
    await app.ready()
    return log.map(({ msg }) => msg)
  } catch (error) {
    t.equal((error as { code?: string }).code, 'FST_SESSION_OPTIONS', (error as Error).message)
    return [`refused: ${(error as Error).message}`]
  } finally {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  }
}

const withOptions = (options: Options, url = '/'): (app: FastifyInstance) => Promise<void> => async (app) => {
  await app.register(plugin, options)
  app.get(url, DECLARED, async () => 'in')
}

t.test('a correct app boots without a warning, in production too', async (t) => {
  t.same(await boot(t, withOptions({})), [])
  t.same(await boot(t, withOptions({ store: outside() }), 'production'), [])
  t.same(await boot(t, withOptions({ store: sealedCookie({ keys: [makeKey()] }) }), 'production'), [])
})

t.test('the boot warns of a MemoryStore in production', async (t) => {
  t.match(await boot(t, withOptions({}), 'production'), [/kept in the memory of this process.*RedisStore, SqlStore, FileStore or sealedCookie/])
  t.match(await boot(t, withOptions({ store: new MemoryStore() }), 'production'), [/memory/])
  t.same(await boot(t, withOptions({}), 'test'), [])
})

t.test('the boot warns of a store that cannot compare and set, in one line', async (t) => {
  const limited = [/cannot compare and set/]
  t.match(await boot(t, withOptions({ store: fromExpressStore(new session.MemoryStore()) })), limited)
  t.equal((await boot(t, withOptions({ store: fromExpressStore(new session.MemoryStore()) }), 'production')).length, 1)
})

t.test('the boot warns of a cookie without Secure in production', async (t) => {
  t.match(await boot(t, withOptions({ store: outside(), cookie: { secure: false } }), 'production'), [/"session" is not Secure.*take cookie.secure: false out/])
})

t.test('the boot warns of SameSite=None without any check of the origin', async (t) => {
  t.match(await boot(t, withOptions({ cookie: { sameSite: 'none' }, crossOrigin: false })), [/goes with requests from every site.*crossOrigin: \{ trusted/])
  t.same(await boot(t, withOptions({ cookie: { sameSite: 'none' } })), [])
  t.same(await boot(t, withOptions({ crossOrigin: false })), [])
})

t.test('the boot warns of routes that the cookie does not reach', async (t) => {
  const cookie = { name: 'id', path: '/app' }
  for (const url of ['/', '/login', '/apps', '/application/x', '/App/x', '/other/:id']) {
    t.match(await boot(t, withOptions({ cookie }, url)), [new RegExp(`to /app only, and it is declared by GET ${url.replace(/[/:]/g, '\\$&')}`)], url)
  }
  for (const url of ['/app', '/app/', '/app/login', '/:tenant/x', '/*', '/app/:id']) t.same(await boot(t, withOptions({ cookie }, url)), [], url)
  t.match(await boot(t, async (app) => {
    await app.register(plugin, { cookie })
    await app.register(async (app) => {
      for (const url of ['/a', '/b', '/c']) app.post(url, DECLARED, async () => 'in')
      app.get('/open', async () => 'in')
    }, { prefix: '/api' })
    await app.register(async (app) => { app.get('/a', DECLARED, async () => 'in') }, { prefix: '/app' })
    app.post('/d', DECLARED, async () => 'in')
  }), [/declared by POST \/api\/a, POST \/api\/b, POST \/api\/c, and 1 more: set cookie.path/], 'with their prefixes, in one line')
})

t.test('the boot warns of durations that were written in milliseconds', async (t) => {
  const options = { idleTimeout: 60 * 60 * 1000, absoluteTimeout: 12 * 60 * 60 * 1000 }
  t.match(await boot(t, withOptions(options)), [
    /"session" has idleTimeout: 3600000, which is 42 days\. Durations are in seconds, not milliseconds: half an hour is 1800$/,
    /"session" has absoluteTimeout: 43200000, which is 500 days\. Durations are in seconds/
  ])
  const long = { absoluteTimeout: 90 * 86_400 }
  t.match(await boot(t, withOptions({ ...long, idleTimeout: 30 * 60 * 1000 })), [/has idleTimeout: 1800000, which is 21 days\. Durations/])
  t.match(await boot(t, withOptions({ ...long, idleTimeout: 60 * 1000 })), [/has idleTimeout: 60000, which is 17 hours\. Durations/])
  t.match(await boot(t, withOptions({ storeTimeout: 2000 })), [/has storeTimeout: 2000, which is 1 hours?\. Durations/])
  t.match(await boot(t, async (app) => {
    await app.register(plugin)
    app.get('/pay', { ...DECLARED, config: { session: { maxAge: 300_000 } } }, async () => 'in')
  }), [/^GET \/pay has config\.session\.maxAge: 300000, which is 3 days\. Durations/])
  for (const days of [1, 7, 14, 25, 30]) t.same(await boot(t, withOptions({ ...long, idleTimeout: days * 86_400 })), [], `${days} days`)
})

t.test('two sessions on one cookie stop the boot, wherever they are registered', async (t) => {
  const beside = (one: Options, two: Options) => async (app: FastifyInstance): Promise<void> => {
    await app.register(async (app) => { await app.register(plugin, one) }, { prefix: '/one' })
    await app.register(async (app) => { await app.register(plugin, two) }, { prefix: '/two' })
  }
  t.match(await boot(t, beside({}, {})), [/^refused: the session "session" is registered in two contexts of the app with the cookie "__Host-session".*register the plugin once, around both/])
  t.match(await boot(t, beside({ scheme: 'one' }, { scheme: 'two' })), [/^refused: the sessions "\w+" and "\w+" both use the cookie/])
  t.match(await boot(t, beside({ cookie: { name: 'id', path: '/one' } }, { cookie: { name: 'id' } })), [/^refused/], 'one path within the other')
  t.same(await boot(t, beside({ cookie: { name: 'id', path: '/one' } }, { cookie: { name: 'id', path: '/two' } })), [], 'paths apart')
  t.same(await boot(t, beside({ cookie: { name: 'a' } }, { cookie: { name: 'b' } })), [])
  t.match(await boot(t, async (app) => {
    await app.register(async (app) => { await app.register(plugin, { scheme: 'inner' }) })
    await app.register(plugin)
  }), [/^refused/], 'the inner one first')
  t.match(await boot(t, async (app) => {
    await app.register(plugin)
    await app.register(plugin, { scheme: 'admin' })
  }), [/^refused: the sessions "session" and "admin" both use the cookie "__Host-session".*: give one of them another cookie.name, such as "__Host-admin"$/])
})

t.test('two sessions on one store stop the boot, wherever they are registered', async (t) => {
  const store = new MemoryStore()
  t.match(await boot(t, async (app) => {
    await app.register(plugin, { store })
    await app.register(plugin, { scheme: 'admin', store, cookie: { name: 'admin' } })
  }), [/^refused: the sessions "\w+" and "\w+" share one store.*another prefix, table or directory/])
  t.match(await boot(t, async (app) => {
    await app.register(async (app) => { await app.register(plugin, { store }) })
    await app.register(async (app) => { await app.register(plugin, { store, cookie: { name: 'b' } }) })
  }), [/^refused.*share one store/])
  const keys = sealedCookie({ keys: [makeKey()] })
  t.same(await boot(t, async (app) => {
    await app.register(plugin, { store: keys })
    await app.register(plugin, { scheme: 'admin', store: keys, cookie: { name: 'admin' } })
  }), [], 'sealed cookies are bound to their scheme, so they may share their keys')
})

t.test('two apps in one process may have the same options', async (t) => {
  t.same(await boot(t, withOptions({})), [])
  t.same(await boot(t, withOptions({})), [])
})

t.test('a limit that cannot be enforced stops the boot', async (t) => {
  t.match(await boot(t, withOptions({ store: sealedCookie({ keys: [makeKey()] }), principal: () => 'x', maxPerPrincipal: 3 })), [/^refused:.*sealed cookies cannot be counted/])
  t.match(await boot(t, withOptions({ maxPerPrincipal: 3 })), [/^refused: maxPerPrincipal needs the option principal/])
})

t.test('a security scheme without a verifier stops the boot, and the message names route and scheme', async (t) => {
  t.match(await boot(t, async (app) => {
    await app.register(plugin)
    app.put('/admin', { schema: { security: [{ bearer: [] }] } as never }, async () => 'in')
  }), [/^refused: route PUT \/admin: no session and no verifier is registered for the security scheme "bearer": register a session with that name, or give the plugin verifiers/])
  t.match(await boot(t, async (app) => {
    await app.register(async (app) => { app.get('/x', { schema: { security: [{ sesion: [] }] } as never }, async () => 'in') }, { prefix: '/v1' })
    await app.register(plugin)
    await app.register(async (app) => { app.get('/y', { schema: { security: [{ sesion: [] }] } as never }, async () => 'in') }, { prefix: '/v1' })
  }), [/^refused: route GET \/v1\/[xy].*"sesion": did you mean "session"\?$/])
  t.match(await boot(t, async (app) => {
    await app.register(plugin, { verifiers: { bearer: () => true } })
    app.get('/x', { schema: { security: [{ session: [], bearr: [] }] } as never }, async () => 'in')
  }), [/^refused: route GET \/x: .*"bearr": did you mean "bearer"\?$/])
})

t.test('a misspelt name in config.session stops the boot, and the message has the name that was meant', async (t) => {
  const withConfig = (session: object) => async (app: FastifyInstance): Promise<void> => {
    await app.register(plugin)
    app.get('/x', { ...DECLARED, config: { session: session as never } }, async () => 'in')
  }
  t.match(await boot(t, withConfig({ tuch: false })), [/^refused: route GET \/x: there is no config\.session\.tuch: did you mean touch\?$/])
  t.match(await boot(t, withConfig({ maxage: 5 })), [/config\.session\.maxage: did you mean maxAge\?$/])
  t.match(await boot(t, withConfig({ rolling: false })), [/config\.session\.rolling: the names are touch, maxAge, crossOrigin$/])
})

t.test('the boot warns of a plugin that was registered after all routes', async (t) => {
  const late = [/all routes of the app were declared before fastify-openapi-session.*: write await app\.register\(sessionPlugin, \.\.\.\) before the routes/]
  t.match(await boot(t, (app) => {
    void app.register(swagger)
    void app.register(plugin)
    app.get('/x', DECLARED, async () => 'in')
  }), late, 'neither register was awaited')
  t.match(await boot(t, async (app) => {
    app.get('/x', DECLARED, async () => 'in')
    await app.register(plugin)
  }), late)
  t.same(await boot(t, (app) => {
    app.get('/health', async () => 'up')
    void app.register(plugin)
    void app.register(async (app) => { app.get('/x', DECLARED, async () => 'in') })
  }), [], 'a route in a plugin comes after')
  t.same(await boot(t, async (app) => { await app.register(plugin) }), [], 'an app without routes')
  t.same(await boot(t, (app) => {
    app.get('/health', async () => 'up')
    void app.register(async (app) => { await app.register(plugin) })
  }), [], 'a context without routes')
})

t.test('the boot warns of @fastify/cors and @fastify/helmet that were registered after the plugin', async (t) => {
  const register = (...plugins: unknown[]) => async (app: FastifyInstance): Promise<void> => {
    for (const each of plugins) await app.register(each as typeof cors)
    app.get('/x', DECLARED, async () => 'in')
  }
  t.match(await boot(t, register(plugin, cors)), [/a 401 has no CORS headers.*: register @fastify\/cors first$/])
  t.match(await boot(t, register(plugin, helmet)), [/a 401 has none of the security headers: register @fastify\/helmet first$/])
  t.match(await boot(t, register(cors, plugin, helmet)), [/@fastify\/helmet first$/])
  t.same(await boot(t, register(cors, helmet, plugin)), [])
})

t.test('the boot warns of a session without a principal that a guest can have as well', async (t) => {
  const withRoutes = (options: Options, ...lists: unknown[][]) => async (app: FastifyInstance): Promise<void> => {
    await app.register(plugin, options)
    for (const [index, security] of lists.entries()) app.get(`/${index}`, { schema: { security } as never }, async () => 'in')
  }
  const [open, signedIn] = [[{ session: [] }, {}], [{ session: [] }]]
  t.match(await boot(t, withRoutes({}, open, signedIn)),
    [/"session" has no option principal, so a session that a guest gets from GET \/0 satisfies GET \/1: give the plugin principal: \(data\) => data\.userId$/])
  t.match(await boot(t, withRoutes({}, [], signedIn, open)), [/from GET \/2 satisfies GET \/1/])
  t.same(await boot(t, withRoutes({ principal: () => 'ada' }, open, signedIn)), [])
  t.same(await boot(t, withRoutes({ schema: Type.Object({ userId: Type.String() }) }, open, signedIn)), [], 'only start() makes a session')
  t.same(await boot(t, withRoutes({}, open, open)), [])
  t.same(await boot(t, withRoutes({}, signedIn, signedIn)), [])
  t.same(await boot(t, withRoutes({ roles: () => [] }, open, [{ session: ['admin'] }])), [], 'a guest has no roles')
})

t.test('a route from before the plugin that names an unknown scheme refuses every request', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/x', { schema: { security: [{ sesion: [] }] } as never }, async () => 'in')
  await app.register(plugin)
  const response = await app.inject('/x')
  t.equal(response.statusCode, 500)
  t.match(response.json(), { code: 'FST_SESSION_OPTIONS' })
})
