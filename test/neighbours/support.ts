import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { guarded, optional } from '../support/harness.js'
import type { Browser } from '../support/http-browser.js'

/** The schema of routes that require a session, and of those where it is optional. */
export const signedIn = guarded
export const anyone = optional

/** Options of the session plugin: a session with a name belongs to a user, one without it to a guest. */
export const withName = { principal: (data: Record<string, unknown>): string | undefined => data['name'] as string | undefined }

export { makeApp, type LogLine } from '../support/harness.js'
export { browse, Browser, type Answer } from '../support/http-browser.js'

/** Adds the routes that every app here has: a login, a page for the user, and a logout. */
export function addStory (app: FastifyInstance): void {
  app.post('/login', { schema: anyone }, async (request) => {
    request.session.start(request.body as Record<string, unknown>)
    return 'welcome'
  })
  app.get('/me', { schema: signedIn }, async (request) => request.session.data['name'])
  app.post('/logout', { schema: anyone }, async (request) => {
    request.session.destroy()
    return 'bye'
  })
}

/** Signs in, does what `use` does with the session, and signs out: 401 before and after, and for the old cookie. */
export async function visit (t: Test, browser: Browser, use: () => Promise<unknown> = async () => {}): Promise<void> {
  t.equal((await browser.get('/me')).status, 401, '401 before the login')
  t.equal((await browser.post('/login', { name: 'ada' })).status, 200)
  t.equal((await browser.get('/me')).body, 'ada')
  await use()
  const cookie = browser.jar.header() as string
  t.equal((await browser.post('/logout')).status, 200)
  t.equal((await browser.get('/me')).status, 401, '401 after the logout')
  t.equal((await browser.get('/me', { cookie })).status, 401, '401 for the old cookie')
}
