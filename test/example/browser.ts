import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import type { Browser, Page } from 'playwright-core'
import { buildApp } from '../../example/app.js'
import { type ada, Visitor } from './visitor.js'

/** The example, listening. */
export async function listen (t: Test): Promise<{ app: FastifyInstance, url: string }> {
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
  return { app, url: `http://localhost:${address.port}` }
}

/** Somebody's browser: cookies of its own. What a page throws, or its policy forbids, fails the test. */
export async function open (t: Test, browser: Browser, baseURL: string, options: object = {}): Promise<Page> {
  const context = await browser.newContext({ baseURL, ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.on('pageerror', (error) => t.fail(error.message))
  page.on('console', (message) => {
    // Swagger UI's own styles break its own policy. And Chromium reports each answer of 4xx as an error.
    const expected = message.location().url.includes('/docs/') || message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !expected) t.fail(message.text())
  })
  return page
}

/** Fills in the form of the login page that is open, and waits for the page that follows. */
export async function signIn (page: Page, { username, password }: typeof ada, to: string): Promise<void> {
  await page.getByLabel('User name').fill(username)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL(to)
}

/** Gives the browser of `page` a session of that user: what the form does, without the password that takes so long to check. */
export async function enter (page: Page, { app, url }: { app: FastifyInstance, url: string }, user: typeof ada, device?: string): Promise<void> {
  const visitor = new Visitor(app)
  await visitor.enter(user, device)
  const cookies = [...visitor.cookies].map(([name, value]) => ({ name, value, domain: new URL(url).hostname, path: '/', httpOnly: true, secure: true, sameSite: 'Lax' as const }))
  await page.context().addCookies(cookies)
}

/** Waits for the page with this heading. */
export async function heading (page: Page, name: string | RegExp): Promise<void> {
  await page.getByRole('heading', { level: 1, name, ...(typeof name === 'string' && { exact: true }) }).waitFor()
}
