import { randomBytes } from 'node:crypto'
import { timerMilliseconds } from '../durations.js'
import { invalidOptions } from '../errors.js'
import { refuseUnknown } from '../nearest.js'
import { clock } from './shared/clock.js'
import { ReportingStore } from './shared/reporting.js'
import { clearKeys } from './redis/clear.js'
import { adapt, type RedisClient } from './redis/client.js'
import { Connection } from './redis/connection.js'
import { type ScriptName, scripts } from './redis/scripts.js'
import { decode, encode, indexUntil, misunderstood, NOBODY, ownerIn, ownerOf, quote, scoreOf, unquote } from './redis/value.js'
import type { Page, PageRequest, SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'

export type { RedisClient } from './redis/client.js'

export interface RedisStoreOptions {
  /** The app's own client of ioredis, iovalkey or node-redis, for one server or a cluster. It stays open when the store closes. */
  readonly client: RedisClient
  /** The text that every key starts with, such as `'shop:session:'`. Two apps that share a Redis need different ones. */
  readonly prefix: string
  /** Seconds that a command may take, waiting for a connection included; 2 by default. */
  readonly timeout?: number
  /** How many commands may be without an answer before more are refused at once; 10,000 by default. */
  readonly maxPending?: number
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
}

/** How many ids `list` and `deleteAll` take from an index at once, and how many commands all these calls have under way. */
const BATCH = 500
const BULK = 100

/**
 * Sessions in Redis or Valkey, for any number of processes: one string a session, and one sorted set of ids for each
 * principal. A read is a plain GET. Every other call is one script, and one command more where an index is elsewhere.
 *
 * The index knows a session for twice the time that it has to live, so that a session in steady use is entered again
 * only once an idle timeout. No record ever outlives its entry, by the clock of any process.
 */
export class RedisStore extends ReportingStore implements SessionStore {
  readonly #connection: Connection
  /** True if a record and an index are on one server, so that one script writes both. */
  readonly #together: boolean
  readonly #prefix: string
  readonly #now: () => number
  /** Names every write, so that a write which the client sent again after a lost connection is recognised. */
  readonly #writer = randomBytes(6).toString('base64url')
  #writes = 0
  readonly #room: number
  #bulkCalls = 0

  constructor (options: RedisStoreOptions) {
    super()
    refuseUnknown(options ?? {}, ['client', 'prefix', 'timeout', 'maxPending', 'now'], 'option * of RedisStore')
    const { client, prefix, timeout = 2, maxPending = 10_000, now } = options ?? {}
    const adapted = adapt(client)
    if (typeof adapted === 'string') throw invalidOptions(`RedisStore: ${adapted}`)
    if (typeof prefix !== 'string') {
      throw invalidOptions('RedisStore: prefix is missing. Give each app its own, such as prefix: "shop:session:", ' +
        'because apps that share a Redis and a prefix accept each other\'s sessions')
    }
    if (!Number.isSafeInteger(maxPending) || maxPending < 1) throw invalidOptions('RedisStore: maxPending must be a whole number, such as 10000')
    this.#connection = new Connection(adapted, { time: timerMilliseconds('RedisStore: timeout', timeout) ?? 0, pending: maxPending })
    this.#together = !adapted.cluster
    this.#prefix = adapted.keyPrefix + prefix
    this.#now = clock(now)
    this.#room = Math.min(BULK, maxPending / 2)
  }

  async create (id: string, record: SessionRecord): Promise<number | boolean> {
    const now = this.#now()
    const { expiresAt } = record
    if (expiresAt <= now) return await this.read(id) === undefined
    const owner = ownerOf(record.principal)
    const until = owner === NOBODY ? 0 : indexUntil(expiresAt, now)
    const write = this.#nextWrite()
    const value = encode({ record, indexedUntil: until }, write)
    const keys = this.#keys(id, owner)
    let answer = await this.#run('create', keys, [now, expiresAt - now, write, value, quote(id), scoreOf(until, id)])
    if (answer === 'taken') return false
    if (keys.length === 1) {
      if (answer !== 'created') throw misunderstood(answer)
      if (owner === NOBODY) return true
      // The record before the index: until this call resolves no client holds the cookie, so the session cannot be in use.
      answer = await this.#enter(owner, id, until)
    }
    if (!/^\d+$/.test(String(answer))) throw misunderstood(answer)
    return Number(answer)
  }

  async read (id: string): Promise<SessionRecord | undefined> {
    const record = await this.#load(id)
    return record !== undefined && record !== 'absent' && record.expiresAt > this.#now() ? record : undefined
  }

  async touch (id: string, expiresAt: number): Promise<void> {
    const now = this.#now()
    if (expiresAt <= now) return
    const until = indexUntil(expiresAt, now)
    // The index before the record: no record outlives its entry. A concurrent update may change the owner once more.
    for (let owner = ''; ;) {
      const answer = await this.#run('touch', [this.#key(id)], [now, expiresAt, until, owner])
      if (answer === '') return
      owner = ownerIn(answer)
      await this.#enter(owner, id, until)
    }
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    const now = this.#now()
    const { version, expiresAt, payload, principal } = record
    const owner = ownerOf(principal)
    const args = [now, version, expiresAt, this.#nextWrite(), owner, payload, quote(id), scoreOf(0, id), indexUntil(expiresAt, now)]
    for (let entered = 0; ;) {
      const answer = await this.#run('update', this.#keys(id, owner), [...args, entered])
      if (answer === 'missing' || answer === 'conflict') return answer
      if (!(Number(answer) > entered)) {
        await this.#unindex(ownerIn(answer), [id])
        return 'updated'
      }
      await this.#enter(owner, id, entered = Number(answer))
    }
  }

  async delete (id: string): Promise<boolean> {
    const answer = await this.#run('delete', [this.#key(id)], [this.#now(), ''])
    if (answer === 'absent' || answer === 'ended') return false
    await this.#unindex(ownerIn(answer), [id])
    return true
  }

  async list (principal: string, { limit, cursor }: PageRequest): Promise<Page> {
    const owner = ownerOf(principal)
    const sessions: StoredSession[] = []
    const absent: string[] = []
    // A cursor is a score. Clients may make up another one: they get the first page.
    const after = cursor !== undefined && /^-?\d+(\.\d+)?$/.test(cursor) ? cursor : undefined
    const next = await this.#eachOf(owner, after, limit, async (id) => {
      const record = await this.#load(id)
      if (record === 'absent') absent.push(id)
      else if (record?.principal === principal && record.expiresAt > this.#now()) sessions.push({ id, record })
    })
    // A record is written before it is entered, or together with its entry: what has no record any more never gets one.
    await this.#unindex(owner, absent)
    return { sessions, cursor: next }
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    const owner = ownerOf(principal)
    let deleted = 0
    let cursor: string | undefined
    do {
      const gone: string[] = []
      cursor = await this.#eachOf(owner, cursor, BATCH, async (id) => {
        if (id === except) return
        const answer = await this.#run('delete', [this.#key(id)], [this.#now(), owner])
        if (answer === owner) deleted++
        else if (answer !== 'absent' && answer !== 'ended' && answer !== 'kept') throw misunderstood(answer)
        if (answer !== 'kept') gone.push(id)
      })
      await this.#unindex(owner, gone)
    } while (cursor !== undefined)
    return deleted
  }

  /** Indexes stay, with sessions that begin in the meantime: `list` takes out what has no record, and they expire. */
  async clear (): Promise<void> {
    await clearKeys(this.#connection, `${this.#prefix}id:`)
  }

  /** The client stays open: it is the app's own. */
  async close (): Promise<void> {
    this.#connection.close()
  }

  /** Returns the record under an id, expired or not; `'absent'` if Redis has none, `undefined` if it was damaged. */
  #load (id: string): Promise<SessionRecord | 'absent' | undefined> {
    return this.#connection.run('get', [this.#key(id)]).then((text) => {
      if (text === null) return 'absent'
      if (typeof text !== 'string') throw misunderstood(text)
      return decode(text) ?? this.#drop(id)
    }, (error: unknown) => {
      if (error instanceof Error && error.message.startsWith('RedisStore: WRONGTYPE')) return this.#drop(id)
      throw error
    })
  }

  /** Reports and deletes a damaged record. What took its place in between has an owner, and stays. */
  async #drop (id: string): Promise<undefined> {
    this.report({ kind: 'damaged', id })
    await this.#run('delete', [this.#key(id)], [this.#now(), 'none'])
  }

  #enter (owner: string, id: string, until: number): Promise<unknown> {
    return this.#run('enter', [this.#indexKey(owner)], [this.#now(), quote(id), scoreOf(until, id)])
  }

  /** Tidies up: what fails here is left to the time to live and to the next `list`. */
  async #unindex (owner: string, ids: readonly string[]): Promise<void> {
    if (owner === NOBODY || ids.length === 0) return
    try {
      await this.#connection.run('zrem', [this.#indexKey(owner), ...ids.map(quote)])
    } catch (error) {
      this.report({ kind: 'failed', task: 'take ended sessions out of the index of a principal', error })
    }
  }

  /**
   * Calls `work` for each id of one page of an index, and returns the cursor of the next page. All calls share the room
   * for commands, so that many of them leave enough of it to every other request.
   */
  async #eachOf (owner: string, after = '-inf', limit: number, work: (id: string) => Promise<void>): Promise<string | undefined> {
    this.#bulkCalls++
    try {
      const page = await this.#run('page', [this.#indexKey(owner)], [this.#now(), after, Math.min(limit, BATCH)])
      if (!Array.isArray(page) || page.length === 0) throw misunderstood(page)
      const [next, ...ids] = page.map((text) => unquote(String(text)))
      while (ids.length > 0) await Promise.all(ids.splice(0, Math.max(1, Math.floor(this.#room / this.#bulkCalls))).map(work))
      return next === '' ? undefined : next
    } finally {
      this.#bulkCalls--
    }
  }

  #run (name: ScriptName, keys: readonly string[], args: ReadonlyArray<string | number>): Promise<unknown> {
    const { lua, digest } = scripts[name]
    return this.#connection.run('evalsha', [digest, keys.length, ...keys, ...args], lua)
  }

  #nextWrite (): string {
    return this.#writer + (++this.#writes).toString(36)
  }

  #keys (id: string, owner: string): string[] {
    return owner !== NOBODY && this.#together ? [this.#key(id), this.#indexKey(owner)] : [this.#key(id)]
  }

  #key (id: string): string {
    return `${this.#prefix}id:${quote(id)}`
  }

  #indexKey (owner: string): string {
    return `${this.#prefix}principal:${owner.slice(1)}`
  }
}
