import oauth2, { type OAuth2Namespace } from '@fastify/oauth2'
import sessionPlugin from 'fastify-openapi-session'
import t from 'tap'
import { startProvider } from './provider.js'
import { addStory, anyone, Browser, browse, makeApp, withName } from './support.js'

declare module 'fastify' {
  interface FastifyInstance { shopLogin: OAuth2Namespace }
}

for (const first of ['the session plugin', '@fastify/oauth2']) {
  t.test(`@fastify/oauth2: a login with PKCE begins a session, with ${first} registered first`, async (t) => {
    const provider = await startProvider(t)
    const { app } = makeApp(t)
    const session = async (): Promise<void> => { await app.register(sessionPlugin, { ...withName, security: [{ session: [] }] }) }
    if (first === 'the session plugin') await session()
    await app.register(oauth2, {
      name: 'shopLogin',
      credentials: { client: { id: 'shop', secret: 'secret' }, auth: { authorizeHost: provider, authorizePath: '/authorize', tokenHost: provider, tokenPath: '/token' } },
      startRedirectPath: '/start',
      callbackUri: (request) => `http://${request.host}/callback`,
      pkce: 'S256',
      // The default of the app would ask for a session here.
      schema: { security: [] }
    })
    if (first !== 'the session plugin') await session()
    app.get('/callback', { schema: anyone }, async (request, reply) => {
      const { token } = await app.shopLogin.getAccessTokenFromAuthorizationCodeFlow(request, reply)
      request.session.start({ name: token.access_token.replace('token of ', '') })
      return await reply.redirect('/me')
    })
    addStory(app)
    const browser = await browse(app)
    t.equal((await browser.get('/me')).status, 401)
    const start = await browser.get('/start')
    t.equal(start.status, 302)
    t.equal(browser.jar.get('__Host-session'), undefined, 'its state is in cookies of its own')
    const back = await new Browser(provider).get(start.headers.get('location') as string)
    const callback = await browser.get(back.headers.get('location') as string)
    t.equal(callback.headers.get('location'), '/me')
    t.match(callback.headers.get('cache-control'), 'no-store')
    t.equal((await browser.get('/me')).body, 'ada')
    await browser.post('/logout')
    t.equal((await browser.get('/me')).status, 401)
  })
}
