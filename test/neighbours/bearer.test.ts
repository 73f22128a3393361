import bearerAuth from '@fastify/bearer-auth'
import jwt from '@fastify/jwt'
import swagger from '@fastify/swagger'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { addStory, browse, makeApp, visit, withName } from './support.js'

const either = { schema: { security: [{ session: [] }, { bearer: [] }] } }
const components = { securitySchemes: { bearer: { type: 'http' as const, scheme: 'bearer' } } }

t.test('@fastify/jwt: a route takes a session or a token', async (t) => {
  const { app } = makeApp(t)
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'Shop', version: '1.0.0' }, components } })
  await app.register(jwt, { secret: 'a secret of the app' })
  await app.register(sessionPlugin, {
    ...withName,
    verifiers: { bearer: async (request) => await request.jwtVerify().then(() => true, () => false) }
  })
  addStory(app)
  app.get('/orders', either, async (request) => request.session.exists ? request.session.data['name'] : (request.user as { name: string }).name)
  const browser = await browse(app)
  const token = app.jwt.sign({ name: 'grace' })
  const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })
  const none = await browser.get('/orders')
  t.match(none.json, { statusCode: 401, message: /one of: the session "session", bearer/ })
  t.equal(none.headers.get('www-authenticate'), 'Cookie cookie-name="__Host-session", bearer')
  t.equal((await browser.get('/orders', bearer(token))).body, 'grace')
  t.equal((await browser.get('/orders', bearer(`${token}x`))).status, 401)
  await visit(t, browser, async () => {
    t.equal((await browser.get('/orders')).body, 'ada')
    t.equal((await browser.get('/orders', bearer(`${token}x`))).body, 'ada')
  })
  t.same((app.swagger() as any).paths['/orders'].get.security, [{ session: [] }, { bearer: [] }])
})

t.test('@fastify/bearer-auth: a route takes a session or a key', async (t) => {
  const { app } = makeApp(t)
  await app.register(bearerAuth, { addHook: false, keys: new Set(['the key']), verifyErrorLogLevel: 'debug' })
  await app.register(sessionPlugin, {
    ...withName,
    verifiers: {
      bearer: async (request) => await new Promise((resolve) => {
        // A verifier writes no response: it says whether the key is right.
        app.verifyBearerAuth?.(request, { code: () => {} } as never, (error) => { resolve(error === undefined) })
      })
    }
  })
  addStory(app)
  app.get('/orders', either, async (request) => request.session.exists ? request.session.data['name'] : 'a machine')
  const browser = await browse(app)
  t.equal((await browser.get('/orders')).status, 401)
  t.equal((await browser.get('/orders', { authorization: 'Bearer the key' })).body, 'a machine')
  t.equal((await browser.get('/orders', { authorization: 'Bearer a key' })).status, 401)
  await visit(t, browser, async () => { t.equal((await browser.get('/orders')).body, 'ada') })
})
