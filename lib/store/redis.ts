import { randomBytes } from 'node:crypto'
import { clock } from './shared/clock.js'
import { SessionError } from '../errors.js'
import { type Observer, Observers } from './shared/observers.js'
import { Connection, type RedisClient } from './redis/connection.js'
import { commandOf, defineScripts, type Script } from './redis/scripts.js'
import { decode, encode, GRACE, indexUntil, NOBODY, ownerOf, quote, unquote, type Value } from './redis/value.js'
import type { SessionRecord, SessionStore, StoredSession, UpdateOutcome } from './store.js'


export type { RedisClient } from './redis/connection.js'

export interface RedisStoreOptions {
  /** The app's own ioredis client, `Redis` or `Cluster`. It stays open when the store closes. */
  readonly client: RedisClient
  /** What every key starts with; `'session:'` by default. The client's `keyPrefix` comes before it. */
  readonly prefix?: string
  /** Seconds that a command may take, waiting for a connection included; 2 by default. */
  readonly timeout?: number
  /** How many commands may be without an answer before more are refused at once; 10,000 by default. */
  readonly maxPending?: number
  /** The time in epoch milliseconds; `Date.now` by default. */
  readonly now?: () => number
}

/** Members removed from an index by one command. */
const BATCH = 1000

/**
 * Sessions in Redis or Valkey, for any number of processes: one string a session, and one sorted set of ids for each
 * principal. Reading, saving and ending a session is one command each, and one more keeps the principal's index.
 *
 * The index knows a session for twice the time that it has to live, so that a session in steady use is entered again
 * only once an idle timeout; no record ever outlives its entry, by the clock of any process. A touch is put off until it
 * gains a tenth of the time.
 */
export class RedisStore implements SessionStore {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #now: () => number
  readonly #observers = new Observers()
  /** Names every write, so that one which the client sent again after a lost connection is known to be the same. */
  readonly #writer = randomBytes(6).toString('base64url')
  #writes = 0

  constructor (options: RedisStoreOptions) {
    const { client, prefix = 'session:', timeout = 2, maxPending = 10_000, now } = options ?? {}
    must(typeof client?.defineCommand === 'function', 'client must be a client of ioredis, such as new Redis() or new Cluster([...])')
    must(typeof prefix === 'string', 'prefix must be a text, such as "session:"')
    must(typeof timeout === 'number' && timeout > 0 && timeout < 2 ** 31 / 1000, 'timeout must be a number of seconds above 0, such as 2')
    must(Number.isSafeInteger(maxPending) && maxPending > 0, 'maxPending must be a whole number, 1 or more, such as 10000')
    defineScripts(client)
    this.#connection = new Connection(client, { time: timeout * 1000, pending: maxPending })
    this.#prefix = prefix
    this.#now = clock(now)
  }

  async create (id: string, record: SessionRecord): Promise<boolean> {
    const now = this.#now()
    const { principal, expiresAt } = record
    if (expiresAt <= now) return await this.read(id) === undefined
    const indexedUntil = principal === undefined ? 0 : indexUntil(expiresAt, now)
    const write = this.#nextWrite()
    // The record before the index: until this call resolves nobody holds the token, so nothing unknown can be in use.
    const created = await this.#run('create', this.#key(id), now, expiresAt - now, write, encode({ record, indexedUntil }, write))
    if (created !== 1) return false
    if (principal !== undefined) await this.#index(ownerOf(principal), id, indexedUntil)
    return true
  }

  async read (id: string, touchTo = 0): Promise<SessionRecord | undefined> {
    const value = await this.#load(id, touchTo)
    if (value === undefined || value === 'absent') return undefined
    const { record: { expiresAt, principal }, indexedUntil } = value
    const now = this.#now()
    if (principal === undefined || touchTo <= indexedUntil || !isDue(touchTo, expiresAt, now)) return value.record
    // The index before the record: no record outlives its entry.
    const longer = indexUntil(touchTo, now)
    await this.#index(ownerOf(principal), id, longer)
    const touched = await this.#load(id, touchTo, longer, ownerOf(principal))
    return touched === 'absent' ? undefined : touched?.record
  }

