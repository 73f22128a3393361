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
