import t from 'tap'
import Fastify from 'fastify'
import scalar from '@scalar/fastify-api-reference'
import swagger from '@fastify/swagger'
import { sessionPlugin } from 'fastify-openapi-session'
import { launchChromium } from '../support/browser.js'
import { Account, account, api, grace } from './docs-api.js'
import { listening } from './docs-app.js'

t.test('Scalar: a description that tells the truth, and calls of the same origin', async (t) => {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const seen: Array<{ url: string, cookie: string | undefined, status: number }> = []
  app.addHook('onResponse', async ({ url, headers: { cookie } }, { statusCode: status }) => { seen.push({ url, cookie, status }) })
  await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'Shop', version: '1.0.0' } } })
  await app.register(sessionPlugin, { ...account, schema: Account, openapi: { login: 'login', status: 'status', logout: 'logout' } })
  // Docs pages load nothing from elsewhere here: neither fonts nor the proxy that Scalar offers for calls to other origins.
  await app.register(scalar, { routePrefix: '/reference', configuration: { withDefaultFonts: false, telemetry: false } })
  await app.register(api, { prefix: '/api' })
  const url = await listening(app)

  const browser = await launchChromium(t)
  const page = await browser.newPage()
  page.setDefaultTimeout(20_000)
  const foreign: string[] = []
  page.on('request', (request) => { if (!request.url().startsWith(url) && request.url().startsWith('http')) foreign.push(request.url()) })
  await page.goto(`${url}/reference`)
  t.ok(await page.getByText('so it cannot be typed in here').first().isVisible().catch(() => false) || (await page.content()).includes('so it cannot be typed in here'))
  t.comment(await page.locator('body').innerText())
  t.comment(foreign)
  t.comment(seen)
  t.ok(grace)
})
