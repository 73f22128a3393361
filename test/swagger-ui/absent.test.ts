import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { openChromium } from '../support/browser.js'
import { api, endSession, grace, quiet, twoSessions } from './docs-api.js'
import { docsApp, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

/** A session that starts on a page of its own, and whose status tells the roles in a place of its own. */
async function enterApi (app: FastifyInstance): Promise<void> {
  await app.register(api, { prefix: '/api' })
  const session = [{ account: [] }]
  app.get('/enter', { schema: { operationId: 'enter', security: [{}, ...session] } }, async (request, reply) => {
    request.account.start({ user: 'grace', roles: ['editor'] })
    return reply.type('text/html').send('<h1>Welcome</h1>')
  })
  app.get('/whoami', { config: quiet, schema: { operationId: 'whoami', security: session } }, async ({ account: { data } }) => ({
    who: { name: data.user, groups: data.roles }
  }))
  app.post('/leave', { schema: { operationId: 'leave', security: session } }, endSession)
  const staff = [{ account: ['editor', 'publisher', 'owner'] }, { account: ['editor', 'admin'] }]
  app.get('/press', { schema: { operationId: 'press', security: staff } }, async () => ({}))
  app.get('/edit', { schema: { operationId: 'edit', security: [{ account: ['editor'] }] } }, async () => ({}))
}

t.test('when the document does not name an operation', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(`no login, or nothing at all: how to sign in, instead of a box that lies: ${end.name}`, async (t) => {
      const { url, calls } = await docsApp(t, {
        ...end,
        ...twoSessions({ description: 'Sign in at the **desk**.' }),
        session: { openapi: { status: 'status' } },
        settings: { roles: '/nowhere' }
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await docs.says('Signed out')
      await docs.form().getByText(/^Sign in to the application itself, in this browser\./).waitFor()
      await docs.form().getByText(/^A session, kept in the cookie __Host-session/).waitFor()
      await docs.says('This page cannot ask whether you are signed in', 'staff')
      await docs.form('staff').getByText('Sign in at the desk.').waitFor()
      for (const scheme of ['account', 'staff']) {
        t.equal(await docs.form(scheme).locator('input').count(), 0, scheme)
        t.equal(await docs.button('Sign in', scheme).isVisible(), false, scheme)
      }
      await docs.closeDialog()
      t.equal(calls('/staff').length, 0)

      t.equal(await docs.run('login', { body: JSON.stringify(grace) }), '200')
      await docs.openDialog()
      await docs.says('Signed in')
      t.equal(await docs.button('Sign out').isVisible(), false, 'no logout is named either')
      await docs.closeDialog()

      // The roles are not where the page was told to look.
      await docs.lock('report', 'locked')
      await docs.pressLock('report')
      await docs.form().getByText('This operation needs the role “admin”.', { exact: true }).waitFor()
      await docs.closeDialog()
      t.equal(await docs.run('report'), '403')
    })

    await t.test(`a login that is a page to visit, roles elsewhere in the status: ${end.name}`, async (t) => {
      const { url } = await docsApp(t, {
        ...end, routes: enterApi, settings: { roles: '/who/groups' }, session: { openapi: { login: 'enter', status: 'whoami', logout: 'leave' } }
      })
      const docs = await (await DocsPage.open(t, browser, url)).asTab()
      await docs.openDialog()
      await docs.says('Signed out')
      const link = docs.form().getByRole('link', { name: 'Sign in on its own page' })
      await docs.page.waitForFunction('document.activeElement.href !== undefined')
      t.equal(await link.evaluate('document.activeElement.href'), `${url}/enter`)
      t.equal(await docs.button('Sign in').isVisible(), false)
      const [popup] = await Promise.all([docs.page.waitForEvent('popup'), link.click()])
      await popup.getByText('Welcome').waitFor()
      await popup.close()
      await docs.page.bringToFront()
      await docs.says('Signed in')
      await docs.closeDialog()

      await docs.lock('edit', 'locked')
      await docs.lock('press', 'unlocked: a role is missing')
      await docs.pressLock('press')
      const missing = docs.form().getByText('This operation needs the role “admin”, which you do not have.')
      await missing.waitFor()
      t.ok(await missing.isVisible(), 'the role that is missing is named')
    })
  }
})
