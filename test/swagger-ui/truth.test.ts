import t from 'tap'
import { launchChromium } from '../support/browser.js'
import { grace } from './docs-api.js'
import { docsApp } from './docs-app.js'
import { DocsPage } from './docs-page.js'

t.test('locks and dialog follow the truth', async (t) => {
  const browser = await launchChromium(t)

  await t.test('operations run by hand sign in and out', async (t) => {
    const { url } = await docsApp(t)
    const docs = await DocsPage.open(t, browser, url)
    t.equal(await docs.run('login', { body: JSON.stringify(grace) }), '200')
    await docs.lock('orders', 'locked')
    await docs.page.getByRole('status').filter({ hasText: 'account: Signed in' }).waitFor()
    await docs.openDialog()
    await docs.says('Signed in')
    await docs.closeDialog()
    t.equal(await docs.run('logout'), '204')
    await docs.lock('orders', 'unlocked')
    await docs.page.getByRole('status').filter({ hasText: 'account: Signed out' }).waitFor()
  })

  await t.test('locks of operations that can do without a session', async (t) => {
    const { url } = await docsApp(t)
    const docs = await DocsPage.open(t, browser, url)
    await docs.lock('news', 'unlocked')
    await docs.lock('login', 'unlocked')
    await docs.signIn(grace)
    await docs.lock('news', 'locked')
    t.equal(await docs.operation('open').getByRole('button', { name: /authorization/ }).count(), 0)
    await docs.pressLock('news')
    await docs.says('Signed in')
  })

  await t.test('another tab', async (t) => {
    const { url, calls } = await docsApp(t, { settings: { poll: 0 } })
    const first = await (await DocsPage.open(t, browser, url)).asTab()
    const second = await (await DocsPage.open(t, first.page.context(), url)).asTab()
    await second.signIn(grace)
    await first.page.bringToFront()
    await first.lock('orders', 'locked')
    await first.openDialog()
    await first.says('Signed in')

    await second.page.bringToFront()
    t.equal(await second.run('logout'), '204')
    await first.page.bringToFront()
    await first.says('Signed out: the session has ended')
    t.equal(await first.field('username').evaluate('document.activeElement.name'), 'username')
    await first.lock('orders', 'unlocked')
    t.ok(calls('/api/me').every(({ setCookie }) => setCookie === undefined || /Max-Age=0/.test(setCookie)))
  })

  await t.test('expired on the server', async (t) => {
    const { url, clock } = await docsApp(t, { settings: { poll: 1 }, session: { idleTimeout: 600 } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    clock.advance(601_000)
    await docs.lock('orders', 'unlocked')
    await docs.page.getByRole('status').filter({ hasText: 'account: Signed out: the session has ended' }).waitFor()
    await docs.openDialog()
    await docs.says('Signed out: the session has ended')
    t.ok(await docs.button('Authorize').isVisible(), 'and the form is there to sign in again')
  })

  await t.test('revoked on the server, noticed by the next call', async (t) => {
    const { app, url } = await docsApp(t, { settings: { poll: 0 } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    t.equal(await app.account.revokeAll('grace'), 1)
    await docs.lock('orders', 'locked')
    t.equal(await docs.run('open'), '200')
    await docs.lock('orders', 'unlocked')
  })

  await t.test('revoked while the dialog is open', async (t) => {
    const { app, url } = await docsApp(t, { settings: { poll: 1 } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    await docs.openDialog()
    t.equal(await app.account.revokeAll('grace'), 1)
    await docs.says('Signed out: the session has ended')
    await docs.field('password').waitFor()
  })
})
