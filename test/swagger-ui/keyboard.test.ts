import t from 'tap'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { openChromium } from '../support/browser.js'
import { grace } from './docs-api.js'
import { docsApp, ends, versions } from './docs-app.js'
import { DocsPage } from './docs-page.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Returns what axe-core finds wrong with the dialog (WCAG 2.2 A and AA), on a light page and on a dark one. */
async function problems ({ page }: DocsPage): Promise<string[]> {
  if (!await page.evaluate<boolean>('"axe" in globalThis')) {
    await page.evaluate(axe)
    // Or colors would be measured halfway from light to dark.
    await page.addStyleTag({ content: '* { transition: none !important }' })
  }
  const found: string[] = []
  for (const dark of [true, false]) {
    found.push(...await page.evaluate<string[]>(`document.documentElement.classList.toggle('dark-mode', ${dark}),
      axe.run(document.querySelector('.session-dialog'), { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] })
      .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`))
  }
  return found
}

/** The element with the focus, in words. */
async function focused ({ page }: DocsPage): Promise<string> {
  return page.evaluate<string>(`(() => {
    const { activeElement: element } = document
    return element.getAttribute('name') ?? element.getAttribute('aria-label') ?? element.innerText
  })()`)
}

/** The dialog of a guest as a screen reader finds it, in this order. */
const readAloud = new RegExp([
  'dialog "Available authorizations"',
  'button "Close"',
  'heading "account \\(cookie session\\)"',
  'status: Signed out',
  'textbox "username"',
  'textbox "password"',
  'alert',
  'button "Sign in"',
  'button "Close"'
].join('[^]*'))

t.test('keyboard and screen reader', async (t) => {
  const browser = await openChromium()

  for (const [name, plugin] of Object.entries(versions)) {
    await t.test(`signing in and out without a mouse: ${name}`, async (t) => {
      const { url } = await docsApp(t, { plugin, settings: { poll: 0 } })
      const docs = await DocsPage.open(t, browser, url)
      const { keyboard } = docs.page
      await docs.page.locator('.auth-wrapper .authorize').focus()
      await keyboard.press('Enter')
      await docs.says('Signed out')
      await docs.page.waitForFunction('document.activeElement.name === "username"')
      t.strictSame(await problems(docs), [])
      t.match(await docs.dialog.ariaSnapshot(), readAloud)
      await keyboard.type(grace.username)
      await keyboard.press('Tab')
      t.equal(await focused(docs), 'password')
      await keyboard.type('wrong')
      await keyboard.press('Enter')
      await docs.warns('Unknown user name or wrong password.')
      await docs.page.waitForFunction('document.activeElement.name === "password"')
      const described = await docs.field('password').getAttribute('aria-describedby')
      t.equal(await docs.page.locator(`[id="${described}"]`).innerText(), 'Unknown user name or wrong password.')
      t.strictSame(await problems(docs), [])

      await keyboard.press('Control+A')
      await keyboard.type(grace.password)
      await keyboard.press('Enter')
      await docs.says('Signed in')
      await docs.page.waitForFunction('document.activeElement.innerText === "Signed in"')
      t.strictSame(await problems(docs), [])

      // Around the dialog: its last stop leads to its first, and back.
      await keyboard.press('Tab')
      t.equal(await focused(docs), 'Sign out')
      await keyboard.press('Tab')
      t.equal(await focused(docs), 'Close')
      await keyboard.press('Tab')
      t.equal(await focused(docs), 'Close')
      await keyboard.press('Shift+Tab')
      await keyboard.press('Shift+Tab')
      await keyboard.press('Enter')
      await docs.says('Signed out')
      await docs.page.waitForFunction('document.activeElement.name === "username"')

      await keyboard.press('Escape')
      await docs.dialog.waitFor({ state: 'detached' })
      t.equal(await focused(docs), 'Authorize', 'back where it was')

      await docs.signIn(grace)
      await docs.pressLock('report')
      await docs.page.waitForFunction('document.activeElement.innerText === "Signed in"')
      t.strictSame(await problems(docs), [])
      await keyboard.press('Escape')
      await docs.dialog.waitFor({ state: 'detached' })
      t.equal(await focused(docs), 'authorization button unlocked: a role is missing')
    })
  }

  for (const end of ends) {
    await t.test(`the focus stays with a scheme that the reader is busy with: ${end.name}`, async (t) => {
      const { app, url } = await docsApp(t, {
        ...end,
        settings: { poll: 1 },
        document: { components: { securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-Key' } } } }
      })
      const docs = await DocsPage.open(t, browser, url)
      await docs.signIn(grace)
      await docs.openDialog()
      await docs.form('key').locator('input').focus()
      await app.account.revokeAll('grace')
      await docs.says('Signed out: the session has ended')
      await docs.page.keyboard.type('k1')
      t.equal(await docs.form('key').locator('input').inputValue(), 'k1')
    })
  }
})
