import csrfProtection from '@fastify/csrf-protection'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import sessionPlugin from 'fastify-openapi-session'
import t, { type Test } from 'tap'
import { addStory, anyone, type Browser, browse, makeApp, signedIn, visit, withName } from './support.js'

/** An app whose form is protected by a token. */
async function shop (t: Test, options: object): Promise<Browser> {
  const { app } = makeApp(t)
  await app.register(sessionPlugin, withName)
  await app.register(cookie)
  await app.register(formbody)
  await app.register(csrfProtection, options as { sessionPlugin: '@fastify/session' })
  addStory(app)
  app.get('/form', { schema: anyone }, async (_request, reply) => reply.generateCsrf())
  app.post('/form', { schema: signedIn, preHandler: app.csrfProtection }, async () => 'accepted')
  return await browse(app)
}

for (const mode of ['@fastify/secure-session', '@fastify/session', '@fastify/cookie'] as const) {
  t.test(`@fastify/csrf-protection with sessionPlugin: '${mode}'`, async (t) => {
    const browser = await shop(t, { sessionPlugin: mode })
    await visit(t, browser, async () => {
      t.match((await browser.post('/form')).json, { statusCode: 403, code: 'FST_CSRF_MISSING_SECRET' })
      const { body: token } = await browser.get('/form')
      t.equal((await browser.post('/form', { _csrf: token })).body, 'accepted')
      t.equal((await browser.post('/form', {}, { 'csrf-token': token })).body, 'accepted')
      const form = new URLSearchParams({ _csrf: token }).toString()
      t.equal((await browser.send('POST', '/form', { 'content-type': 'application/x-www-form-urlencoded' }, form)).body, 'accepted')
      t.match((await browser.post('/form', { _csrf: `${token}x` })).json, { statusCode: 403, code: 'FST_CSRF_INVALID_TOKEN' })
    })
    t.equal((await browser.post('/form')).status, 401, 'the session is checked first')
  })
}

t.test('@fastify/csrf-protection: a token from before the login is not valid after it', async (t) => {
  const browser = await shop(t, { sessionPlugin: '@fastify/session' })
  const { body: token } = await browser.get('/form')
  await browser.post('/login', { name: 'ada' })
  t.match((await browser.post('/form', { _csrf: token })).json, { code: 'FST_CSRF_MISSING_SECRET' })
})

for (const mode of ['@fastify/secure-session', '@fastify/session'] as const) {
  t.test(`@fastify/csrf-protection: tokens may be bound to a user with sessionPlugin: '${mode}'`, async (t) => {
    const { app } = makeApp(t)
    await app.register(sessionPlugin, withName)
    await app.register(csrfProtection, {
      sessionPlugin: mode as '@fastify/session',
      csrfOpts: { hmacKey: 'a key' },
      getUserInfo: (request) => request.session.get('name') as string
    })
    addStory(app)
    app.get('/form', { schema: signedIn }, async (request, reply) => reply.generateCsrf({ userInfo: request.session.data['name'] as string }))
    app.post('/form', { schema: signedIn, preHandler: app.csrfProtection }, async () => 'accepted')
    app.post('/rename', { schema: signedIn }, async (request) => { request.session.data['name'] = 'grace' })
    const browser = await browse(app)
    await browser.post('/login', { name: 'ada' })
    const { body: token } = await browser.get('/form')
    t.equal((await browser.post('/form', { _csrf: token })).body, 'accepted')
    await browser.post('/rename')
    t.equal((await browser.get('/me')).body, 'grace')
    t.match((await browser.post('/form', { _csrf: token })).json, { code: 'FST_CSRF_INVALID_TOKEN' }, 'of another user')
  })
}
