import t from 'tap'
import { MemoryStore, type SessionStore } from 'fastify-openapi-session'
import { openChromium } from '../support/browser.js'
import { grace, twoSessions } from './docs-api.js'
import { docsApp, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

const unsure = /^The server could not say who is signed in: /

t.test('what cannot be known for sure', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    await t.test(`asking again and again: ${end.name}`, async (t) => {
      const store: SessionStore = new MemoryStore()
      const read = store.read.bind(store)
      const { app, url, clock, calls } = await docsApp(t, { ...end, session: { store, idleTimeout: 600 } })
      const context = await browser.newContext()
      t.teardown(() => context.close())
      await context.clock.install()
      const docs = await DocsPage.open(t, context, url)
      /** Half a minute at the page, in which it asks once. */
      const poll = async (status: number) => Promise.all([
        docs.page.waitForResponse((response) => response.url().endsWith('/api/me') && response.status() === status),
        context.clock.runFor(30_000)
      ])

      await docs.signIn(grace)
      for (const milliseconds of [250_000, 250_000]) {
        clock.advance(milliseconds)
        await poll(200)
      }
      clock.advance(101_000)
      await poll(401)
      await docs.lock('orders', 'unlocked')

      await docs.openDialog()
      await docs.enter(grace)
      await docs.button('Sign in').click()
      await docs.says('Signed in')
      store.read = async () => { throw new Error('down') }
      await poll(503)
      await docs.form().getByText(unsure).waitFor()
      await docs.says('Signed in')
      await docs.lock('orders', 'locked')
      store.read = read
      await poll(200)
      await docs.form().getByText(unsure).waitFor({ state: 'detached' })
      await docs.says('Signed in')
      await docs.closeDialog()

      const before = calls('/api/me').length
      await context.clock.runFor(3_600_000)
      const asked = calls('/api/me').length - before
      t.ok(asked >= 1 && asked <= 10, `a page that was left alone asked ${asked} times in an hour`)
      await app.account.revokeAll('grace')
      await docs.page.mouse.move(300, 300)
      await docs.lock('orders', 'unlocked')

      await docs.openDialog()
      await docs.enter(grace)
      await app.close()
      await docs.button('Sign in').click()
      await docs.warns(new RegExp(`^No response from ${url}: `))
      await docs.lock('orders', 'unlocked')
      t.equal(await docs.field('username').inputValue(), grace.username, 'what was typed is still there')
    })

    await t.test(`a cookie that does not arrive, and a session without a status operation: ${end.name}`, async (t) => {
      const { app, url } = await docsApp(t, {
        ...end, ...twoSessions({ login: 'staffLogin', logout: 'staffLogout' }), session: { cookie: { name: 'sid', domain: 'another.test' } }
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await docs.says('Signed out')
      await docs.enter(grace)
      await docs.button('Sign in').click()
      await docs.warns(/^The server accepted the login, but the browser sent no session cookie back\./)
      await docs.lock('orders', 'unlocked')
      t.equal((await docs.page.context().cookies()).length, 0, 'the browser has no cookie')

      await docs.says('This page cannot ask whether you are signed in', 'staff')
      await docs.enter(grace, 'staff')
      await docs.button('Sign in', 'staff').click()
      await docs.says('Signed in', 'staff')
      await docs.button('Sign out', 'staff').click()
      await docs.says('Signed out', 'staff')
      await docs.closeDialog()
      t.equal(await docs.run('staffLogin', { body: JSON.stringify(grace) }), '200')
      await docs.lock('stock', 'unlocked')
      t.equal(await docs.run('stock'), '200')
      await docs.lock('stock', 'locked')
      await app.staff.revokeAll('grace')
      t.equal(await docs.run('stock'), '401')
      await docs.lock('stock', 'unlocked')
    })
  }
})
