import t, { type Test } from 'tap'
import cors from '@fastify/cors'
import { openChromium } from '../support/browser.js'
import { api, grace } from './docs-api.js'
import { docsApp, type DocsOptions, ends, inBrowser } from './docs-app.js'
import { DocsPage } from './docs-page.js'

/** What an app may have there already, and an API under a base path. */
const options: DocsOptions = {
  ui: {
    theme: {
      title: 'My shop',
      js: [{ filename: 'mine.js', content: 'globalThis.mine = 1; localStorage.authorized = "of another tool"' }],
      css: [{ filename: 'mine.css', content: '.swagger-ui .topbar { display: none }' }]
    },
    uiConfig: {
      docExpansion: 'full',
      plugins: [inBrowser('() => ({ wrapComponents: { Models: () => () => null } })')],
      requestInterceptor: inBrowser('(request) => { request.headers["X-Docs"] = "yes"; return request }')
    }
  },
  document: { servers: [{ url: '/shop' }, { url: '/{place}', variables: { place: { default: 'market', enum: ['market', 'shop'] } } }] },
  routes: async (app) => { await app.register(api, { prefix: '/shop/api' }) }
}

/** An API that pages of another origin may call. */
async function foreignApi (t: Test, trusted: string[]): Promise<string> {
  const { url } = await docsApp(t, {
    plugins: async (app) => app.register(cors, { origin: true, credentials: true }),
    session: { crossOrigin: { trusted } }
  })
  return url
}

t.test('in the page that @fastify/swagger-ui serves', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(`what the app has there already is kept; servers with a base path, and another one chosen: ${end.name}`, async (t) => {
      const { url, calls } = await docsApp(t, { ...end, ...options })
      const docs = await DocsPage.open(t, browser, url)
      t.equal(await docs.page.title(), 'My shop')
      t.equal(await docs.page.evaluate('globalThis.mine'), 1)
      t.equal(await docs.page.locator('.topbar').isVisible(), false)
      t.equal(await docs.page.locator('.models').count(), 0)
      await docs.signIn(grace)
      t.equal(await docs.run('orders'), '200')
      t.match(calls('/shop/api/login'), [{ status: 200 }])
      t.equal(calls('/shop/api/me')[0]?.status, 401)
      for (const path of ['me', 'login', 'orders']) t.equal(calls(`/shop/api/${path}`).at(-1)?.headers['x-docs'], 'yes', path)
      t.strictSame(await docs.storage(), { authorized: 'of another tool' })

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

    await t.test(`operations of another origin: ${end.name}`, async (t) => {
      let servers: string[] = []
      const page = async (withCredentials: boolean) => docsApp(t, {
        ...end,
        ui: { uiConfig: { withCredentials }, transformSpecification: (document) => ({ ...document, servers: servers.map((url) => ({ url })) }) }
      })
      const attempt = async (docs: DocsPage, server: string | undefined): Promise<void> => {
        await docs.openDialog()
        await docs.form().getByText(`Calls go to another origin, ${server}`, { exact: false }).waitFor()
        await docs.says('Signed out')
        await docs.enter(grace)
        await docs.button('Sign in').click()
      }
      const { url } = await page(true)
      servers = [await foreignApi(t, []), await foreignApi(t, [url])]
      const docs = await DocsPage.open(t, browser, url)
      await attempt(docs, servers[0])
      await docs.warns(/^A page of another origin sent this request\./)
      await docs.lock('orders', 'unlocked')
      await docs.closeDialog()
      await docs.page.locator('.servers select').first().selectOption(servers[1] ?? '')
      await attempt(docs, servers[1])
      await docs.says('Signed in')
      await docs.closeDialog()
      t.equal(await docs.run('orders'), '200')

      const closed = await page(false)
      servers = [await foreignApi(t, [closed.url])]
      const without = await DocsPage.open(t, browser, closed.url)
      await attempt(without, servers[0])
      await without.warns(/^The server accepted the login, but the browser sent no session cookie back\./)
    })
  }
})
