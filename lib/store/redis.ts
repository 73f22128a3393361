import { randomBytes } from 'node:crypto'
import { invalidOptions, refuseUnknown, timerMilliseconds } from '../errors.js'
import { clock } from './shared/clock.js'
import { ReportingStore } from './shared/reporting.js'
import { TimeLimit } from './shared/time-limit.js'
import { adapt, type RedisClient } from './redis/client.js'
import { Connection } from './redis/connection.js'
import { decode, NO_OWNER, ownerOf, quote, type ScriptName, scripts, unexpectedReply, unquote } from './redis/scripts.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'

export type { RedisClient } from './redis/client.js'

export interface RedisStoreOptions {
  /** The app's client of ioredis, iovalkey or node-redis, for one server or a cluster. It stays open when the store closes. */
  readonly client: RedisClient
  /** The prefix of every key, such as `'shop:session:'`. Apps that share a Redis need different prefixes. */
  readonly prefix: string
  /** The time limit of a command in seconds, including the wait for a connection. Default: 2. */
  readonly timeout?: number
  /** How many commands may wait for a reply. Further commands fail at once. Default: 10,000. */
  readonly maxPending?: number
  /** Returns the time in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number
}

/** How many ids `list` and `deleteAll` read from an index at once. */
const BATCH = 500
/** How many commands all calls of `list` and `deleteAll` together may have in flight. */
const BULK_COMMANDS = 100

/**
 * Keeps sessions in Redis or Valkey, for any number of processes. Each session is a string. Each principal has an index: a
 * sorted set of ids. A read is a plain GET. Every other call on a session is one script. In a cluster, where the index may be
 * on another server, it also takes a command on the index.
 *
 * An index entry lasts twice as long as the session has left to live, so that an active session renews its entry only once
 * per idle timeout. An entry always outlasts its record, even if the clocks of the processes differ by some minutes.
 */
export class RedisStore extends ReportingStore implements SessionStore {
  readonly #connection: Connection
  /** True if a record and an index may be on different servers, so that a script cannot write both. */
  readonly #isCluster: boolean
  readonly #prefix: string
  /** The pattern of SCAN that matches the key of each record. */
  readonly #pattern: string
  readonly #now: () => number
  /** The start of the unique name of each write. It identifies a write that the client repeats after a lost connection. */
  readonly #writer = randomBytes(6).toString('base64url')
  #writes = 0
  readonly #bulkCommands: number
  #bulkCalls = 0

  constructor (options: RedisStoreOptions) {
    super()
    refuseUnknown(options ?? {}, ['client', 'prefix', 'timeout', 'maxPending', 'now'], 'option * of RedisStore')
    const { client, prefix, timeout = 2, maxPending = 10_000, now } = options ?? {}
    const adapted = adapt(client)
    if (typeof prefix !== 'string') throw invalidOptions('RedisStore: prefix is missing. Give each app its own, such as prefix: "shop:session:", because apps that share a Redis and a prefix accept each other\'s sessions')
    if (!Number.isSafeInteger(maxPending) || maxPending < 1) throw invalidOptions('RedisStore: maxPending must be a whole number, 1 or more, such as 10000')
    this.#connection = new Connection(adapted, new TimeLimit(timerMilliseconds('RedisStore: timeout', timeout) ?? 0), maxPending)
    this.#isCluster = adapted.masters !== undefined
    this.#prefix = (adapted.keyPrefix ?? '') + prefix
    this.#pattern = `${((adapted.scanPrefix ?? '') + this.#prefix).replace(/[\\*?[\]]/g, '\\$&')}id:*`
    this.#now = clock(now)
    this.#bulkCommands = Math.min(BULK_COMMANDS, maxPending / 2)
  }

  async create (id: string, record: SessionRecord): Promise<number | boolean> {
    const reply = await this.#write('create', id, record.expiresAt, record)
    if (reply === 'taken' || reply === 'saved') return reply === 'saved'
    if (record.principal === undefined || !/^\d+$/.test(String(reply))) throw unexpectedReply(reply)
    return Number(reply)
  }

  async read (id: string): Promise<SessionRecord | undefined> {
    const record = await this.#load(id)
    return record && record.expiresAt > this.#now() ? record : undefined
  }

  async touch (id: string, expiresAt: number): Promise<void> {
    const reply = await this.#write('touch', id, expiresAt)
    if (reply !== 'touched') throw unexpectedReply(reply)
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    const reply = await this.#write('update', id, record.expiresAt, record)
    if (reply === 'missing' || reply === 'conflict') return reply
    await this.#unindex(reply, [id])
    return 'updated'
  }

  async delete (id: string): Promise<boolean> {
    const reply = await this.#run('delete', [this.#key(id)], [this.#now(), ''])
    if (reply === 'ended') return false
    await this.#unindex(reply, [id])
    return true
  }

