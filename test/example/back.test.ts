import t from 'tap'
import { openChromium } from '../support/browser.js'
import { listen, open, signIn } from './browser.js'
import { grace } from './visitor.js'

t.test('the back button after signing out shows nothing private, with the back/forward cache on', async (t) => {
  const browser = await openChromium()
  const page = await open(t, browser, (await listen(t)).url)
  const back = async (to: string): Promise<void> => {
    const there = page.waitForURL(to, { waitUntil: 'commit' })
    await page.evaluate('history.back()').catch(() => {})
    await there
  }

  await page.goto('/goodbye')
  await page.evaluate('globalThis.kept = true')
  await page.goto('/login')
  await back('/goodbye')
  t.equal(await page.evaluate('globalThis.kept'), true, 'the cache is on: a public page comes out of it')

  // Runs before the page's own script.
  await page.addInitScript("addEventListener('pageshow', (event) => { if (event.persisted) console.log('blank: ' + document.documentElement.hidden) })")
  const restored: string[] = []
  page.on('console', (message) => { if (message.text().startsWith('blank: ')) restored.push(message.text()) })
  await page.goto('/login?next=/account')
  await signIn(page, grace, '/account')
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForURL('/goodbye')
  await back('/login?next=%2Faccount')
  t.notMatch(await page.content(), /Hopper/)
  t.strictSame(restored.filter((state) => state !== 'blank: true'), [], 'if the private page came out of the cache too, then blank')
})
