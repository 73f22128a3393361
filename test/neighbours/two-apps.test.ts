import sessionPlugin from 'fastify-openapi-session'
import t, { type Test } from 'tap'
import { addStory, type Browser, browse, makeApp, withName } from './support.js'

/** Starts two apps on one host, and returns one browser that uses both. Cookies know no ports. */
async function twoApps (t: Test, ...names: readonly string[]): Promise<{ shop: Browser, blog: Browser }> {
  const [shop, blog] = await Promise.all(names.map(async (name) => {
    const { app } = makeApp(t)
    await app.register(sessionPlugin, { ...withName, cookie: { name } })
    addStory(app)
    return await browse(app)
  })) as [Browser, Browser]
  return { shop, blog: Object.assign(Object.create(blog) as Browser, { jar: shop.jar }) }
}

t.test('two apps on one host with cookies of their own: a login in one signs the user out of none', async (t) => {
  const { shop, blog } = await twoApps(t, '__Host-shop', '__Host-blog')
  await shop.post('/login', { name: 'ada' })
  t.equal((await blog.get('/me')).status, 401)
  await blog.post('/login', { name: 'grace' })
  t.same([(await shop.get('/me')).body, (await blog.get('/me')).body], ['ada', 'grace'])
  await blog.post('/logout')
  t.same([(await shop.get('/me')).body, (await blog.get('/me')).status], ['ada', 401])
})

t.test('two apps on one host with cookies of one name: a refusal by one keeps the cookie of the other, and a login replaces it', async (t) => {
  const { shop, blog } = await twoApps(t, '__Host-session', '__Host-session')
  await shop.post('/login', { name: 'ada' })
  t.equal((await blog.get('/me')).status, 401)
  t.equal((await shop.get('/me')).body, 'ada')
  await blog.post('/login', { name: 'grace' })
  t.same([(await shop.get('/me')).status, (await blog.get('/me')).body], [401, 'grace'])
})
