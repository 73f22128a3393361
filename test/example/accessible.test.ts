import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t from 'tap'
import { launchChromium } from '../support/browser.js'
import { listen, open, signIn } from './browser.js'
import { ada } from './visitor.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation { id: string, nodes: Array<{ html: string }> }

t.test('every page is accessible, in light and in dark', async (t) => {
  // Without motion, or colours would be measured halfway from light to dark.
  const page = await open(t, await launchChromium(t), await listen(t), { reducedMotion: 'reduce' })

  const violations = async (options: object): Promise<string[]> => {
    const { violations } = await page.evaluate(`axe.run(${JSON.stringify(options)})`) as { violations: Violation[] }
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
  }
  const check = async (name: string): Promise<void> => {
    await page.evaluate(axe)
    await page.emulateMedia({ colorScheme: 'light' })
    t.strictSame(await violations({}), [], name)
    await page.emulateMedia({ colorScheme: 'dark' })
    t.strictSame(await violations({ runOnly: 'color-contrast' }), [], `${name}, dark`)
  }

  await page.goto('/')
  await check('home of a guest')
  await page.getByRole('button', { name: 'Add Sencha to cart' }).click()
  await check('home with a message')
  await page.goto('/login')
  await check('login')
  await signIn(page, { ...ada, password: 'wrong' })
  await check('login, wrong')
  await signIn(page, ada)
  for (const place of ['/', '/cart', '/account', '/sessions', '/admin', '/goodbye', '/nothing']) {
    await page.goto(place)
    await check(place)
  }
})

t.test('with the keyboard alone', async (t) => {
  const page = await open(t, await launchChromium(t), await listen(t))
  await page.goto('/')
  await page.keyboard.press('Tab')
  t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content')
  await page.keyboard.press('Enter')
  t.equal(await page.evaluate('document.activeElement.id'), 'main')
  await page.goto('/login')
  await page.locator('input[name=username]:focus').waitFor()
  await page.keyboard.type(ada.username)
  await page.keyboard.press('Tab')
  await page.keyboard.type(ada.password)
  await page.keyboard.press('Enter')
  await page.waitForURL('/')
  t.match(await page.getByRole('heading', { level: 1 }).innerText(), /Ada/)
})
