import type { Client, Command } from './client.js'
import { TimeLimit, type Timed } from '../shared/time-limit.js'

export interface Limits {
  /** Milliseconds that a command may take, waiting for a connection included. */
  readonly time: number
  /** How many commands may be without an answer at once. */
  readonly pending: number
}

interface Call extends Timed {
  command: Command
  args: ReadonlyArray<string | number>
  /** The text of the script that `evalsha` names, for a server that does not have it. */
  lua: string | undefined
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * Sends commands, each with a time limit, and never more than a bounded number at once. While there is no connection,
 * commands wait here and not in the client, so that a command that was given up is never carried out later.
 */
export class Connection {
  readonly #client: Client
  readonly #limits: Limits
  readonly #timeLimit: TimeLimit
  /** Calls that wait for a connection. */
  readonly #waiting = new Set<Call>()
  readonly #onReady = (): void => {
    for (const call of this.#waiting) if (this.#client.status === 'ready' && this.#leave(call)) this.#send(call)
  }

  #pending = 0
  #closed = false

  constructor (client: Client, limits: Limits) {
    this.#client = client
    this.#limits = limits
    this.#timeLimit = new TimeLimit(limits.time)
  }

  /** The prefix that the client puts before each key by itself. A pattern of SCAN is not a key. */
  get scanPrefix (): string {
    return this.#client.scanPrefix
  }

  /** Returns a connection to each server that has keys. */
  async servers (): Promise<Connection[]> {
    return (await this.#client.masters()).map((client) => new Connection(client, this.#limits))
  }

  /** Rejects if the server reports an error or does not answer in time, or if too many commands are without an answer. */
  run (command: Command, args: ReadonlyArray<string | number>, lua?: string): Promise<unknown> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.reject(new Error(`RedisStore: ${refusal}`))
    this.#pending++
    return new Promise((resolve, reject) => {
      const late = (): void => {
        // A command that was sent counts until it is settled: it still takes up room in the client.
        if (this.#leave(call)) this.#pending--
        reject(new Error(`RedisStore: no answer within ${this.#limits.time} ms (connection: ${this.#client.status})`))
      }
      const call: Call = { command, args, lua, resolve, reject, due: 0, older: undefined, newer: undefined, late }
      this.#timeLimit.add(call)
      this.#start(call)
    })
  }

  /** Commands that are under way still get their answer; the client stays open. */
  close (): void {
    this.#closed = true
  }

  #refusal (): string | undefined {
    if (this.#closed) return 'the store is closed'
    if (this.#client.status === 'end') return 'the client has ended its connection, or was never connected'
    return this.#pending < this.#limits.pending ? undefined : `${this.#pending} commands are without an answer`
  }

  #start (call: Call): void {
    if (this.#client.status === 'ready') this.#send(call)
    else this.#wait(call)
  }

  #send (call: Call): void {
    try {
      this.#client.send(call.command, call.args).then((answer) => {
        this.#settle(call)
        call.resolve(answer)
      }, (error: unknown) => { this.#fail(call, error) })
    } catch (error) {
      this.#fail(call, error)
    }
  }

  #fail (call: Call, error: unknown): void {
    const { message } = error as Error
    if (call.lua !== undefined && message.startsWith('NOSCRIPT') && call.due > 0) {
      Object.assign(call, { command: 'eval', args: [call.lua, ...call.args.slice(1)], lua: undefined })
      return this.#start(call)
    }
    this.#settle(call)
    // The error of ioredis keeps the arguments of the command, and with them the data of the session.
    call.reject(new Error(`RedisStore: ${message}`))
  }

  #settle (call: Call): void {
    this.#pending--
    this.#timeLimit.delete(call)
  }

  #wait (call: Call): void {
    if (this.#waiting.size === 0) this.#client.on(this.#onReady)
    this.#waiting.add(call)
    this.#client.connect()
  }

  /** Returns whether the call was waiting. */
  #leave (call: Call): boolean {
    const waited = this.#waiting.delete(call)
    if (waited && this.#waiting.size === 0) this.#client.off(this.#onReady)
    return waited
  }
}
