import { randomBytes } from 'node:crypto'
import { chain } from '../awaitable.js'
import { invalidOptions, refuseUnknown, timerMilliseconds } from '../errors.js'
import { clock } from './shared/clock.js'
import { ReportingStore } from './shared/reporting.js'
import { TimeLimit } from './shared/time-limit.js'
import { adapt, type RedisClient } from './redis/client.js'
import { Connection, type Use } from './redis/connection.js'
import { type CallName, decode, NO_OWNER, ownerOf, quote, unexpectedReply, unquote } from './redis/scripts.js'
import type { Awaitable, Page, PageRequest, SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'

export type { RedisClient } from './redis/client.js'

export interface RedisStoreOptions {
  /** The app's client of ioredis, iovalkey or node-redis, for one server or a cluster. It stays open when the store closes. */
  readonly client: RedisClient
  /** The prefix of every key, such as `'shop:session:'`. Apps that share a Redis need different prefixes. */
  readonly prefix: string
  /** The time limit of a command in seconds, including the wait for a connection. Default: 2. */
  readonly timeout?: number
  /** How many calls of the store may wait for a reply. Further calls fail at once. Default: 10,000. */
  readonly maxPending?: number
  /** Returns the time in epoch milliseconds. Default: `Date.now`. */
  readonly now?: () => number
}

/** Returns the fields of a call that uses no other one than the owner. A payload may follow. */
const onlyOwner = (owner = ''): string => `0 0 - ${owner}\n\n\n`
const asIs: Use<unknown> = (reply) => reply

/** How many ids `list` and `deleteAll` read from an index at once. */
const BATCH = 500
/** How many ids all calls of `list` and `deleteAll` together may work on at once. */
const BULK = 100

/**
 * Keeps sessions in Redis or Valkey, for any number of processes. Each session is a string. Each principal has an index: a
 * sorted set of ids. A read is a key of an MGET. Every other call on a session is one call of a script. In a cluster, where the
 * index may be on another server, it also takes a call on the index.
 *
 * An index entry lasts twice as long as the session has left to live, so that an active session renews its entry only once
 * per idle timeout. An entry always outlasts its record, even if the clocks of the processes differ by some minutes.
 */
export class RedisStore extends ReportingStore implements SessionStore {
  readonly #connection: Connection
  readonly #prefix: string
  /** The pattern of SCAN that matches the key of each record. */
  readonly #pattern: string
  readonly #now: () => number
  /** The start of the unique name of each write. It identifies a write that the client repeats after a lost connection. */
  readonly #writer = randomBytes(6).toString('base64url')
  #writes = 0
  readonly #bulk: number
  #bulkCalls = 0

  constructor (options: RedisStoreOptions) {
    super()
    refuseUnknown(options ?? {}, ['client', 'prefix', 'timeout', 'maxPending', 'now'], 'option * of RedisStore')
    const { client, prefix, timeout = 2, maxPending = 10_000, now } = options ?? {}
    const adapted = adapt(client)
    if (typeof prefix !== 'string') throw invalidOptions('RedisStore: prefix is missing. Give each app its own, such as prefix: "shop:session:", because apps that share a Redis and a prefix accept each other\'s sessions')
    if (!Number.isSafeInteger(maxPending) || maxPending < 1) throw invalidOptions('RedisStore: maxPending must be a whole number, 1 or more, such as 10000')
    this.#connection = new Connection(adapted, new TimeLimit(timerMilliseconds('RedisStore: timeout', timeout) ?? 0), maxPending)
    this.#prefix = (adapted.keyPrefix ?? '') + prefix
    this.#pattern = `${((adapted.scanPrefix ?? '') + this.#prefix).replace(/[\\*?[\]]/g, '\\$&')}id:*`
    this.#now = clock(now)
    this.#bulk = Math.min(BULK, maxPending / 2)
  }

  create (id: string, record: SessionRecord): Promise<number | boolean> {
    return this.#write('create', id, record.expiresAt, record, (reply) => {
      if (reply === 'taken' || reply === 'saved') return reply === 'saved'
      if (record.principal === undefined || !/^\d+$/.test(String(reply))) throw unexpectedReply(reply)
      return Number(reply)
    })
  }

  read (id: string): Promise<SessionRecord | undefined> {
    return this.#load(id, (record) => record && record.expiresAt > this.#now() ? record : undefined)
  }

  touch (id: string, expiresAt: number): Promise<void> {
    return this.#write('touch', id, expiresAt, undefined, (reply) => {
      if (reply !== 'touched') throw unexpectedReply(reply)
    })
  }

  update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    return this.#write('update', id, record.expiresAt, record, (reply) => {
      return reply === 'missing' || reply === 'conflict' ? reply : chain(this.#unindex(reply, [id]), () => 'updated')
    })
  }

  delete (id: string): Promise<boolean> {
    return this.#call('delete', [this.#key(id)], onlyOwner(), (reply) => reply !== 'ended' && chain(this.#unindex(reply, [id]), () => true))
  }

  async list (principal: string, { limit, cursor }: PageRequest): Promise<Page> {
    const sessions: StoredSession[] = []
    const next = await this.#forEachId(ownerOf(principal), cursor, limit, async (id) => {
      const record = await this.#load(id, (record) => record)
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
        const reply = await this.#call('delete', [this.#key(id)], onlyOwner(owner), asIs)
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
        cursor = await this.#call('clear', [], `${onlyOwner()}${cursor} ${this.#pattern}`, String, server)
        if (!/^\d+$/.test(cursor)) throw unexpectedReply(cursor)
      } while (cursor !== '0')
    }
  }

  async close (): Promise<void> { this.#connection.close() }

  /** Passes on the record of an id, even if it has expired: `null` if there is none, and `undefined` if it was damaged. */
  #load<T> (id: string, use: (record: SessionRecord | null | undefined) => T): Promise<T> {
    return this.#connection.run('mget', [this.#key(id)], '', (text) => {
      if (text === null) return use(null)
      if (typeof text !== 'string') throw unexpectedReply(text)
      const record = decode(text)
      if (record !== undefined) return use(record)
      this.report({ kind: 'damaged', id })
      // A valid record that has just replaced the damaged one stays, because its owner is not `none`.
      return this.#call('delete', [this.#key(id)], onlyOwner('none'), () => use(undefined))
    })
  }

  /** Makes a call that writes a record. Adds the index entry that it asks for, and repeats the call unless it created the record. */
  #write<T> (name: 'create' | 'touch' | 'update', id: string, expiresAt: number, record: SessionRecord | undefined, use: Use<T>): Promise<T> {
    const owner = ownerOf(record?.principal)
    // In a cluster, a record and an index may be on different servers, so that a script cannot write both.
    const keys = owner === NO_OWNER || this.#connection.isCluster ? [this.#key(id)] : [this.#key(id), this.#indexKey(owner)]
    const fields = `${expiresAt} ${record?.version ?? 0} ${this.#writer}${++this.#writes} ${owner}\n${quote(id)}\n`
    const send = (entered: string): Promise<T> => this.#call(name, keys, `${fields}${entered}\n${record?.payload ?? ''}`, (reply) => {
      if (typeof reply !== 'string' || !reply.startsWith('enter ')) return use(reply)
      const entry = `${reply.slice(6, 22)} 0 - \n${quote(id)}\n\n`
      return this.#call('index', [this.#indexKey(reply.slice(23))], entry, (size) => name === 'create' ? use(size) : send(reply))
    })
    return send('')
  }

  /**
   * Removes ended sessions from the index of an owner in the reply of a script. If that fails, the next `list` or the expiry of
   * the index removes them. @throws if the reply is not an owner
   */
  #unindex (owner: unknown, ids: readonly string[]): Awaitable<void> {
    if (owner === NO_OWNER || ids.length === 0) return undefined
    if (typeof owner !== 'string' || !owner.startsWith('=')) throw unexpectedReply(owner)
    return this.#call('unindex', [this.#indexKey(owner)], `${onlyOwner()}${ids.map(quote).join('\n')}`, () => {}).catch((error: unknown) => {
      this.report({ kind: 'failed', task: 'remove ended sessions from the index of a principal', error })
    })
  }

  /**
   * Runs a task for each id of one page of an index, and returns the cursor of the next page. Removes the ids for which the task
   * returns true. All calls of this method share `#bulk`, so that they leave most of the connection to other calls.
   */
  async #forEachId (owner: string, cursor = '', limit: number, task: (id: string) => Promise<boolean>): Promise<string | undefined> {
    this.#bulkCalls++
    const ended: string[] = []
    try {
      // A cursor is a score. An invalid cursor, which a client may send, selects the first page.
      const after = /^\d+(\.\d+)?$/.test(cursor) ? cursor : '-inf'
      const page = await this.#call('page', [this.#indexKey(owner)], `${onlyOwner()}${after} ${Math.min(limit, BATCH)}`, asIs)
      if (!Array.isArray(page) || page.length === 0) throw unexpectedReply(page)
      const [next, ...ids] = page.map((text) => unquote(String(text)))
      const run = async (id: string): Promise<unknown> => await task(id) && ended.push(id)
      while (ids.length > 0) await Promise.all(ids.splice(0, Math.max(1, Math.floor(this.#bulk / this.#bulkCalls))).map(run))
      await this.#unindex(owner, ended)
      return next === '' ? undefined : next
    } finally {
      this.#bulkCalls--
    }
  }

  /** Makes a call of the script. It has one argument, because each further one would cost several times what its text does. */
  #call<T> (name: CallName, keys: readonly string[], fields: string, use: Use<T>, connection = this.#connection): Promise<T> {
    return connection.run('evalsha', keys, `${name} ${keys.length} ${this.#now()} ${fields}`, use)
  }

  #key (id: string): string { return `${this.#prefix}id:${quote(id)}` }
  #indexKey (owner: string): string { return `${this.#prefix}principal:${owner.slice(1)}` }
}
