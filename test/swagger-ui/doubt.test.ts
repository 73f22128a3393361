import t from 'tap'
import { MemoryStore } from 'fastify-openapi-session'
import { launchChromium } from '../support/browser.js'
import { grace } from './docs-api.js'
import { docsApp } from './docs-app.js'
import { DocsPage } from './docs-page.js'

t.test('what cannot be known for sure', async (t) => {
  const browser = await launchChromium(t)

  await t.test('asking does not keep the session alive', async (t) => {
    const { url, clock, calls } = await docsApp(t, { settings: { poll: 1 }, session: { idleTimeout: 600 } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    for (let i = 0; i < 2; i++) {
      clock.advance(250_000)
      await docs.page.waitForResponse((response) => response.url().endsWith('/api/me') && response.status() === 200)
    }
    clock.advance(101_000)
    await docs.lock('orders', 'unlocked')
    t.ok(calls('/api/me').length > 4)
  })

  await t.test('a page that was left alone asks no more, until somebody comes back', async (t) => {
    const { app, url, calls } = await docsApp(t)
    const context = await browser.newContext()
    t.teardown(() => context.close())
    await context.clock.install()
    const docs = await DocsPage.open(t, context, url)
    await docs.signIn(grace)
    const before = calls('/api/me').length
    await context.clock.runFor(3_600_000)
    const asked = calls('/api/me').length - before
    t.ok(asked >= 1 && asked <= 10, `asked ${asked} times in an hour`)
    await app.account.revokeAll('grace')
    await docs.page.mouse.move(300, 300)
    await docs.lock('orders', 'unlocked')
  })

  await t.test('a server that cannot tell', async (t) => {
    const store = new MemoryStore()
    const read = store.read.bind(store)
    const { url } = await docsApp(t, { settings: { poll: 1 }, session: { store } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.signIn(grace)
    store.read = async () => { throw new Error('down') }
    await docs.openDialog()
    await docs.form().getByText(/^The server could not say who is signed in: /).waitFor()
    await docs.says('Signed in')
    await docs.lock('orders', 'locked')
    store.read = read
    await docs.form().getByText(/^The server could not say/).waitFor({ state: 'detached' })
    await docs.says('Signed in')
    t.equal(await docs.form().getByText(/^The server could not say/).count(), 0, 'the doubt is over')
  })

  await t.test('a server that is gone', async (t) => {
    const { app, url } = await docsApp(t)
    const docs = await DocsPage.open(t, browser, url)
    await docs.openDialog()
    await docs.enter(grace)
    await app.close()
    await docs.button('Authorize').click()
    await docs.warns(new RegExp(`^No answer from ${url}: `))
    await docs.lock('orders', 'unlocked')
    t.equal(await docs.field('username').inputValue(), grace.username, 'what was typed is still there')
  })

  await t.test('a sign-in whose cookie does not arrive', async (t) => {
    const { url } = await docsApp(t, { session: { cookie: { name: 'sid', domain: 'another.test' } } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.openDialog()
    await docs.enter(grace)
    await docs.button('Authorize').click()
    await docs.warns(/^The server took the sign-in, but the browser sent no session back\./)
    await docs.lock('orders', 'unlocked')
    t.equal((await docs.page.context().cookies()).length, 0, 'the browser has no cookie')
  })

  await t.test('without a status operation: what was seen', async (t) => {
    const { app, url } = await docsApp(t, { session: { openapi: { login: 'login', logout: 'logout' } } })
    const docs = await DocsPage.open(t, browser, url)
    await docs.openDialog()
    await docs.says('This page cannot ask whether you are signed in')
    await docs.enter(grace)
    await docs.button('Authorize').click()
    await docs.says('Signed in')
    await docs.button('Logout').click()
    await docs.says('Signed out')
    await docs.closeDialog()
    t.equal(await docs.run('login', { body: JSON.stringify(grace) }), '200')
    await docs.lock('orders', 'unlocked')
    t.equal(await docs.run('orders'), '200')
    await docs.lock('orders', 'locked')
    await app.account.revokeAll('grace')
    t.equal(await docs.run('orders'), '401')
    await docs.lock('orders', 'unlocked')
  })
})
