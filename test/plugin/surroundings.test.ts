/** What the plugin makes of Fastify's own settings, of the scheme that a browser used, and of lifetimes of single sessions. */
import Fastify, { type FastifyServerOptions } from 'fastify'
import sessionPlugin from 'fastify-openapi-session'
import t, { type Test } from 'tap'

type Log = Array<{ level: number, msg: string }>

async function boot (t: Test, options: FastifyServerOptions = {}) {
  const log: Log = []
  const app = Fastify({ ...options, logger: { level: 'info', stream: { write: (line: string) => { log.push(JSON.parse(line)) } } } })
  t.teardown(() => app.close())
  await app.register(sessionPlugin as never, { principal: () => 'ada' })
  app.post('/', { schema: { security: [{ session: [] }, {}] } }, async () => 'in')
  await app.ready()
  return { app, log }
}

t.test('in production, the boot says that requestTimeout is 0, at level info', async (t) => {
  const before = process.env['NODE_ENV']
  t.teardown(() => { if (before === undefined) delete process.env['NODE_ENV']; else process.env['NODE_ENV'] = before })
  const lines = async (env: string, options?: FastifyServerOptions): Promise<Log> => {
    process.env['NODE_ENV'] = env
    return (await boot(t, options)).log.filter(({ msg }) => msg.includes('requestTimeout'))
  }
  t.match(await lines('production'), [{ level: 30, msg: /^requestTimeout is 0, so .*: write Fastify\(\{ requestTimeout: 120_000 \}\)/ }])
  t.same(await lines('production', { requestTimeout: 120_000 }), [])
  t.same(await lines('test'), [])
})

t.test('start() and issue() warn once of a lifetime that was written in milliseconds', async (t) => {
  const { args } = t.capture(process, 'emitWarning')
  const { app: { session } } = await boot(t)
  for (const lifetime of [{ absoluteTimeout: 366 * 86_400 }, { idleTimeout: 3600 }, { persistent: true }, {}]) await session.issue({} as never, lifetime)
  t.same(args(), [])
  for (let n = 0; n < 2; n++) await session.issue({} as never, { persistent: true, absoluteTimeout: 30 * 86_400_000 })
  t.match(args(), [[/^a session was started with \{"absoluteTimeout":2592000000\}\. Durations are in seconds, not milliseconds: 30 days are absoluteTimeout: 2592000$/]])
})

t.test('without Fetch Metadata, a page over http is of another origin than an app over https', async (t) => {
  const { app } = await boot(t, { trustProxy: true })
  const post = async (origin: string, protocol: string): Promise<number> =>
    (await app.inject({ method: 'POST', url: '/', headers: { host: 'shop.example', 'x-forwarded-proto': protocol, origin } })).statusCode
  t.equal(await post('https://shop.example', 'https'), 200)
  t.equal(await post('http://shop.example', 'http'), 200)
  t.equal(await post('http://shop.example', 'https'), 403)
  t.equal(await post('https://shop.example', 'http'), 200, 'a proxy that is not trusted ends TLS')
})
