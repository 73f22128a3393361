import t from 'tap'
import type { FastifyInstance } from 'fastify'
import * as session from 'fastify-openapi-session'
import { createClock } from 'fastify-openapi-session/testing'
import fp from 'fastify-plugin'
import { openChromium } from '../support/browser.js'
import { freePort } from '../support/servers-process.js'
import { textOf } from './markdown.js'
import { runBlock } from './recipe.js'

const page = 'docs/recipes/passkeys.md'
const [, script = ''] = /^```js\n(.*?)^```$/ms.exec(textOf(page)) ?? []

t.test('passkeys: a user adds one, signs in with it, and confirms with it that it is the user', async (t) => {
  const port = await freePort()
  const site = `http://localhost:${port}`
  process.env.SITE = site
  t.teardown(() => { delete process.env.SITE })
  const clock = createClock()
  const plugin = fp(async (app: FastifyInstance, options: object) => { await app.register(session.default, { ...options, now: clock.now }) })
  const { app } = await runBlock(t, page, { modules: { 'fastify-openapi-session': { ...session, default: plugin } } })
  await app.listen({ port, host: 'localhost' })

  const browser = await openChromium()
  const context = await browser.newContext()
  const tab = await context.newPage()
  const { setCookie } = await app.session.issue({ userId: 'ada' })
  await tab.route(`${site}/`, async (route) => { await route.fulfill({ contentType: 'text/html', headers: { 'set-cookie': setCookie }, body: `<title>Shop</title><script>${script}</script>` }) })
  const devtools = await context.newCDPSession(tab)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true }
  })
  const status = async (method: string, path: string): Promise<number> => await tab.evaluate<number>(`fetch('${path}', { method: '${method}' }).then(({ status }) => status)`)
  const run = async (call: string): Promise<string> => await tab.evaluate<string>(`${call}.then(() => 'ok', (error) => error.message)`)

  await tab.goto(`${site}/`)
  t.equal(await run('addPasskey()'), 'ok')
  await context.clearCookies()

  t.equal(await status('GET', '/me'), 401)
  t.equal(await run('signIn()'), 'ok')
  t.same(await tab.evaluate("fetch('/me').then((response) => response.json())"), { name: 'ada' })
  t.equal(await status('DELETE', '/account'), 200)

  clock.advance(301_000)
  t.equal(await status('DELETE', '/account'), 401, 'the login is older than five minutes')
  t.equal(await run('signIn()'), 'ok')
  t.equal(await status('DELETE', '/account'), 200)

  // An answer to one challenge is worth nothing for another.
  const replayed = await tab.evaluate<string>(`(async () => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await post('/login/options'))
    const answer = (await navigator.credentials.get({ publicKey })).toJSON()
    await post('/login', answer)
    return await post('/login', answer).then(() => 'ok', (error) => error.message)
  })()`)
  t.equal(replayed, 'The passkey was not accepted. Try again.')
})
