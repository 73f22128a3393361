import t from 'tap'
import { openChromium } from '../support/browser.js'
import { grace } from './docs-api.js'
import { docsApp, ends } from './docs-app.js'
import { DocsPage } from './docs-page.js'

const watchPolicy = `
  globalThis.violations = []
  addEventListener('securitypolicyviolation', (event) => violations.push([event.effectiveDirective, event.blockedURI, event.sourceFile].join(' ')))
`

/** Each policy with one of the ways to write and to visit the prefix; story.test.ts has neither slash nor policy. */
const served = [
  { staticCSP: true, routePrefix: '/docs', path: '/docs/' },
  { staticCSP: { 'default-src': "'self'" }, routePrefix: '/a/docs/', path: '/a/docs/' }
] as const

t.test('under content security policies, with and without a slash at the end', async (t) => {
  const browser = await openChromium()

  for (const end of ends) {
    for (const { staticCSP, routePrefix, path } of served) {
      await t.test(`${end.name}: ${JSON.stringify(staticCSP)}, ${routePrefix} at ${path}`, async (t) => {
        const { url } = await docsApp(t, { ...end, ui: { routePrefix, staticCSP } })
        const context = await browser.newContext()
        t.teardown(() => context.close())
        await context.addInitScript(watchPolicy)
        const docs = await DocsPage.open(t, context, url, path)
        await docs.lock('orders', 'unlocked')
        const before = await docs.page.evaluate<string[]>('violations')
        await docs.signIn(grace)
        await docs.pressLock('report')
        const panel = docs.page.locator('.session-missing')
        t.equal(await panel.evaluate('getComputedStyle(document.querySelector(".session-missing")).borderLeftWidth'), '4px', 'the style sheet counts')
        t.strictSame(await docs.page.evaluate<string[]>('violations'), before, 'the dialog breaks no rule')
        t.notMatch(before.join('\n'), /session-ui/)
        t.equal(await docs.page.locator('script:not([src])').count(), 0)
        await docs.closeDialog()
        t.equal(await docs.run('orders'), '200')
      })
    }
  }
})
