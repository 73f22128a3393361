import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { optional, required } from 'fastify-openapi-session'
import { CookieJar } from 'fastify-openapi-session/testing'
import type { Test } from 'tap'

/** The schema of routes that require a session, and of those where it is optional. */
export const signedIn = { security: required('session') }
export const anyone = { security: optional('session') }

/** Options of the session plugin: a session with a name belongs to a user, one without it to a guest. */
export const withName = { principal: (data: Record<string, unknown>): string | undefined => data['name'] as string | undefined }

export type LogLine = Record<string, any> & { readonly level: number, readonly msg: string }

/** Returns an app that is closed after the test, and the lines of its log. */
export function makeApp (t: Test, options: FastifyServerOptions = {}): { app: FastifyInstance, log: LogLine[] } {
  const log: LogLine[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { log.push(JSON.parse(line)) } } }, ...options })
  t.teardown(() => app.close())
  return { app, log }
}

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

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
  readonly json: any
}

/** A browser on a server: sends requests over HTTP and keeps the cookies. It follows no redirects. */
export class Browser {
  readonly jar = new CookieJar()
  readonly url: string

  constructor (url: string) {
    this.url = url
  }

  async send (method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
    const { href, pathname } = new URL(path, this.url)
    const cookie = this.jar.header(pathname)
    const response = await fetch(href, {
      method, headers: { ...(cookie !== undefined && { cookie }), ...headers }, redirect: 'manual', ...(body !== undefined && { body })
    })
    this.jar.take(response.headers.getSetCookie())
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text, json: jsonOf(text) }
  }

  async get (path: string, headers?: Record<string, string>): Promise<Answer> {
    return await this.send('GET', path, headers)
  }

  /** Sends a POST request with `body` as JSON. */
  async post (path: string, body: object = {}, headers: Record<string, string> = {}): Promise<Answer> {
    return await this.send('POST', path, { 'content-type': 'application/json', ...headers }, JSON.stringify(body))
  }
}

function jsonOf (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Starts an app on a free port. Returns a browser on it. */
export async function browse (app: FastifyInstance): Promise<Browser> {
  if (!app.server.listening) await app.listen({ port: 0, host: '127.0.0.1' })
  return new Browser(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
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
