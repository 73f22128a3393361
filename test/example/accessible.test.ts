import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t from 'tap'
import { openChromium } from '../support/browser.js'
import { enter, heading, listen, open, signIn } from './browser.js'
import { ada } from './visitor.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation { id: string, nodes: Array<{ html: string }> }

t.test('for everybody', async (t) => {
  const browser = await openChromium()
  const shop = await listen(t)

  await t.test('every page is accessible, in light and in dark', async (t) => {
    // Without motion, or colours would be measured halfway from light to dark.
    const page = await open(t, browser, shop.url, { reducedMotion: 'reduce', colorScheme: 'light' })

    const violations = async (options: object): Promise<string[]> => {
      const { violations } = await page.evaluate(`axe.run(${JSON.stringify(options)})`) as { violations: Violation[] }
      return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
    }
    const check = async (name: string): Promise<void> => {
      await page.evaluate(axe)
      t.strictSame(await violations({ resultTypes: ['violations'] }), [], name)
      await page.emulateMedia({ colorScheme: 'dark' })
      t.strictSame(await violations({ resultTypes: ['violations'], runOnly: 'color-contrast' }), [], `${name}, dark`)
      await page.emulateMedia({ colorScheme: 'light' })
    }

    await page.goto('/')
    await check('home of a guest')
    await page.getByRole('button', { name: 'Add Sencha to cart' }).click()
    await page.getByRole('status').waitFor()
    await check('home with a message')
    await page.goto('/login')
    await check('login')
    await signIn(page, { ...ada, password: 'wrong' }, '/login')
    await page.getByRole('alert').waitFor()
    await check('login, wrong')
    await enter(page, shop, ada)
    for (const place of ['/', '/cart', '/account', '/sessions', '/admin', '/goodbye', '/nothing']) {
      await page.goto(place)
      await check(place)
    }
  })

  await t.test('on a phone, all of the navigation is in two rows, and wide enough for a finger', async (t) => {
    for (const width of [390, 360]) {
      const page = await open(t, browser, shop.url, { viewport: { width, height: 844 } })
      await enter(page, shop, ada)
      for (const place of ['/', '/cart', '/account', '/sessions', '/admin']) {
        await page.goto(place)
        t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, place)
      }
      const boxes = await page.evaluate<Array<{ y: number, width: number, height: number }>>(
        "[...document.querySelectorAll('header a, header button')].map((element) => element.getBoundingClientRect().toJSON())")
      t.equal(boxes.length, 7)
      t.same(boxes.filter(({ height, width }) => height < 40 || width < 40), [])
      t.equal(new Set(boxes.map(({ y, height }) => Math.round((y + height / 2) / 20))).size, 2, JSON.stringify(boxes))
    }
  })

  await t.test('with the keyboard alone', async (t) => {
    const page = await open(t, browser, shop.url)
    await page.goto('/')
    await page.keyboard.press('Tab')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content')
    await page.keyboard.press('Enter')
    await page.locator('#main:focus').waitFor()
    await page.goto('/login')
    await page.locator('input[name=username]:focus').waitFor()
    await page.keyboard.type(ada.username)
    await page.keyboard.press('Tab')
    await page.locator('input[name=password]:focus').waitFor()
    await page.keyboard.type(ada.password)
    await page.keyboard.press('Enter')
    await page.waitForURL('/')
    await heading(page, /Ada/)
  })
})
