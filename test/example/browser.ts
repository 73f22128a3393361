import type { Test } from 'tap'
import type { Browser, Page } from 'playwright-core'
import { buildApp } from '../../example/app.js'
import type { ada } from './visitor.js'

/** The example, listening; resolves its URL. */
export async function listen (t: Test): Promise<string> {
  const app = await buildApp({ loginAttempts: 1000 })
  t.teardown(async () => {
    const closed = app.close()
    // Chromium opens connections ahead, which would keep the server for a minute.
    app.server.closeAllConnections()
    await closed
  })
  await app.listen({ port: 0, host: 'localhost' })
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return `http://localhost:${address.port}`
}

/** Somebody's browser: cookies of its own. What a page throws, or its policy forbids, fails the test. */
export async function open (t: Test, browser: Browser, baseURL: string, options: object = {}): Promise<Page> {
  const context = await browser.newContext({ baseURL, ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  page.on('pageerror', (error) => t.fail(error.message))
  page.on('console', (message) => {
    // Swagger UI's own styles break its own policy. And Chromium reports each answer of 4xx as an error.
    const expected = message.location().url.includes('/docs/') || message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !expected) t.fail(message.text())
  })
  return page
}

/** Fills in the form of the login page that is open. */
export async function signIn (page: Page, { username, password }: typeof ada): Promise<void> {
  await page.getByLabel('User name').fill(username)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
}

export const path = (page: Page): string => new URL(page.url()).pathname

export const heading = async (page: Page): Promise<string> => await page.getByRole('heading', { level: 1 }).innerText()
