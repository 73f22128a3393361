/**
 * What the store needs of a client: `Redis` and `Cluster` of ioredis 5 and 6 have it, and so has a client that
 * speaks to Sentinel or Valkey.
 */
export interface RedisClient {
  /** `'ready'` when commands reach a server, `'wait'` before a lazy client connects, `'end'` when it gave up. */
  readonly status: string
  /** Makes a lazy client connect. */
  connect (): Promise<unknown>
  defineCommand (name: string, definition: { lua: string, numberOfKeys: number }): void
  del (key: string): Promise<number>
  zrem (key: string, ...members: string[]): Promise<number>
  on (event: 'ready', listener: () => void): unknown
  off (event: 'ready', listener: () => void): unknown
}

export interface Limits {
  /** Milliseconds that a command may take, waiting for a connection included. */
  readonly time: number
  /** How many commands may be without an answer at once. */
  readonly pending: number
}

type Command = (...args: ReadonlyArray<string | number>) => Promise<unknown>

/**
 * Sends commands, each with a time limit, and never more than a bounded number at once. While there is no connection
 * commands wait here and not in the client, so that one which was given up is never carried out later.
 */
export class Connection {
  readonly #client: RedisClient
  readonly #limits: Limits
  /** Commands that wait for a connection. */
  readonly #waiting = new Set<() => void>()
  readonly #onReady = (): void => {
    for (const send of this.#waiting) send()
  }

  #pending = 0
  #closed = false

  constructor (client: RedisClient, limits: Limits) {
    this.#client = client
    this.#limits = limits
  }

  /** Rejects when the server reports an error, does not answer in time, or too many commands are without an answer. */
  async run (command: string, ...args: ReadonlyArray<string | number>): Promise<unknown> {
    if (this.#closed) throw new Error('RedisStore: the store is closed')
    if (this.#client.status === 'end') throw new Error('RedisStore: the client has ended its connection')
    if (this.#pending >= this.#limits.pending) throw new Error(`RedisStore: ${this.#pending} commands are without an answer`)
    this.#pending++
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // A command that was sent counts until it is settled: it still takes up room in the client.
        if (this.#leave(send)) this.#pending--
        reject(new Error(`RedisStore: no answer within ${this.#limits.time} ms (connection: ${this.#client.status})`))
      }, this.#limits.time)
      const send = (): void => {
        this.#leave(send)
        const settle = (then: () => void): void => {
          this.#pending--
          clearTimeout(timer)
          then()
        }
        const client = this.#client as unknown as Record<string, Command>
        client[command]!(...args).then((reply) => settle(() => resolve(reply)), (error: unknown) => settle(() => reject(error)))
      }
      if (this.#client.status === 'ready') send()
      else this.#wait(send)
    })
  }

  /** Commands that are under way still get their answer; the client stays open. */
  close (): void {
    this.#closed = true
  }

  #wait (send: () => void): void {
    if (this.#waiting.size === 0) this.#client.on('ready', this.#onReady)
    this.#waiting.add(send)
    // A lazy client; what keeps it from connecting is for the listeners of its `error` event.
    if (this.#client.status === 'wait') this.#client.connect().catch(() => {})
  }

  /** Whether the command was waiting. */
  #leave (send: () => void): boolean {
    const waited = this.#waiting.delete(send)
    if (waited && this.#waiting.size === 0) this.#client.off('ready', this.#onReady)
    return waited
  }
}
