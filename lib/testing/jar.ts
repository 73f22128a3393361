import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'

interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
  /** Epoch milliseconds; `Infinity` for a cookie that ends with the browser's run. */
  readonly expires: number
}

/**
 * The cookies of one browser for one host, by RFC 6265bis, 5.7 and 5.8: kept by name and path, sent where the path
 * matches, longest path first, until they expire. It does not look at Domain, Secure and SameSite: a test has one site. A
 * cookie without Path is one for `/`, not for the directory of the page that set it.
 */
export class CookieJar {
  readonly #cookies = new Map<string, Cookie>()
  readonly #now: () => number

  /** `now`: the time in epoch milliseconds, `Date.now` by default. */
  constructor (now: () => number = Date.now) {
    this.#now = now
  }

  /** Keeps what `Set-Cookie` headers hand out and forgets what they expire. */
  take (setCookie: string | readonly string[] | undefined): void {
    for (const line of [setCookie ?? []].flat()) {
      const cookie = read(line, this.#now())
      this.#cookies.set(`${cookie.name};${cookie.path}`, cookie)
    }
  }

  /** The `Cookie` header of a request to a path; `undefined` where there is none to send. */
  header (path = '/'): string | undefined {
    const sent = this.#live().filter((cookie) => matches(path.replace(/[?#].*/s, ''), cookie.path))
    if (sent.length === 0) return undefined
    return sent.sort((a, b) => b.path.length - a.path.length).map(({ name, value }) => `${name}=${value}`).join('; ')
  }

  /** The value of a cookie, whatever its path. */
  get (name: string): string | undefined {
    return this.#live().find((cookie) => cookie.name === name)?.value
  }

  /** What the browser does when it is closed: forgets the cookies that are not persistent. */
  restart (): void {
    for (const [key, { expires }] of this.#cookies) if (expires === Infinity) this.#cookies.delete(key)
  }

  clear (): void {
    this.#cookies.clear()
  }

  #live (): Cookie[] {
    const now = this.#now()
    return [...this.#cookies.values()].filter(({ expires }) => expires > now)
  }
}

/** Somebody with a browser of their own: `app.inject` that keeps cookies from one request to the next. */
export class Client {
  readonly jar: CookieJar
  readonly #app: Pick<FastifyInstance<any, any, any, any, any>, 'inject'>

  constructor (app: Pick<FastifyInstance<any, any, any, any, any>, 'inject'>, jar: CookieJar = new CookieJar()) {
    this.#app = app
    this.jar = jar
  }

  /** Takes what `app.inject` takes. A `cookie` header of the caller's own goes instead of the jar's. */
  async inject (request: string | InjectOptions): Promise<LightMyRequestResponse> {
    const options: InjectOptions = typeof request === 'string' ? { url: request } : request
    const cookie = this.jar.header(pathOf(options))
    const response = await this.#app.inject(cookie === undefined ? options : { ...options, headers: { cookie, ...options.headers } })
    this.jar.take(response.headers['set-cookie'])
    return response
  }

  async get (url: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    return await this.inject({ method: 'GET', url, headers })
  }

  /** `body` goes as JSON. */
  async post (url: string, body?: object, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
    return await this.inject({ method: 'POST', url, headers, ...(body === undefined ? {} : { payload: body }) })
  }
}

function pathOf ({ url, path }: InjectOptions): string {
  const target = url ?? path ?? '/'
  return typeof target === 'string' ? new URL(target, 'http://localhost').pathname : target.pathname
}

function read (line: string, now: number): Cookie {
  const [pair = '', ...attributes] = line.split(';')
  const [name, value] = split(pair)
  const of = new Map(attributes.map((attribute) => {
    const [key, text] = split(attribute)
    return [key.toLowerCase(), text]
  }))
  const path = of.get('path') ?? '/'
  return { name, value, path: path.startsWith('/') ? path : '/', expires: expiry(of.get('max-age'), of.get('expires'), now) }
}

// Max-Age goes before Expires (RFC 6265bis, 5.7, step 9); of either, what cannot be read counts as not there (5.6.1, 5.6.2).
function expiry (maxAge = '', expires = '', now: number): number {
  if (/^-?\d+$/.test(maxAge)) return now + Number(maxAge) * 1000
  const date = Date.parse(expires)
  return Number.isNaN(date) ? Infinity : date
}

function split (pair: string): [string, string] {
  const at = pair.indexOf('=')
  return at === -1 ? [pair.trim(), ''] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
}

function matches (path: string, of: string): boolean {
  return path === of || (path.startsWith(of) && (of.endsWith('/') || path[of.length] === '/'))
}
