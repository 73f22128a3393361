import t from 'tap'
import { openChromium } from '../support/browser.js'
import { createGate } from '../support/gate.js'
import { grace } from './docs-api.js'
import { docsApp, type DocsOptions, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

t.test('locks and dialog follow the truth', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(`calls by hand, and another tab: ${end.name}`, async (t) => {
      const { app, url, calls } = await docsApp(t, { ...end, settings: { poll: 0 } })
      const first = await (await DocsPage.open(t, browser, url)).asTab()

      for (const operation of ['orders', 'news', 'login']) await first.lock(operation, 'unlocked')
      t.equal(await first.operation('open').getByRole('button', { name: /authorization/ }).count(), 0)
      t.equal(await first.run('login', { body: JSON.stringify(grace) }), '200')
      for (const operation of ['orders', 'news']) await first.lock(operation, 'locked')
      await first.announces('Signed in')
      await first.pressLock('news')
      await first.says('Signed in')
      await first.closeDialog()
      t.equal(await first.run('logout'), '204')
      await first.lock('orders', 'unlocked')
      await first.announces('Signed out: the session has ended')

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
      await first.page.waitForFunction('document.activeElement.name === "username"')
      await first.lock('orders', 'unlocked')

      await first.enter(grace)
      await first.button('Sign in').click()
      await first.says('Signed in')
      await first.closeDialog()

      await first.lock('report', 'unlocked: a role is missing')
      const [session] = (await app.account.list('grace')).sessions
      await app.account.update(session?.id ?? '', (data) => { data.roles = ['admin'] })
      t.equal(await first.run('open'), '200', 'any call is an occasion to ask')
      await first.lock('report', 'locked')

      t.equal(await app.account.revokeAll('grace'), 1)
      t.equal(await first.run('open'), '200')
      await first.lock('orders', 'unlocked')
      t.ok(calls('/api/me').every(({ setCookie }) => setCookie === undefined || /Max-Age=0/.test(setCookie)))
    })

    await t.test(`a login is confirmed by a status that was requested after it, in one request for all that wait: ${end.name}`, async (t) => {
      const gate = createGate()
      const plugins: DocsOptions['plugins'] = async (app) => { app.addHook('onSend', async ({ url }) => { if (url === '/api/me') await gate.pass() }) }
      const { url, calls } = await docsApp(t, { ...end, plugins, settings: { poll: 0 } })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await gate.reached
      await docs.page.evaluate('for (let count = 0; count < 3; count++) dispatchEvent(new Event("focus"))')
      await docs.enter(grace)
      const entered = docs.page.waitForResponse((response) => response.url() === `${url}/api/login`)
      await docs.button('Sign in').click()
      t.equal(await (await entered).finished(), null)
      gate.open()
      await docs.says('Signed in')
      t.equal(await docs.form().getByRole('alert').innerText(), '')
      t.equal(calls('/api/me').length, 2)
    })

    await t.test(`expired, and revoked, on the server: ${end.name}`, async (t) => {
      const { app, url, clock } = await docsApp(t, { ...end, settings: { poll: 1 }, session: { idleTimeout: 600 } })
      const docs = await DocsPage.open(t, browser, url)
      await docs.signIn(grace)
      await docs.lock('orders', 'locked')
      clock.advance(601_000)
      await docs.lock('orders', 'unlocked')
      await docs.announces('Signed out: the session has ended')
      await docs.openDialog()
      await docs.says('Signed out: the session has ended')
      await docs.enter(grace)
      await docs.button('Sign in').click()
      await docs.says('Signed in')
      t.equal(await app.account.revokeAll('grace'), 1)
      await docs.says('Signed out: the session has ended')
      await docs.field('password').waitFor()
      await docs.lock('orders', 'unlocked')
    })
  }
})
