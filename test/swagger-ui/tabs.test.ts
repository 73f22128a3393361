import t from 'tap'
import { openChromium } from '../support/browser.js'
import { grace } from './docs-api.js'
import { docsApp, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

t.test('another tab shows at once that the reader has signed in or out, without polling and without a look at it', async (t) => {
  const browser = await openChromium()
  for (const end of ends) {
    await t.test(end.name, async (t) => {
      const { url, calls } = await docsApp(t, { ...end, settings: { poll: 0 } })
      const context = await browser.newContext()
      t.teardown(() => context.close())
      const [first, second] = [await DocsPage.open(t, context, url), await DocsPage.open(t, context, url)]
      await second.lock('orders', 'unlocked')
      await first.signIn(grace)
      await second.lock('orders', 'locked')
      await first.openDialog()
      await first.button('Sign out').click()
      await first.says('Signed out')
      await second.lock('orders', 'unlocked')
      const asked = calls('/api/me').length
      t.ok(asked <= 2 + 2 * 3, `the status was asked ${asked} times: at load, and for each change by both tabs and once more`)
    })
  }
})
