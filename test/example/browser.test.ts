import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { buildApp } from '../../example/app.js'
import { launchChromium } from '../support/browser.js'
import { ada, grace } from './visitor.js'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The example, listening. */
async function listen (t: Test): Promise<string> {
  const app = await buildApp({ loginAttempts: 1000 })
  t.teardown(() => app.close())
  await app.listen({ port: 0, host: 'localhost' })
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return `http://localhost:${address.port}`
}

/** Somebody's browser: cookies of its own. What a page's policy or the console complains of fails the test. */
async function open (t: Test, browser: Browser, baseURL: string, options: object = {}): Promise<Page> {
  const context: BrowserContext = await browser.newContext({ baseURL, ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  page.on('pageerror', (error) => t.fail(error.message))
  page.on('console', (message) => {
    // Chromium reports each answer of 4xx as an error.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) t.fail(message.text())
  })
  return page
}

async function signIn (page: Page, { username, password }: typeof ada): Promise<void> {
  await page.getByLabel('User name').fill(username)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
}

const path = (page: Page): string => new URL(page.url()).pathname
const heading = async (page: Page): Promise<string> => await page.getByRole('heading', { level: 1 }).innerText()

t.test('in the browser', async (t) => {
  const browser = await launchChromium(t)
  const url = await listen(t)

  await t.test('visit, sign in wrong, sign in right, cart kept, sign out, back', async (t) => {
    const page = await open(t, browser, url)
    await page.goto('/')
    await page.getByRole('button', { name: 'Add Sencha to cart' }).click()
    t.equal(await page.getByRole('status').innerText(), 'Sencha is in your cart.')
    await page.getByRole('link', { name: 'Cart 1' }).click()
    await page.getByRole('link', { name: 'Sign in to order' }).click()

    await signIn(page, { ...grace, password: 'wrong' })
    t.match(await page.getByRole('alert').innerText(), /do not go together/)
    t.match(await page.title(), /^Error/)
    t.equal(await page.evaluate('document.activeElement.id'), 'password', 'the cursor is where it is needed')
    t.equal(await page.getByLabel('User name').inputValue(), 'grace')

    await signIn(page, grace)
    t.equal(path(page), '/cart', 'back where they were going')
    t.equal(await page.getByRole('status').innerText(), 'Welcome, Grace Hopper.')
    t.match(await page.getByRole('row').allInnerTexts(), ['Tea', /^Sencha/, /^Total/])
    await page.reload()
    t.equal(await page.getByRole('status').count(), 0, 'the message is shown once')

    const cookie = (await page.context().cookies()).find(({ name }) => name === '__Host-session')
    t.match(cookie, { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' })
    t.equal(await page.evaluate('document.cookie'), '')

    await page.getByRole('link', { name: 'Account' }).click()
    t.equal(await heading(page), 'Your account')
    await page.getByRole('button', { name: 'Sign out' }).click()
    t.equal(await heading(page), 'You are signed out.')
    await page.goBack()
    t.equal(path(page), '/login', 'the back button leads to the login page')
    t.notMatch(await page.content(), /Hopper/)
    await page.goBack()
    t.notMatch(await page.content(), /Hopper/)
  })

  await t.test('a second browser is signed out from the first', async (t) => {
    const first = await open(t, browser, url)
    const second = await open(t, browser, url, { userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' })
    for (const page of [first, second]) {
      await page.goto('/login')
      await signIn(page, grace)
    }
    await second.getByRole('link', { name: 'Account' }).click()
    await first.getByRole('link', { name: 'Sessions' }).click()
    const entry = first.getByRole('listitem').filter({ hasText: 'Firefox on Linux' })
    await entry.getByRole('button', { name: /^Sign out/ }).click()
    t.equal(await first.getByRole('status').innerText(), 'That session has ended.')
    await second.reload()
    t.equal(path(second), '/login')

    await signIn(second, grace)
    t.equal(path(second), '/account')
    await first.reload()
    await first.getByRole('button', { name: 'Sign out everywhere else' }).click()
    t.equal(await first.getByRole('status').innerText(), 'One other session has ended.')
    await second.reload()
    t.equal(path(second), '/login')
    await first.getByRole('link', { name: 'Account' }).click()
    t.equal(await heading(first), 'Your account', 'the first is still signed in')
  })

  await t.test('the admin page', async (t) => {
    const page = await open(t, browser, url)
    await page.goto('/admin')
    await signIn(page, grace)
    t.equal(await heading(page), 'Not for you')
    await page.goto('/')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.goto('/admin')
    await signIn(page, ada)
    t.match(await page.getByRole('row', { name: /Grace Hopper/ }).innerText(), /grace/)
  })

  await t.test('with the keyboard alone', async (t) => {
    const page = await open(t, browser, url)
    await page.goto('/')
    await page.keyboard.press('Tab')
    t.equal(await page.evaluate('document.activeElement.textContent'), 'Skip to the content')
    await page.keyboard.press('Enter')
    t.equal(await page.evaluate('document.activeElement.id'), 'main')
    await page.goto('/login')
    await page.keyboard.type('grace')
    await page.keyboard.press('Tab')
    await page.keyboard.type(grace.password)
    await page.keyboard.press('Enter')
    await page.waitForURL('/')
    t.match(await heading(page), /Grace/)
  })

  await t.test('a page of another site cannot act as the visitor', async (t) => {
    const page = await open(t, browser, url)
    await page.goto('/login')
    await signIn(page, grace)
    // Same host, another port: another origin that gets the cookie all the same, SameSite or not.
    const evil = await listen(t)
    const attack = await page.context().newPage()
    await attack.route('**/attack', (route) => route.fulfill({
      contentType: 'text/html', body: `<form method="post" action="${url}/logout"><button>Win a prize</button></form>`
    }))
    await attack.goto(`${evil}/attack`)
    const answer = attack.waitForResponse(`${url}/logout`)
    await attack.getByRole('button').click()
    t.equal((await answer).status(), 403)
    await page.goto('/account')
    t.equal(await heading(page), 'Your account', 'still signed in')
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    await t.test(`accessible, ${colorScheme}`, async (t) => {
      const page = await open(t, browser, url, { colorScheme })
      const check = async (name: string): Promise<void> => {
        await page.evaluate(axe)
        const { violations } = await page.evaluate('axe.run()') as { violations: Array<{ id: string, nodes: Array<{ html: string }> }> }
        t.strictSame(violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]), [], name)
      }
      await page.goto('/')
      await check('home of a guest')
      await page.getByRole('button', { name: 'Add Sencha to cart' }).click()
      await check('flash message')
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
  }

  await t.test('the API\'s documentation', async (t) => {
    const page = await open(t, browser, url)
    await page.goto('/docs')
    await page.getByText('/api/login').waitFor()
    await page.goto('/login')
    await signIn(page, grace)
    await page.goto('/docs')
    await page.getByRole('button', { name: /Who is signed in|\/api\/me/ }).first().click()
    await page.getByRole('button', { name: 'Try it out' }).click()
    const answer = page.waitForResponse('**/api/me')
    await page.getByRole('button', { name: 'Execute' }).click()
    t.equal((await answer).status(), 200, 'the session of the pages')
  })
})
