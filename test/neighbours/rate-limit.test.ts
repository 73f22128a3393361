import rateLimit from '@fastify/rate-limit'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { addStory, anyone, Browser, browse, makeApp, visit, withName } from './support.js'

t.test('@fastify/rate-limit keyed by session: users have limits of their own, and guests share that of their address', async (t) => {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(rateLimit, {
    global: false,
    max: 2,
    keyGenerator: (request) => request.session.exists ? request.session.id : request.ip
  })
  addStory(app)
  app.get('/search', { schema: anyone, config: { rateLimit: {} } }, async () => 'found')
  app.get('/open', { config: { rateLimit: {} } }, async () => 'open')
  const ada = await browse(app)
  const grace = new Browser(ada.url)
  const guest = new Browser(ada.url)
  await grace.post('/login', { name: 'grace' })
  const times = async (browser: Browser, url = '/search'): Promise<number[]> => [await browser.get(url), await browser.get(url), await browser.get(url)].map(({ status }) => status)
  await visit(t, ada, async () => { t.same(await times(ada), [200, 200, 429]) })
  t.same(await times(grace), [200, 200, 429])
  t.same(await times(guest), [200, 200, 429])
  t.same(await times(grace, '/open'), [200, 200, 429], 'a route without a session is counted by address')
})

t.test('@fastify/rate-limit: requests that the session plugin refuses count if the limit is a hook before it', async (t) => {
  const { app } = makeApp(t)
  await app.register(rateLimit, { global: false, max: 3 })
  app.addHook('onRequest', app.rateLimit())
  await app.register(sessionPlugin, withName)
  addStory(app)
  const browser = await browse(app)
  const statuses: number[] = []
  for (let n = 0; n < 5; n++) statuses.push((await browser.get('/me', { cookie: `__Host-session=${'a'.repeat(22)}.${'b'.repeat(43)}` })).status)
  t.same(statuses, [401, 401, 401, 429, 429])
})

t.test('@fastify/rate-limit: without that hook it counts no refused request', async (t) => {
  const { app } = makeApp(t)
  await app.register(rateLimit, { max: 3 })
  await app.register(sessionPlugin, withName)
  addStory(app)
  const browser = await browse(app)
  const statuses: number[] = []
  for (let n = 0; n < 5; n++) statuses.push((await browser.get('/me')).status)
  t.same(statuses, [401, 401, 401, 401, 401])
})

t.test('@fastify/rate-limit: a limit by address before the session, and one by session after it', async (t) => {
  const { app } = makeApp(t)
  await app.register(rateLimit, { global: false })
  app.addHook('onRequest', app.rateLimit({ max: 6 }))
  await app.register(sessionPlugin, withName)
  const bySession = app.createRateLimit({ max: 2, keyGenerator: (request) => request.session.exists ? request.session.id : request.ip })
  app.get('/search', {
    schema: anyone,
    preHandler: async (request, reply) => {
      const limit = await bySession(request)
      if (!limit.isAllowed && limit.isExceeded) return await reply.code(429).send('too many requests')
    }
  }, async () => 'found')
  addStory(app)
  const browser = await browse(app)
  await browser.post('/login', { name: 'ada' })
  const answers: string[] = []
  for (let n = 0; n < 3; n++) answers.push((await browser.get('/search')).body)
  t.same(answers, ['found', 'found', 'too many requests'])
  t.equal((await browser.get('/me')).status, 200, 'other routes are not limited by session')
  t.equal((await browser.get('/me', { cookie: 'none=0' })).status, 401)
  t.match((await browser.get('/me')).json, { statusCode: 429 }, 'the seventh request of the address')
})
