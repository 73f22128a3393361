import t from 'tap'
import cors from '@fastify/cors'
import { launchChromium } from '../support/browser.js'
import { api, grace } from './docs-api.js'
import { docsApp } from './docs-app.js'
import { DocsPage } from './docs-page.js'

/** A function for the page. Its own text would be that of the tool that compiled this file. */
const inBrowser = (text: string) => Object.assign(() => ({}), { toString: () => text })

const watchPolicy = `
  globalThis.violations = []
  addEventListener('securitypolicyviolation', (event) => violations.push([event.effectiveDirective, event.blockedURI, event.sourceFile].join(' ')))
`

t.test('in the page that @fastify/swagger-ui serves', async (t) => {
  const browser = await launchChromium(t)

  await t.test('content security policies', async (t) => {
    for (const staticCSP of [true, { 'default-src': "'self'" }] as const) {
      const { url } = await docsApp(t, { ui: { staticCSP } })
      const context = await browser.newContext()
      t.teardown(() => context.close())
      await context.addInitScript(watchPolicy)
      const docs = await DocsPage.open(t, context, url)
      await docs.lock('orders', 'unlocked')
      const before = await docs.page.evaluate<string[]>('violations')
      await docs.signIn(grace)
      await docs.pressLock('report')
      t.strictSame(await docs.page.evaluate<string[]>('violations'), before, 'the dialog breaks no rule')
      t.notMatch(before.join('\n'), /session-ui/)
      const panel = docs.page.locator('.session-missing')
      t.equal(await panel.evaluate('getComputedStyle(document.querySelector(".session-missing")).borderLeftWidth'), '4px', 'the style sheet counts')
      t.equal(await docs.page.locator('script:not([src])').count(), 0)
    }
  })

  await t.test('routePrefix with and without a slash', async (t) => {
    for (const [routePrefix, path] of [['/docs', '/docs'], ['/docs', '/docs/'], ['/docs/', '/docs/'], ['/a/docs', '/a/docs']] as const) {
      const { url } = await docsApp(t, { ui: { routePrefix } })
      const docs = await DocsPage.open(t, browser, url, path)
      await docs.signIn(grace)
      t.equal(await docs.run('orders'), '200', `${routePrefix} at ${path}`)
    }
  })

  await t.test('what the app has there already is kept', async (t) => {
    const { url, calls } = await docsApp(t, {
      ui: {
        theme: {
          title: 'My shop',
          js: [{ filename: 'mine.js', content: 'globalThis.mine = 1' }],
          css: [{ filename: 'mine.css', content: '.swagger-ui .topbar { display: none }' }]
        },
        uiConfig: {
          docExpansion: 'full',
          plugins: [inBrowser('() => ({ wrapComponents: { Models: () => () => null } })')],
          requestInterceptor: inBrowser('(request) => { request.headers["X-Docs"] = "yes"; return request }')
        }
      }
    })
    const docs = await DocsPage.open(t, browser, url)
    t.equal(await docs.page.title(), 'My shop')
    t.equal(await docs.page.evaluate('globalThis.mine'), 1)
    t.equal(await docs.page.locator('.topbar').isVisible(), false)
    t.equal(await docs.page.locator('.models').count(), 0)
    await docs.signIn(grace)
    for (const path of ['/api/me', '/api/login']) t.equal(calls(path).at(-1)?.headers['x-docs'], 'yes', path)
  })

  await t.test('servers with a base path, and another one chosen', async (t) => {
    const { url, calls } = await docsApp(t, {
      document: { servers: [{ url: '/shop' }, { url: '/{place}', variables: { place: { default: 'market', enum: ['market', 'shop'] } } }] },
      routes: async (app) => { await app.register(api, { prefix: '/shop/api' }) }
    })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    t.equal(await docs.run('orders'), '200')
    t.match(calls('/shop/api/login'), [{ status: 200 }])
    t.equal(calls('/shop/api/me')[0]?.status, 401)

    const asked = docs.page.waitForResponse((response) => response.url() === `${url}/market/api/me`)
    await docs.page.locator('.servers select').first().selectOption('/{place}')
    t.equal((await asked).status(), 404)
    await docs.openDialog()
    await docs.form().getByText(/^The server could not say who is signed in: .*market/).waitFor()
    await docs.closeDialog()
    await docs.page.locator('.servers table select').selectOption('shop')
    await docs.openDialog()
    await docs.form().getByText(/^The server could not say/).waitFor({ state: 'detached' })
    await docs.says('Signed in')
  })

  await t.test('operations of another origin', async (t) => {
    let server = ''
    const page = async (withCredentials: boolean) => docsApp(t, {
      ui: { uiConfig: { withCredentials }, transformSpecification: (document) => ({ ...document, servers: [{ url: server }] }) }
    })
    const api = async (trusted: string[]) => docsApp(t, {
      plugins: async (app) => app.register(cors, { origin: true, credentials: true }),
      session: { crossOrigin: { trusted } }
    })
    const attempt = async (origin: string) => {
      const docs = await DocsPage.open(t, browser, origin)
      await docs.openDialog()
      await docs.form().getByText(`Calls go to another origin, ${server}`, { exact: false }).waitFor()
      await docs.enter(grace)
      await docs.button('Authorize').click()
      return docs
    }
    const open = await page(true)
    server = (await api([])).url
    const refused = await attempt(open.url)
    await refused.warns(/^A page of another origin may not do this\./)
    await refused.lock('orders', 'unlocked')

    server = (await api([open.url])).url
    const trusted = await attempt(open.url)
    await trusted.says('Signed in')
    await trusted.closeDialog()
    t.equal(await trusted.run('orders'), '200')

    const closed = await page(false)
    server = (await api([closed.url])).url
    await (await attempt(closed.url)).warns(/^The server took the sign-in, but the browser sent no session back\./)
  })
})
