import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import formbody from '@fastify/formbody'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { addStory, type Answer, browse, makeApp, visit, withName } from './support.js'

const front = 'https://shop.example'

for (const first of ['@fastify/cors', 'the session plugin']) {
  t.test(`@fastify/cors with credentials, with ${first} registered first`, async (t) => {
    const { app } = makeApp(t)
    const addCors = async (): Promise<void> => { await app.register(cors, { origin: front, credentials: true }) }
    if (first === '@fastify/cors') await addCors()
    await app.register(sessionPlugin, { ...withName, crossOrigin: { trusted: [front] } })
    if (first !== '@fastify/cors') await addCors()
    addStory(app)
    const browser = await browse(app)
    const page = { origin: front, 'sec-fetch-site': 'cross-site' }
    const allowed = (headers: Headers): unknown[] => [headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')]
    const preflight = await browser.send('OPTIONS', '/login', { ...page, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' })
    t.equal(preflight.status, 204)
    t.same(allowed(preflight.headers), [front, 'true'])
    const refused = await browser.get('/me', page)
    t.equal(refused.status, 401)
    t.same(allowed(refused.headers), first === '@fastify/cors' ? [front, 'true'] : [null, null], 'a refusal has what was added before it')
    const login = await browser.post('/login', { name: 'ada' }, page)
    t.equal(login.status, 200)
    t.same(allowed(login.headers), [front, 'true'])
    const me = await browser.get('/me', page)
    t.equal(me.body, 'ada')
    t.same(allowed(me.headers), [front, 'true'])
    t.match(me.headers.get('vary'), /Cookie/)
    t.equal((await browser.post('/logout', {}, page)).status, 200)
    t.equal((await browser.get('/me', page)).status, 401)
    t.equal((await browser.post('/login', { name: 'eve' }, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })).status, 403)
  })
}

for (const first of ['@fastify/helmet', 'the session plugin']) {
  t.test(`@fastify/helmet, with ${first} registered first`, async (t) => {
    const { app } = makeApp(t)
    if (first === '@fastify/helmet') await app.register(helmet)
    await app.register(sessionPlugin, withName)
    if (first !== '@fastify/helmet') await app.register(helmet)
    addStory(app)
    const browser = await browse(app)
    await visit(t, browser, async () => {
      t.match((await browser.get('/me')).headers.get('content-security-policy'), "default-src 'self'")
    })
    const refused = (await browser.get('/me')).headers.get('content-security-policy')
    if (first === '@fastify/helmet') t.match(refused, "default-src 'self'")
    else t.equal(refused, null, 'a refusal has what was added before it')
  })
}

t.test('@fastify/helmet: browsers send forms with Origin: null over plain http, unless its Referrer-Policy is same-origin', async (t) => {
  const { app } = makeApp(t)
  await app.register(helmet, { referrerPolicy: { policy: 'same-origin' } })
  await app.register(sessionPlugin, { ...withName, cookie: { secure: false } })
  await app.register(formbody)
  addStory(app)
  const browser = await browse(app)
  const form = async (origin: string): Promise<Answer> =>
    await browser.send('POST', '/login', { 'content-type': 'application/x-www-form-urlencoded', origin }, 'name=ada')
  t.match((await form('null')).json, { code: 'FST_SESSION_CROSS_ORIGIN', message: /@fastify\/helmet sets it: write helmet's option referrerPolicy/ })
  const login = await form(browser.url)
  t.equal(login.status, 200)
  t.equal(login.headers.get('referrer-policy'), 'same-origin')
})
