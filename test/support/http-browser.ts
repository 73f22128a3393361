import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { CookieJar } from 'fastify-openapi-session/testing'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly setCookie: string[]
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
    const setCookie = response.headers.getSetCookie()
    this.jar.take(setCookie)
    const text = await response.text()
    return { status: response.status, headers: response.headers, setCookie, body: text, json: jsonOf(text) }
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
