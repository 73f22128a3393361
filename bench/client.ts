/** The load: open connections. Each behaves like a browser and keeps its cookies. */
import { connect, type Socket } from 'node:net'
import type { Scenario } from './plan.js'

export interface Reply {
  readonly status: number
  readonly body: string
}

/** Characters of name and value. Browsers drop a longer cookie (RFC 6265bis, 5.6). */
const LONGEST_COOKIE = 4096

export class Connection {
  readonly #cookies = new Map<string, string>()
  readonly #socket: Socket
  #received = ''
  #resolve: ((reply: Reply) => void) | undefined
  #reject: ((error: Error) => void) | undefined
  #prefix = ''
  #text = ''
  keepsCookies = true
  tooLong = false

  constructor (port: number) {
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (chunk) => this.#onData(chunk as unknown as string))
    this.#socket.on('error', (error) => this.#reject?.(error))
    this.#socket.on('close', () => this.#reject?.(new Error('The server closed a connection')))
  }

  send (method: string, url: string): Promise<Reply> {
    if (!this.#prefix.startsWith(`${method} ${url} `)) {
      this.#prefix = `${method} ${url} HTTP/1.1\r\nHost: example.com\r\nX-Forwarded-Proto: https\r\n${method === 'POST' ? 'Content-Length: 0\r\n' : ''}`
      this.#text = ''
    }
    if (this.#text === '') {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      this.#text = `${this.#prefix}${cookie === '' ? '' : `Cookie: ${cookie}\r\n`}\r\n`
    }
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#socket.write(this.#text, 'latin1')
    })
  }

  forget (): void {
    this.#cookies.clear()
    this.#text = ''
    this.tooLong = false
  }

  close (): void {
    this.#reject = undefined
    this.#socket.destroy()
  }

  #onData (chunk: string): void {
    this.#received += chunk
    const end = this.#received.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = this.#received.slice(0, end)
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
    if (this.#received.length < end + 4 + length) return
    const body = this.#received.slice(end + 4)
    this.#received = ''
    if (this.keepsCookies) this.#keepCookies(head)
    this.#resolve?.({ status: Number(head.slice(9, 12)), body })
  }

  #keepCookies (head: string): void {
    for (let at = head.indexOf('\r\nset-cookie: '); at !== -1; at = head.indexOf('\r\nset-cookie: ', at + 2)) {
      const [pair = ''] = head.slice(at + 14, head.indexOf('\r\n', at + 2) >>> 0).split(';')
      const equals = pair.indexOf('=')
      this.#cookies.set(pair.slice(0, equals), pair.slice(equals + 1))
      this.#text = ''
      if (pair.length > LONGEST_COOKIE) this.tooLong = true
    }
  }
}

/**
 * Requests before the measured ones. They bring the server's memory back into the processor's caches, and make V8 compile again what
 * it has discarded since the last visit: the processes of the others ran meanwhile, and a busy server is not idle like this.
 */
const LEAD_IN = 2000

/** Returns the CPU time of the server so far, in microseconds. */
export type Meter = () => Promise<number>

export interface Cell {
  /** Microseconds of server CPU per request; `undefined` if the subject refuses data of this size. */
  readonly cpu: number | undefined
  /** True if the server sent a cookie that browsers drop. */
  readonly tooLong: boolean
}

/** Sends the requests of a scenario over all connections and checks every response. With `strict`, each must belong to the right user. */
export async function measure (connections: readonly Connection[], scenario: Scenario, requests: number, meter: Meter, strict: boolean): Promise<Cell> {
  const { method, url, login, check } = scenario
  const expected = new Map<Connection, string>()
  for (const connection of connections) {
    connection.forget()
    connection.keepsCookies = login !== undefined
    if (login === undefined) continue
    const { status, body } = await connection.send('POST', login)
    if (status !== 200) return { cpu: undefined, tooLong: false }
    if (strict && url.startsWith('/read')) expected.set(connection, body)
  }
  const last = new Map<Connection, string>()
  const send = async (count: number): Promise<void> => {
    let left = count
    await Promise.all(connections.map(async (connection) => {
      const wanted = expected.get(connection)
      while (left-- > 0) {
        const { status, body } = await connection.send(method, url)
        if (status !== 200 || (wanted !== undefined && body !== wanted)) throw new Error(`${method} ${url} returned ${status} ${body}`)
        last.set(connection, body)
      }
    }))
  }
  await send(LEAD_IN)
  const before = await meter()
  await send(requests)
  const cpu = (await meter() - before) / requests
  for (const connection of strict && check !== undefined ? connections : []) {
    const { body } = await connection.send('GET', check ?? '')
    if (body !== last.get(connection)) throw new Error(`${url} wrote ${last.get(connection)} and ${body} is there`)
  }
  return { cpu, tooLong: connections.some(({ tooLong }) => tooLong) }
}
