import { callInTime, chain } from '../awaitable.js'
import type { Report } from '../events/events.js'
import type { Codec } from '../session/codec.js'
import { type Credential, hashSecret, isSessionId, parseCredential } from '../session/credential.js'
import { RecentPayloads } from '../session/recent.js'
import { expiryOf } from '../session/times.js'
import type { Awaitable, SessionRecord, SessionStore } from '../store/store.js'
import type { Snapshot } from './backend.js'

export interface StoredOptions {
  readonly store: SessionStore
  readonly codec: Codec
  /** Milliseconds. */
  readonly idleTimeout: number
  /** Milliseconds that one call of the store may take. */
  readonly storeTimeout: number
  readonly maxPerPrincipal: number | undefined
  readonly now: () => number
  /** Reports what happens outside of any request. */
  readonly report: Report
}

/** The session that a claimed key leads to, and the instant of the claim (epoch milliseconds). */
export interface Claim { readonly id: string, readonly since: number }

/** A call on many sessions works in batches. It may take this many times the limit of a single call. */
const BULK_FACTOR = 30

/** The sessions of a store: loads them by their cookies, and finds or deletes them without. */
export class StoredSessions {
  protected readonly options: StoredOptions
  protected readonly recent: RecentPayloads

  constructor (options: StoredOptions) {
    this.options = options
    this.recent = new RecentPayloads(options.codec)
  }

  load (value: string, touch: boolean, report: Report): Awaitable<Snapshot | undefined> {
    const credential = parseCredential(value)
    if (credential === undefined) return report({ type: 'rejected', reason: 'malformed-cookie' })
    return chain(this.call((store) => store.read(credential.id)), (record) => this.#verify(credential, record, touch, report))
  }

  reload ({ id }: Snapshot): Awaitable<Snapshot | undefined> { return this.find(id) }

  /** Returns the live session with an id. With `touch`, the call counts as activity. */
  find (id: string, touch = false): Awaitable<Snapshot | undefined> {
    if (!isSessionId(id)) return undefined
    return chain(this.call((store) => store.read(id)), (record) => {
      const session = this.#live(id, record)
      return session !== undefined && touch ? this.#touch(session, this.options.now()) : session
    })
  }

  async list (principal: string, limit: number, cursor?: string) {
    const page = await this.call((store) => store.list(principal, { limit, cursor }))
    const sessions = page.sessions.map(({ id, record }) => this.#live(id, record)).filter((session) => session !== undefined)
    return { sessions, cursor: page.cursor }
  }

  async revoke (id: string): Promise<boolean> {
    const deleted = isSessionId(id) && await this.call((store) => store.delete(id))
    if (deleted) this.options.report({ type: 'destroyed', reason: 'revoke', id })
    return deleted
  }

  async revokeAll (principal: string, except?: string): Promise<number> {
    const count = await this.call((store) => store.deleteAll(principal, except), BULK_FACTOR)
    if (count > 0) this.options.report({ type: 'destroyed', reason: 'revoke', principal, detail: `${count} sessions` })
    return count
  }

  /** Ends every session. Undefined if the store cannot. */
  get revokeEverything (): (() => Promise<void>) | undefined {
    return this.options.store.clear && (async () => {
      await this.call((store) => store.clear?.(), BULK_FACTOR)
      this.options.report({ type: 'destroyed', reason: 'revoke', detail: 'all sessions' })
    })
  }

  /** Records in the store that `key` leads to the session `id` until the instant `until`. Returns `false` if `key` is claimed. */
  claim (key: string, id: string, until: number): Awaitable<boolean> {
    const payload = JSON.stringify({ claim: id, since: this.options.now() })
    // It has a principal, so that a full store does not evict it like the session of a guest.
    const record = { payload, version: 1, expiresAt: until, principal: `adopted:${key}` }
    return chain(this.call((store) => store.create(key, record)), (created) => created !== false)
  }

  claimed (key: string): Awaitable<Claim | undefined> { return chain(this.call((store) => store.read(key)), claimIn) }
  unclaim (key: string): Awaitable<void> { return chain(this.call((store) => store.delete(key)), () => {}) }

  #verify ({ id, secret }: Credential, record: SessionRecord | undefined, touch: boolean, report: Report): Awaitable<Snapshot | undefined> {
    const now = this.options.now()
    if (record === undefined || record.expiresAt <= now) return report({ type: 'expired', reason: 'absent', id })
    const session = this.#read(id, record, report, now)
    if (session === undefined) return undefined
    // The digests are compared, so the time of the comparison reveals nothing about the secret.
    if (hashSecret(secret) !== session.secretHash) return report({ type: 'rejected', reason: 'stale-secret' }, session)
    return touch ? this.#touch(session, now) : session
  }

  #live (id: string, record: SessionRecord | undefined): Snapshot | undefined {
    const now = this.options.now()
    return record === undefined || record.expiresAt <= now ? undefined : this.#read(id, record, this.options.report, now)
  }

  /** Returns the session of a live record. */
  #read (id: string, { payload, version, expiresAt, principal }: SessionRecord, report: Report, now: number): Snapshot | undefined {
    const decoded = this.recent.decode(id, payload)
    if ('reason' in decoded) return report({ type: 'discarded', ...decoded }, { id, principal })
    // "Sign out everywhere" must find the record. And a tampered record must not turn one principal into another.
    if (principal !== undefined && decoded.principal !== undefined && principal !== decoded.principal) {
      return report({ type: 'discarded', reason: 'unfit', detail: 'its data belong to another principal than its record' }, { id, principal })
    }
    const { times, secretHash, data } = decoded
    // A store may keep a record past its expiry.
    if (times.deadline <= now) return report({ type: 'expired', reason: 'absolute' }, { id, principal })
    return { id, version, expiresAt, times, secretHash, data, principal: decoded.principal, stale: principal !== decoded.principal }
  }

  /** Moves the idle deadline if that gains a tenth of the idle timeout. Never moves it past the absolute deadline. */
  #touch (session: Snapshot, now: number): Awaitable<Snapshot> {
    const { idleTimeout } = this.options
    const { times, expiresAt: before } = session
    const least = (times.idleTimeout ?? idleTimeout) / 10
    // Fast path: most requests come soon after the one before.
    if (now + 9 * least < before) return session
    const expiresAt = expiryOf(times, this.options, now)
    if (expiresAt - before < least) return session
    return chain(this.call((store) => store.touch(session.id, expiresAt)), () => ({ ...session, expiresAt }))
  }

  /** Calls the store within the time limit. @throws `FST_SESSION_STORE` */
  protected call<T> (work: (store: SessionStore) => Awaitable<T>, factor = 1): Awaitable<T> {
    return callInTime(work, this.options.storeTimeout * factor, this.options.store)
  }
}

function claimIn (record: SessionRecord | undefined): Claim | undefined {
  const [, id, since] = /^\{"claim":"([\w-]+)","since":(\d+)\}$/.exec(record?.payload ?? '') ?? []
  return id === undefined ? undefined : { id, since: Number(since) }
}
