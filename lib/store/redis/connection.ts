import type { Client, Command } from './client.js'
import type { TimeLimit, Timed } from '../shared/time-limit.js'

interface Call extends Timed {
  command: Command
  args: ReadonlyArray<string | number>
  /** The source of the script, for a server that does not have it. */
  lua: string | undefined
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Sends commands, a limited number at a time. Without a connection they wait here, so that none is sent after its time limit. */
export class Connection {
  readonly #client: Client
  readonly #timeLimit: TimeLimit
  readonly #maxPending: number
  /** Calls that wait for a connection. */
  readonly #waiting = new Set<Call>()
  #isListening = false
  #pending = 0
  #closed = false

  constructor (client: Client, timeLimit: TimeLimit, maxPending: number) {
    this.#client = client
    this.#timeLimit = timeLimit
    this.#maxPending = maxPending
  }

  /** Returns a connection to each server that has keys. */
  async servers (): Promise<Connection[]> {
    const masters = await this.#client.masters?.()
    return masters?.map((client) => new Connection(client, this.#timeLimit, this.#maxPending)) ?? [this]
  }

  /** Sends a command. Rejects if the server reports an error or does not reply in time, or if too many commands wait for a reply. */
  run (command: Command, args: ReadonlyArray<string | number>, lua?: string): Promise<unknown> {
    const refusal = this.#refusal()
    if (refusal !== undefined) return Promise.reject(new Error(`RedisStore: ${refusal}`))
    this.#pending++
    return new Promise((resolve, reject) => {
      const ended = (settle: (outcome: unknown) => void) => (outcome: unknown): void => {
        this.#pending--
        this.#timeLimit.delete(call)
        settle(outcome)
      }
      const onTimeout = (): void => {
        // A command that was sent counts as pending until its reply, because the client still keeps it.
        if (this.#waiting.delete(call)) this.#pending--
        reject(new Error(`RedisStore: no reply within ${this.#timeLimit.milliseconds} ms (connection: ${this.#client.status})`))
      }
      const call: Call = {
        command, args, lua, resolve: ended(resolve), reject: ended(reject), due: 0, older: undefined, newer: undefined, onTimeout
      }
      this.#timeLimit.add(call)
      this.#start(call)
    })
  }

  /** Rejects further commands. Pending commands still get their replies, and the client stays open. */
  close (): void { this.#closed = true }

  #refusal (): string | undefined {
    if (this.#closed) return 'the store is closed'
    if (this.#client.status === 'end') return 'the client is closed or was never connected. Connect it before the app starts, and keep it open until the app has closed'
    return this.#pending < this.#maxPending ? undefined : `${this.#pending} commands are waiting for a reply, the most that the option maxPending allows`
  }

  /** Sends a command, or keeps it until the client is ready. */
  #start (call: Call): void {
    if (this.#client.status !== 'ready') return this.#wait(call)
    this.#client.send(call.command, call.args).then(call.resolve, ({ message }: Error) => {
      if (call.lua !== undefined && message.startsWith('NOSCRIPT') && call.due > 0) {
        Object.assign(call, { command: 'eval', args: [call.lua, ...call.args.slice(1)], lua: undefined })
        return this.#start(call)
      }
      // Copies only the message, because errors of ioredis contain the arguments of the command and so the session's data.
      call.reject(new Error(`RedisStore: ${message}`))
    })
  }

  #wait (call: Call): void {
    this.#waiting.add(call)
    if (this.#isListening) return
    this.#isListening = true
    this.#client.whenReady(() => {
      this.#isListening = false
      const calls = [...this.#waiting]
      this.#waiting.clear()
      for (const call of calls) this.#start(call)
    })
  }
}
