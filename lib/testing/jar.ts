import { parseSetCookie } from 'cookie'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { covers } from '../options/cookie.js'

/** `expires` in epoch milliseconds; `Infinity` for a cookie that is deleted when the browser closes. */
interface Cookie { readonly name: string, readonly value: string, readonly path: string, readonly expires: number }

/**
 * Keeps the cookies of one browser for one host, as RFC 6265bis, 5.7 and 5.8 describe. Cookies are stored by name and path. They
 * are sent to matching paths, longest path first. The jar ignores Domain, Secure and SameSite, because a test has one site. A
 * cookie without Path gets the path `/`, not the directory of the page that set it.
 */
export class CookieJar {
  readonly #cookies = new Map<string, Cookie>()
  readonly #now: () => number

  /** @param now returns the time in epoch milliseconds; default `Date.now` */
  constructor (now: () => number = Date.now) { this.#now = now }

  /** Stores the cookies of `Set-Cookie` headers. */
  take (setCookie: string | readonly string[] | undefined): void {
    for (const line of [setCookie ?? []].flat()) {
      const { name, value = '', path, maxAge, expires } = parseSetCookie(line, { decode: (text) => text })
      // Max-Age overrides Expires (RFC 6265bis, 5.7, step 9).
      const end = maxAge === undefined ? expires?.getTime() ?? Infinity : this.#now() + maxAge * 1000
      const cookie = { name, value, path: path?.startsWith('/') ? path : '/', expires: end }
      this.#cookies.set(`${name};${cookie.path}`, cookie)
    }
  }

  /** Returns the `Cookie` header of a request to a path, or `undefined` if no cookie matches. */
  header (path = '/'): string | undefined {
    const sent = this.#live().filter((cookie) => covers(cookie.path, path.replace(/[?#].*/s, '')))
    sent.sort((a, b) => b.path.length - a.path.length)
    return sent.map(({ name, value }) => name === '' ? value : `${name}=${value}`).join('; ') || undefined
  }

  /** Returns the value of a cookie with any path. */
  get (name: string): string | undefined { return this.#live().find((cookie) => cookie.name === name)?.value }

  /** Deletes the cookies that are not persistent, as a browser does when it closes. */
  restart (): void {
    for (const [key, { expires }] of this.#cookies) if (expires === Infinity) this.#cookies.delete(key)
  }

  clear (): void { this.#cookies.clear() }
  #live (): Cookie[] { return [...this.#cookies.values()].filter(({ expires }) => expires > this.#now()) }
}

type App = Pick<FastifyInstance<any, any, any, any, any>, 'inject'>

/** A test client like `app.inject`, with its own cookies, which it keeps from one request to the next. */
export class Client {
  readonly jar: CookieJar
  readonly #app: App

  constructor (app: App, jar: CookieJar = new CookieJar()) {
    this.#app = app
    this.jar = jar
  }

  /** Sends a request as `app.inject` does. A `cookie` header in `headers` replaces the cookies of the jar. */
  async inject (request: string | InjectOptions): Promise<LightMyRequestResponse> {
    const options: InjectOptions = typeof request === 'string' ? { url: request } : request
    const target = options.url ?? options.path ?? '/'
    const cookie = this.jar.header(typeof target === 'string' ? new URL(target, 'http://localhost').pathname : target.pathname)
    const response = await this.#app.inject(cookie === undefined ? options : { ...options, headers: { cookie, ...options.headers } })
    this.jar.take(response.headers['set-cookie'])
    return response
  }

  async get (url: string, headers: Record<string, string> = {}) { return await this.inject({ method: 'GET', url, headers }) }

  /** Sends a POST request with `body` as JSON. */
  async post (url: string, body?: object, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    return await this.inject({ method: 'POST', url, headers, ...(body === undefined ? {} : { payload: body }) })
  }
}
