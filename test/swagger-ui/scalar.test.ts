import t from 'tap'
import Fastify from 'fastify'
import scalar from '@scalar/fastify-api-reference'
import swagger from '@fastify/swagger'
import { sessionPlugin } from 'fastify-openapi-session'
import { Type } from '@sinclair/typebox'
import { openChromium } from '../support/browser.js'
import { Account, account, endSession, grace, signIn } from './docs-api.js'
import { listening } from './docs-app.js'

// The example values make the body that Scalar proposes the right one.
const Credentials = Type.Object({
  username: Type.String({ examples: [grace.username] }),
  password: Type.String({ format: 'password', examples: [grace.password] })
})

t.test('Scalar: a description that tells the truth, and calls of the same origin', async (t) => {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const seen: Array<{ url: string, cookie: string | undefined, status: number }> = []
  app.addHook('onResponse', async ({ url, headers: { cookie } }, { statusCode: status }) => { seen.push({ url, cookie, status }) })
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'Shop', version: '1.0.0' } } })
  await app.register(sessionPlugin, { ...account, schema: Account, openapi: { login: 'login', logout: 'logout' } })
  await app.register(scalar, { routePrefix: '/reference', configuration: { withDefaultFonts: false, telemetry: false } })
  const session = [{ account: [] }]
  app.post('/login', { schema: { operationId: 'login', security: [{}, ...session], body: Credentials } }, async (request) => signIn(request, request.body))
  app.get('/orders', { schema: { operationId: 'orders', security: session } }, async () => ({ tea: 3 }))
  app.post('/logout', { schema: { operationId: 'logout', security: session } }, endSession)
  const url = await listening(app)

  const browser = await openChromium()
  const page = await browser.newPage()
  await page.goto(`${url}/reference`)
  const run = async (method: 'get' | 'post', path: string) => {
    await page.getByRole('button', { name: `Test Request (${method} ${path})` }).click()
    const answer = page.waitForResponse((response) => new URL(response.url()).pathname === path)
    await page.getByRole('button', { name: `Send ${method} request to ${path}` }).click()
    const status = (await answer).status()
    await page.getByRole('button', { name: 'Close Client' }).click()
    return status
  }

  await page.getByRole('button', { name: 'Select Auth Type' }).first().click()
  await page.getByRole('option', { name: 'account' }).click()
  await page.getByText('so it cannot be typed in here').first().waitFor()
  await page.getByText('To sign in, run the operation').first().waitFor()
  t.equal(await run('get', '/orders'), 401)
  t.equal(await run('post', '/login'), 200)
  t.equal(await run('get', '/orders'), 200, 'the browser sends what the login set')
  const cookies = await page.context().cookies()
  t.match(cookies, [{ name: '__Host-session', httpOnly: true }])
  t.equal(seen.findLast(({ url }) => url === '/orders')?.cookie, `__Host-session=${cookies[0]?.value}`)
  t.equal(await run('post', '/logout'), 204)
  t.equal(await run('get', '/orders'), 401)
})
