import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { SessionStore } from 'fastify-openapi-session'
import { createClock, type ManualClock } from 'fastify-openapi-session/testing'
import { generator } from '../support/random.js'
import { tsx, uncovered } from '../support/tsx.js'
import { createModelApp } from './app.js'

export type Method = 'GET' | 'POST'

export interface Reply {
  /** 503 also where the process ended before it answered. */
  readonly status: number
  readonly body: any
  /** The session cookie that was handed out, as `name=value`. */
  readonly cookie: string | undefined
}

/** An app somewhere, with a clock that stands still. */
export interface Site {
  now (): number
  advance (milliseconds: number): Promise<void>
  ask (method: Method, url: string, cookie?: string): Promise<Reply>
  /** Kills what keeps the sessions, while requests are under way. Absent where nothing can be killed. */
  readonly kill?: () => Promise<void>
  /** Brings it back on the same data. */
  restart (): Promise<void>
  close (): Promise<void>
}

function reply (status: number, lines: readonly string[], text: string): Reply {
  const line = lines.find((line) => line.startsWith('__Host-session=') && !line.includes('Max-Age=0'))
  return { status, body: text.startsWith('{') ? JSON.parse(text) : text, cookie: line?.split(';')[0] }
}

/** A server that keeps the sessions, and can be killed. */
export interface Mortal {
  kill9 (): Promise<void>
  restart (): Promise<void>
}

/** An app in this process. Its store may be in a server. */
export class LocalSite implements Site {
  readonly #clock: ManualClock = createClock()
  readonly #seed: number
  readonly #server: Mortal | undefined
  readonly kill?: () => Promise<void>
  #app: FastifyInstance | undefined

  constructor (seed: number, server?: Mortal) {
    this.#seed = seed
    this.#server = server
    if (server !== undefined) this.kill = async () => { await server.kill9() }
  }

  async open (makeStore: (now: () => number) => SessionStore): Promise<this> {
    this.#app = await createModelApp(makeStore(this.#clock.now), this.#clock, generator(this.#seed))
    return this
  }

  now (): number {
    return this.#clock.now()
  }

  async advance (milliseconds: number): Promise<void> {
    this.#clock.advance(milliseconds)
  }

  async ask (method: Method, url: string, cookie = ''): Promise<Reply> {
    const { statusCode, headers, body } = await (this.#app as FastifyInstance).inject({ method, url, headers: cookie === '' ? {} : { cookie } })
    return reply(statusCode, [headers['set-cookie'] ?? []].flat(), body)
  }

  async restart (): Promise<void> {
    await this.#server?.restart()
    await untilBack(this)
  }

  async close (): Promise<void> {
    await this.#app?.close()
  }
}

/** An app with its store in another process, which can be killed. Its sessions are in files. */
export class RemoteSite implements Site {
  readonly #store: string
  readonly #directory: string
  readonly #seed: number
  #time = Date.now()
  #child: ChildProcess | undefined
  #origin = ''
  #starts = 0

  constructor (store: string, directory: string, seed: number) {
    this.#store = store
    this.#directory = directory
    this.#seed = seed
  }

  now (): number {
    return this.#time
  }

  async advance (milliseconds: number): Promise<void> {
    this.#time += milliseconds
    await this.ask('POST', `/clock/${milliseconds}`)
  }

  async ask (method: Method, url: string, cookie = ''): Promise<Reply> {
    try {
      const response = await fetch(this.#origin + url, { method, headers: cookie === '' ? {} : { cookie } })
      return reply(response.status, response.headers.getSetCookie(), await response.text())
    } catch {
      return reply(503, [], '')
    }
  }

  readonly kill = async (): Promise<void> => {
    const child = this.#child
    if (child === undefined) return
    this.#child = undefined
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }

  async restart (): Promise<void> {
    await this.kill()
    const args = [this.#store, this.#directory, String(this.#time), String(this.#seed + this.#starts++)]
    const child = fork(join(import.meta.dirname, 'process.ts'), args, { execArgv: [...tsx], env: { ...process.env, ...uncovered } })
    const ended = once(child, 'exit').then(() => { throw new Error('the process of the app ended before it listened') })
    const [origin] = await Promise.race([once(child, 'message'), ended]) as [string]
    ended.catch(() => {})
    this.#origin = origin
    this.#child = child
    await untilBack(this)
  }

  async close (): Promise<void> {
    await this.kill()
  }
}

/** Resolves once the store works. The principal has no sessions. */
async function untilBack (site: Site): Promise<void> {
  while ((await site.ask('GET', '/list/none')).status === 503) await pause(20)
}