  async update (id: string, record: SessionRecord): Promise<UpdateOutcome> {
    const now = this.#now()
    const owner = ownerOf(record.principal)
    const write = this.#nextWrite()
    let [outcome, before = NOBODY] = await this.#update(id, record, now, write, 0)
    if (outcome === 'unindexed') {
      const indexedUntil = indexUntil(record.expiresAt, now)
      await this.#index(owner, id, indexedUntil);
      [outcome, before = NOBODY] = await this.#update(id, record, now, write, indexedUntil)
    }
    if (before !== NOBODY && (before !== owner || record.expiresAt <= now)) await this.#unindex(before, [id])
    return outcome as UpdateOutcome
  }

  async delete (id: string): Promise<boolean> {
    const owner = await this.#run('delete', this.#key(id), this.#now(), '')
    if (!owner) return false
    if (owner !== NOBODY) await this.#unindex(owner as string, [id])
    return true
  }

  async list (principal: string): Promise<readonly StoredSession[]> {
    const found: StoredSession[] = []
    const absent: string[] = []
    await Promise.all((await this.#idsOf(principal)).map(async (id) => {
      const value = await this.#load(id)
      if (value === 'absent') absent.push(id)
      else if (value?.record.principal === principal) found.push({ id, record: value.record })
    }))
    // A record is written before it is entered: what has no record any more never gets one.
    await this.#unindex(ownerOf(principal), absent)
    return found
  }

  async deleteAll (principal: string, except?: string): Promise<number> {
    const owner = ownerOf(principal)
    const seen = new Set([except])
    let deleted = 0
    for (;;) {
      // A session that is renewed meanwhile has a new id: look again until there is no id that was not seen before.
      const ids = (await this.#idsOf(principal)).filter((id) => !seen.has(id))
      if (ids.length === 0) return deleted
      for (const id of ids) seen.add(id)
      const found = await Promise.all(ids.map((id) => this.#run('delete', this.#key(id), this.#now(), owner)))
      deleted += found.filter(Boolean).length
      await this.#unindex(owner, ids.filter((_, n) => found[n] !== 0))
    }
  }

  observe (observer: Observer): void {
    this.#observers.add(observer)
  }

  /** The client stays open: it is the app's own. */
  async close (): Promise<void> {
    this.#connection.close()
  }

  /** The live record; `'absent'` when Redis has none, `undefined` when it has expired or is damaged. */
  async #load (id: string, touchTo = 0, indexedUntil = 0, owner = NOBODY): Promise<Value | 'absent' | undefined> {
    const text = await this.#run('read', this.#key(id), this.#now(), touchTo, indexedUntil, owner)
    if (text === null) return 'absent'
    if (text === '') return undefined
    const value = decode(text as string)
    if (value === undefined) {
      this.#observers.tell({ kind: 'damaged', id })
      await this.#connection.run('del', this.#key(id))
    }
    return value
  }

  /** What the script answers: an outcome, and with `updated` the owner before. */
  async #update (id: string, record: SessionRecord, now: number, write: string, indexedUntil: number): Promise<[string, string?]> {
    const { version, expiresAt, principal, payload } = record
    const args = [now, version, expiresAt, write, ownerOf(principal), indexedUntil, payload]
    return await this.#run('update', this.#key(id), ...args) as [string, string?]
  }

  async #index (owner: string, id: string, until: number): Promise<void> {
    await this.#run('index', this.#indexKey(owner), this.#now(), until + GRACE, quote(id))
  }

  /** Tidies up: what fails here is left to the time to live and to the next look. */
  async #unindex (owner: string, ids: readonly string[]): Promise<void> {
    try {
      for (let n = 0; n < ids.length; n += BATCH) {
        await this.#connection.run('zrem', this.#indexKey(owner), ...ids.slice(n, n + BATCH).map(quote))
      }
    } catch (error) {
      this.#observers.tell({ kind: 'failed', task: 'take ended sessions out of the index of a principal', error })
    }
  }

  async #idsOf (principal: string): Promise<string[]> {
    return (await this.#run('ids', this.#indexKey(ownerOf(principal)), this.#now()) as string[]).map(unquote)
  }

  async #run (script: Script, ...args: Array<string | number>): Promise<unknown> {
    return await this.#connection.run(commandOf(script), ...args)
  }

  #nextWrite (): string {
    return this.#writer + (++this.#writes).toString(36)
  }

  #key (id: string): string {
    return `${this.#prefix}id:${quote(id)}`
  }

  #indexKey (owner: string): string {
    return `${this.#prefix}principal:${owner.slice(1)}`
  }
}

function must (holds: boolean, sentence: string): void {
  if (!holds) throw new SessionError('FST_SESSION_OPTIONS', `RedisStore: ${sentence}`)
}
