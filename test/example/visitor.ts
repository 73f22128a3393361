import type { FastifyInstance } from 'fastify'
import type { Response } from 'light-my-request'
import { allUsers } from '../../example/users.js'

export const ada = { username: 'ada', password: 'difference-engine-1843' }
export const grace = { username: 'grace', password: 'nanosecond-1952' }

type Headers = Record<string, string>

/** Somebody with a browser of their own: keeps cookies between requests, as browsers do. */
export class Visitor {
  readonly #app: FastifyInstance
  readonly #headers: Headers
  readonly cookies = new Map<string, string>()

  constructor (app: FastifyInstance, headers: Headers = {}) {
    this.#app = app
    this.#headers = headers
  }

  /** Signs in without a password, which takes a third of a second to check. */
  async enter ({ username }: typeof ada, device = 'Test'): Promise<void> {
    const user = allUsers().find((candidate) => candidate.username === username)
    if (user === undefined) throw new Error(`${username} has no account`)
    const { cookie } = await this.#app.session.issue({ userId: user.id, device, cart: {} })
    const [name = '', value = ''] = cookie.split('=')
    this.cookies.set(name, value)
  }

  async get (url: string, headers: Headers = {}): Promise<Response> {
    return await this.#send('GET', url, headers)
  }

  /** Sends a form of a page. */
  async post (url: string, form: Record<string, string> = {}, headers: Headers = {}): Promise<Response> {
    const payload = new URLSearchParams(form).toString()
    return await this.#send('POST', url, { 'content-type': 'application/x-www-form-urlencoded', ...headers }, payload)
  }

  /** Calls the API. */
  async json (method: 'GET' | 'POST' | 'DELETE', url: string, body?: object): Promise<Response> {
    if (body === undefined) return await this.#send(method, url, {})
    return await this.#send(method, url, { 'content-type': 'application/json' }, JSON.stringify(body))
  }

  async #send (method: 'GET' | 'POST' | 'DELETE', url: string, headers: Headers, payload?: string): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await this.#app.inject({
      method, url, headers: { ...this.#headers, ...headers, ...(cookie !== '' && { cookie }) }, ...(payload !== undefined && { payload })
    })
    for (const { name, value, maxAge } of response.cookies as Array<{ name: string, value: string, maxAge?: number }>) {
      if (maxAge === 0) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    return response
  }
}