  async list (principal: string, { limit, cursor }: PageRequest): Promise<Page> {
    const sessions: StoredSession[] = []
    const next = await this.#forEachId(ownerOf(principal), cursor, limit, async (id) => {
      const record = await this.#load(id)
      if (record?.principal === principal && record.expiresAt > this.#now()) sessions.push({ id, record })
      // A record is never written after its entry, so an entry without a record stays without one.
      return record === null
    })
    return { sessions, cursor: next }
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    const owner = ownerOf(principal)
    let deleted = 0
    let cursor: string | undefined
    do {
      cursor = await this.#forEachId(owner, cursor, BATCH, async (id) => {
        if (id === except) return false
        const reply = await this.#run('delete', [this.#key(id)], [this.#now(), owner])
        if (reply === owner) deleted++
        else if (reply !== 'ended' && reply !== 'kept') throw unexpectedReply(reply)
        return reply !== 'kept'
      })
    } while (cursor !== undefined)
    return deleted
  }

  /** Deletes all records. Indexes stay: `list` removes entries without a record, and indexes expire. */
  async clear (): Promise<void> {
    for (const server of await this.#connection.servers()) {
      let cursor = '0'
      do {
        cursor = String(await this.#run('clear', [], [cursor, this.#pattern, BATCH], server))
        if (!/^\d+$/.test(cursor)) throw unexpectedReply(cursor)
      } while (cursor !== '0')
    }
  }

  async close (): Promise<void> { this.#connection.close() }

  /** Returns the record of an id, even if it has expired. Returns `null` if there is none, and `undefined` if it was damaged. */
  #load (id: string): Promise<SessionRecord | null | undefined> {
    return this.#connection.run('get', [this.#key(id)]).then((text) => {
      if (text === null) return null
      if (typeof text !== 'string') throw unexpectedReply(text)
      return decode(text) ?? this.#drop(id)
    }, (error: unknown) => {
      if (error instanceof Error && error.message.startsWith('RedisStore: WRONGTYPE')) return this.#drop(id)
      throw error
    })
  }

  /** Reports and deletes a damaged record. A valid record that has just replaced it stays, because its owner is not `none`. */
  async #drop (id: string): Promise<undefined> {
    this.report({ kind: 'damaged', id })
    await this.#run('delete', [this.#key(id)], [this.#now(), 'none'])
  }

  /** Runs a script that writes a record. Adds the index entry that it asks for, and runs it again unless it created the record. */
  async #write (script: ScriptName, id: string, expiresAt: number, record?: SessionRecord): Promise<unknown> {
    const owner = ownerOf(record?.principal)
    const keys = [this.#key(id), ...(owner === NO_OWNER || this.#isCluster ? [] : [this.#indexKey(owner)])]
    const rest = record ? [record.version, this.#writer + (++this.#writes).toString(36), owner, record.payload, quote(id)] : []
    const now = this.#now()
    for (let entered = ''; ;) {
      const reply = await this.#run(script, keys, [now, expiresAt, entered, ...rest])
      if (typeof reply !== 'string' || !reply.startsWith('enter ')) return reply
      const size = await this.#run('index', [this.#indexKey(reply.slice(23))], [now, quote(id), reply.slice(6, 22)])
      if (script === 'create') return size
      entered = reply
    }
  }

  /**
   * Removes ended sessions from the index of an owner in the reply of a script. If that fails, the next `list` or the expiry of
   * the index removes them. @throws if the reply is not an owner
   */
  async #unindex (owner: unknown, ids: readonly string[]): Promise<void> {
    if (typeof owner !== 'string' || !/^(?:-$|=)/.test(owner)) throw unexpectedReply(owner)
    if (owner === NO_OWNER || ids.length === 0) return
    await this.#connection.run('zrem', [this.#indexKey(owner), ...ids.map(quote)]).catch((error: unknown) => {
      this.report({ kind: 'failed', task: 'remove ended sessions from the index of a principal', error })
    })
  }

  /**
   * Runs a task for each id of one page of an index, and returns the cursor of the next page. Removes the ids for which the task
   * returns true. All calls of this method share `#bulkCommands`, so that they leave most of the connection to other calls.
   */
  async #forEachId (owner: string, cursor = '', limit: number, task: (id: string) => Promise<boolean>): Promise<string | undefined> {
    this.#bulkCalls++
    const ended: string[] = []
    try {
      // A cursor is a score. An invalid cursor, which a client may send, selects the first page.
      const after = /^\d+(\.\d+)?$/.test(cursor) ? cursor : '-inf'
      const page = await this.#run('page', [this.#indexKey(owner)], [this.#now(), after, Math.min(limit, BATCH)])
      if (!Array.isArray(page) || page.length === 0) throw unexpectedReply(page)
      const [next, ...ids] = page.map((text) => unquote(String(text)))
      const run = async (id: string): Promise<unknown> => await task(id) && ended.push(id)
      while (ids.length > 0) await Promise.all(ids.splice(0, Math.max(1, Math.floor(this.#bulkCommands / this.#bulkCalls))).map(run))
      await this.#unindex(owner, ended)
      return next === '' ? undefined : next
    } finally {
      this.#bulkCalls--
    }
  }

  #run (name: ScriptName, keys: readonly string[], args: ReadonlyArray<string | number>, connection = this.#connection): Promise<unknown> {
    const { lua, digest } = scripts[name]
    return connection.run('evalsha', [digest, keys.length, ...keys, ...args], lua)
  }

  #key (id: string): string { return `${this.#prefix}id:${quote(id)}` }
  #indexKey (owner: string): string { return `${this.#prefix}principal:${owner.slice(1)}` }
}
