import type { Client, Command } from './client.js'
import { script, unexpectedReply } from './scripts.js'
import type { TimeLimit, Timed } from '../shared/time-limit.js'
import type { Awaitable } from '../store.js'

/** Makes the result of a call from its reply. */
export type Use<T> = (reply: unknown) => Awaitable<T>

interface Call {
  readonly keys: readonly string[]
  readonly text: string
  readonly use: Use<unknown>
  readonly resolve: (result: any) => void
  readonly reject: (error: unknown) => void
}

/** Calls that share a command, and so a time limit. */
interface Batch extends Timed {
  command: Command
  readonly calls: Call[]
  /** The length of their texts. */
  length: number
}

/** How many calls may share a command, and from which length of their texts on no more do. The server does nothing else meanwhile. */
const MOST_CALLS = 100
const MOST_LENGTH = 262_144

/**
 * Makes calls, a limited number at a time. A call reads the string of a key (MGET), or is a call of the script. Calls of the same
 * kind in one event loop turn share a command, because a command costs this process several times what a call in it costs. All
 * calls run in their order. In a cluster, where keys may be on different servers, each call is a command. Without a connection,
 * calls wait here, so that none is sent after its time limit.
 */
export class Connection {
  readonly #client: Client
  readonly #timeLimit: TimeLimit
  readonly #maxPending: number
  /** Batches that are not sent yet. Not a Set: once V8 has moved a Set to its old space, all that it ever held would follow. */
  #waiting: Batch[] = []
  /** The last of them, if further calls may join it. */
  #open: Batch | undefined
  #isListening = false
  #pending = 0
  #closed = false

  constructor (client: Client, timeLimit: TimeLimit, maxPending: number) {
    this.#client = client
    this.#timeLimit = timeLimit
    this.#maxPending = maxPending
  }

  get isCluster (): boolean { return this.#client.masters !== undefined }

  /** Returns a connection to each server that has keys. */
  async servers (): Promise<Connection[]> {
    const masters = await this.#client.masters?.()
    return masters?.map((client) => new Connection(client, this.#timeLimit, this.#maxPending)) ?? [this]
  }

  /** Makes a call. Rejects if the server reports an error or does not reply in time, or if too many calls wait for a reply. */
  run<T> (command: 'mget' | 'evalsha', keys: readonly string[], text: string, use: Use<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal()
      if (refusal !== undefined) throw failure(refusal)
      this.#pending++
      if (this.#open?.command !== command) this.#open = this.#begin(command)
      const batch = this.#open
      batch.length += text.length
      const count = batch.calls.push({ keys, text, use, resolve, reject })
      if (count === MOST_CALLS || batch.length >= MOST_LENGTH || this.isCluster) this.#open = undefined
    })
  }

  /** Rejects further calls. Sends those that wait, so that they get their replies even if the app quits the client next. */
  close (): void {
    this.#closed = true
    this.#sendWaiting()
  }

  #refusal (): string | undefined {
    if (this.#closed) return 'the store is closed'
    if (this.#client.status === 'end') return 'the client is closed or was never connected. Connect it before the app starts, and keep it open until the app has closed'
    return this.#pending < this.#maxPending ? undefined : `${this.#pending} calls are waiting for a reply, the most that the option maxPending allows`
  }

  #begin (command: Command): Batch {
    const onTimeout = (): void => {
      this.#open = undefined
      // A call that was sent counts as pending until its reply, because the client still keeps it.
      const index = this.#waiting.indexOf(batch)
      if (index !== -1) this.#pending -= this.#waiting.splice(index, 1)[0]!.calls.length
      settle(batch, failure(`no reply within ${this.#timeLimit.milliseconds} ms (connection: ${this.#client.status})`))
    }
    const batch: Batch = { command, calls: [], length: 0, due: 0, older: undefined, newer: undefined, onTimeout }
    this.#timeLimit.add(batch)
    this.#waiting.push(batch)
    setImmediate(() => { this.#sendWaiting() })
    return batch
  }

  /** Sends all batches, at once or when the client is ready. */
  #sendWaiting (): void {
    this.#open = undefined
    if (this.#client.status === 'ready') {
      for (const batch of this.#waiting.splice(0)) this.#send(batch)
    } else if (this.#waiting.length > 0 && !this.#isListening) {
      this.#isListening = true
      this.#client.whenReady(() => {
        this.#isListening = false
        this.#sendWaiting()
      })
    }
  }

  #send (batch: Batch): void {
    const { command, calls } = batch
    const args: string[] = []
    for (const { keys } of calls) args.push(...keys)
    if (command !== 'mget') {
      args.unshift(command === 'eval' ? script.lua : script.digest, String(args.length))
      for (const { text } of calls) args.push(text)
    }
    const end = (outcome: unknown): void => {
      this.#pending -= calls.length
      // After the time limit, a reply must start no further call, whose error would not be caught.
      if (batch.due > 0) settle(batch, outcome)
      this.#timeLimit.delete(batch)
    }
    this.#client.send(command, args).then(end, ({ message }: Error) => {
      if (command !== 'evalsha' || !message.startsWith('NOSCRIPT') || batch.due === 0) return end(failure(message))
      batch.command = 'eval'
      this.#waiting.push(batch)
      this.#sendWaiting()
    })
  }
}

/** Copies only the message of an error, because errors of ioredis contain the arguments of the command and so the session's data. */
const failure = (message: string): Error => new Error(`RedisStore: ${message}`)

/** Ends the calls with their replies, or all of them with an error. */
function settle ({ calls }: Batch, outcome: unknown): void {
  let index = 0
  for (const { use, resolve, reject } of calls) {
    try {
      if (outcome instanceof Error) throw outcome
      if (!Array.isArray(outcome) || outcome.length !== calls.length) throw unexpectedReply(outcome)
      const reply: unknown = outcome[index++]
      if (reply instanceof Error) throw failure(reply.message)
      resolve(use(reply))
    } catch (error) {
      reject(error)
    }
  }
}
