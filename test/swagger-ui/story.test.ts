import t from 'tap'
import { openChromium } from '../support/browser.js'
import { grace } from './docs-api.js'
import { docsApp, versions } from './docs-app.js'
import { DocsPage } from './docs-page.js'

// The whole way of a reader, over each Swagger UI: an upgrade that moves one of the hooks fails here.
t.test('sign in, call, sign out', async (t) => {
  const browser = await openChromium()
  const runs = Object.entries(versions).map(([name, plugin], index) => ({ name, plugin, openapi: index % 2 === 0 ? '3.0.3' : '3.1.0' } as const))

  for (const { name, plugin, openapi } of runs) {
    await t.test(`${name}, OpenAPI ${openapi}`, async (t) => {
      const { url, calls } = await docsApp(t, { plugin, openapi })
      const docs = await DocsPage.open(t, browser, url)
      await docs.openDialog()
      await docs.says('Signed out')
      await docs.lock('orders', 'unlocked')
      t.equal(calls('/api/me').length, 1, 'asked once')
      t.equal(await docs.page.locator('.session-announcer').count(), 1, 'one plugin, though Swagger UI calls it twice')
      t.equal(await docs.field('password').getAttribute('type'), 'password')
      t.equal(await docs.field('password').getAttribute('autocomplete'), 'current-password')
      t.equal(await docs.field('username').getAttribute('autocomplete'), 'username')
      await docs.enter({ ...grace, password: 'wrong' })
      await docs.field('password').press('Enter')
      await docs.warns('Unknown user name or wrong password.')
      await docs.lock('orders', 'unlocked')

      await docs.enter(grace)
      await docs.field('password').press('Enter')
      await docs.says('Signed in')
      t.equal(await docs.form().locator('dl').innerText(), 'user\ngrace\nroles\neditor')
      t.equal(await docs.field('password').count(), 0)
      await docs.closeDialog()
      await docs.lock('orders', 'locked')
      await docs.lock('report', 'unlocked: a role is missing')

      await docs.pressLock('report')
      await docs.form().getByText('This operation needs the role “admin”, which you do not have.').waitFor()
      await docs.closeDialog()

      t.equal(await docs.run('orders'), '200')
      t.match(await docs.curl('orders'), /__Host-session=YOUR_SESSION_COOKIE/)

      const cookies = await docs.page.context().cookies()
      t.match(cookies, [{ name: '__Host-session', httpOnly: true, secure: true, sameSite: 'Lax', path: '/' }])
      t.equal(cookies.length, 1, 'Swagger UI wrote none of its own')
      const cookie = `__Host-session=${cookies[0]?.value}`
      t.equal(calls('/api/orders').at(-1)?.cookie, cookie)
      t.match(calls('/api/login').at(-1), { body: grace, status: 200, setCookie: new RegExp(`^${cookie};`) })

      await docs.page.reload()
      await docs.lock('orders', 'locked')
      await docs.openDialog()
      await docs.says('Signed in')
      await docs.button('Sign out').click()
      await docs.says('Signed out')
      await docs.closeDialog()
      await docs.lock('orders', 'unlocked')
      t.match(calls('/api/logout'), [{ status: 204, cookie, setCookie: /Max-Age=0/ }])
      t.equal(await docs.run('orders'), '401')
      t.strictSame(await docs.storage(), {})
    })
  }
})
