import t from 'tap'
import { launchChromium } from '../support/browser.js'
import { api, endSession, grace, quiet } from './docs-api.js'
import { docsApp } from './docs-app.js'
import { DocsPage } from './docs-page.js'

t.test('when the document does not name an operation', async (t) => {
  const browser = await launchChromium(t)

  await t.test('no login: how to sign in, instead of a box that lies', async (t) => {
    const { url } = await docsApp(t, { session: { openapi: { status: 'status' } } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.openDialog()
    await docs.says('Signed out')
    await docs.form().getByText(/^Sign in to the application itself, in this browser\./).waitFor()
    await docs.form().getByText(/^A session, kept in the cookie __Host-session/).waitFor()
    t.equal(await docs.form().locator('input').count(), 0)
    t.equal(await docs.button('Authorize').isVisible(), false)
    await docs.closeDialog()
    t.equal(await docs.run('login', { body: JSON.stringify(grace) }), '200')
    await docs.openDialog()
    await docs.says('Signed in')
    t.equal(await docs.button('Logout').isVisible(), false)
  })

  await t.test('nothing named', async (t) => {
    const { url, calls } = await docsApp(t, { session: { openapi: { description: 'Sign in at the **desk**.' } } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.openDialog()
    await docs.says('This page cannot ask whether you are signed in')
    await docs.form().getByText('Sign in at the desk.').waitFor()
    t.equal(await docs.form().locator('input').count(), 0)
    t.equal(await docs.button('Authorize').isVisible(), false)
    t.equal(calls('/api').length, 0)
  })

  await t.test('a login that is a page to visit', async (t) => {
    const { url } = await docsApp(t, {
      routes: (app) => {
        const session = [{ account: [] }]
        app.get('/enter', { schema: { operationId: 'login', security: [{}, ...session] } }, async (request, reply) => {
          request.account.start({ user: 'ada', roles: [] })
          return reply.type('text/html').send('<h1>Welcome</h1>')
        })
        app.get('/me', { config: quiet, schema: { operationId: 'status', security: session } }, async (request) => request.account.data)
        app.post('/logout', { schema: { operationId: 'logout', security: session } }, endSession)
      }
    })
    const docs = await (await DocsPage.open(t, browser, url)).asTab()
    await docs.openDialog()
    const link = docs.form().getByRole('link', { name: 'Sign in on its own page' })
    t.equal(await link.evaluate('document.activeElement.href'), `${url}/enter`)
    t.equal(await docs.button('Authorize').isVisible(), false)
    const [popup] = await Promise.all([docs.page.waitForEvent('popup'), link.click()])
    await popup.getByText('Welcome').waitFor()
    await popup.close()
    await docs.page.bringToFront()
    await docs.says('Signed in')
    await docs.lock('status', 'locked')
  })

  await t.test('a status that does not tell roles', async (t) => {
    const { url } = await docsApp(t, { settings: { roles: '/nowhere' } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    await docs.lock('report', 'locked')
    await docs.pressLock('report')
    await docs.form().getByText('This operation needs the role “admin”.').waitFor()
    await docs.closeDialog()
    t.equal(await docs.run('report'), '403')
  })

  await t.test('roles elsewhere in the status', async (t) => {
    const { url } = await docsApp(t, {
      settings: { roles: '/who/groups' },
      session: { openapi: { login: 'login', status: 'whoami' } },
      routes: async (app) => {
        await app.register(api, { prefix: '/api' })
        app.get('/whoami', { config: quiet, schema: { operationId: 'whoami', security: [{ account: [] }] } }, async ({ account: { data } }) => ({
          who: { name: data.user, groups: data.roles }
        }))
        const staff = [{ account: ['editor', 'publisher', 'owner'] }, { account: ['editor', 'admin'] }]
        app.get('/press', { schema: { operationId: 'press', security: staff } }, async () => ({}))
        app.get('/edit', { schema: { operationId: 'edit', security: [{ account: ['editor'] }] } }, async () => ({}))
      }
    })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    await docs.lock('edit', 'locked')
    await docs.lock('press', 'unlocked')
    await docs.pressLock('press')
    const missing = docs.form().getByText('This operation needs the role “admin”, which you do not have.')
    await missing.waitFor()
    t.ok(await missing.isVisible(), 'the role that is missing is named')
  })
})
