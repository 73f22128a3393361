import { callInTime, chain, rescue } from '../awaitable.js'
import { conflict, unavailable } from '../errors.js'
import type { DestroyedReason, Report } from '../events/events.js'
import type { Codec, Content } from '../session/codec.js'
import { type Credential, hashSecret, parseCredential } from '../session/credential.js'
import { RecentPayloads } from '../session/recent.js'
import { expiryOf, hasIdled, IDLED, withLogin } from '../session/times.js'
import type { Awaitable, SessionRecord, SessionStore, UpdateOutcome } from '../store/store.js'
import type { Backend, Compute, Directory, NewSession, Renewal, Saved, Snapshot } from './backend.js'
import { Limit } from './limit.js'
import { storedDirectory } from './stored-directory.js'
import { Turns } from './turns.js'

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

/** One run of the write loop. */
interface SaveOrder {
  readonly base: Snapshot
  readonly compute: Compute
  readonly renewal?: Renewal | undefined
  /** The rank to give the session; see `Limit`. */
  readonly rank?: number
  /** The result of the store's `create`, once the session has moved to another id. */
  count?: number | true
}

/** Keeps sessions as records in a store. The cookie has only the credential. */
export class StoredBackend implements Backend {
  readonly #options: StoredOptions
  readonly #turns: Turns
  readonly #recent: RecentPayloads
  readonly #limit: Limit
  readonly directory: Directory

  constructor (options: StoredOptions) {
    this.#options = options
    this.#turns = new Turns(options.storeTimeout)
    this.#recent = new RecentPayloads(options.codec)
    this.directory = storedDirectory(options, {
      read: (id, record) => this.#read(id, record, options.report),
      touch: (session) => this.#touch(session),
      limit: (created, report) => this.#limit.keep(created, report)
    })
    this.#limit = new Limit({
      maxPerPrincipal: options.maxPerPrincipal,
      list: this.directory.list,
      rank: (session, rank) => this.#turns.take(session, (current) => this.#write({ base: session, compute: (now) => now, rank }, current)),
      endUnchanged: (session, reason, report) => this.endUnchanged(session, reason, report)
    })
  }

  load (value: string, touch: boolean, report: Report): Awaitable<Snapshot | undefined> {
    const credential = parseCredential(value)
    if (credential === undefined) return report({ type: 'rejected', reason: 'malformed-cookie' })
    return chain(this.#call((store) => store.read(credential.id)), (record) => this.#verify(credential, record, touch, report))
  }

  reload ({ id }: Snapshot): Awaitable<Snapshot | undefined> { return this.directory.find(id) }

  create (session: NewSession, report: Report, old?: Snapshot): Awaitable<Saved> {
    const { credential: { id, secretHash, value }, times, content, reason } = session
    const snapshot = this.#assemble({ id, version: 0, times, secretHash }, content)
    return chain(this.#insert(snapshot), (count) => {
      return chain(old !== undefined && this.#orDelete(id, () => this.#call((store) => store.delete(old.id))), (deleted) => {
        if (deleted) report({ type: 'destroyed', reason: 'replaced' }, old)
        report({ type: 'created', reason }, snapshot)
        const created = { snapshot, value, count }
        // Several requests may adopt one session, but only one keeps its copy. The adoption applies the limit to that copy.
        return reason === 'adopted' ? created : this.#limit.keep(created, report)
      })
    })
  }

  save (base: Snapshot, compute: Compute, report: Report, renewal?: Renewal): Awaitable<Saved | undefined> {
    const order: SaveOrder = { base, compute, renewal }
    const saved = this.#turns.take(base, (current) => this.#write(order, current))
    return chain(saved, (snapshot) => {
      if (snapshot === undefined) {
        report({ type: 'discarded', ...hasIdled(base, this.#options.now()) ? IDLED : { reason: 'ended' } }, base)
        return undefined
      }
      if (snapshot.secretHash !== renewal?.credential.secretHash) return { snapshot }
      report({ type: 'renewed', reason: renewal.reason }, snapshot)
      return this.#limit.keep({ snapshot, value: renewal.credential.value, count: order.count }, report)
    })
  }

  end (session: Snapshot, reason: DestroyedReason, report: Report): Awaitable<boolean> {
    return chain(this.#call((store) => store.delete(session.id)), (deleted) => {
      if (deleted) report({ type: 'destroyed', reason }, session)
      return deleted
    })
  }

  endUnchanged (session: Snapshot, reason: DestroyedReason, report: Report): Awaitable<boolean> {
    return chain(this.#deleteUnchanged(session), (outcome) => {
      if (outcome === 'updated') report({ type: 'destroyed', reason }, session)
      return outcome !== 'conflict'
    })
  }

  async close (): Promise<void> { await this.#call((store) => store.close?.()) }

  #verify ({ id, secret }: Credential, record: SessionRecord | undefined, touch: boolean, report: Report): Awaitable<Snapshot | undefined> {
    if (record === undefined || record.expiresAt <= this.#options.now()) {
      report({ type: 'expired', reason: 'absent', id })
      return undefined
    }
    const session = this.#read(id, record, report)
    if (session === undefined) return undefined
    // The digests are compared, so the time of the comparison reveals nothing about the secret.
    if (hashSecret(secret) !== session.secretHash) {
      report({ type: 'rejected', reason: 'stale-secret' }, session)
      return undefined
    }
    return touch ? this.#touch(session) : session
  }

  /** Returns the session of a live record. */
  #read (id: string, { payload, version, expiresAt, principal }: SessionRecord, report: Report): Snapshot | undefined {
    const decoded = this.#recent.decode(id, payload)
    if ('reason' in decoded) {
      report({ type: 'discarded', ...decoded }, { id, principal })
      return undefined
    }
    // "Sign out everywhere" must find the record. And a tampered record must not turn one principal into another.
    if (principal !== undefined && decoded.principal !== undefined && principal !== decoded.principal) {
      report({ type: 'discarded', reason: 'unfit', detail: 'its data belong to another principal than its record' }, { id, principal })
      return undefined
    }
    const { times, secretHash, data } = decoded
    // A store may keep a record past its expiry.
    if (times.deadline <= this.#options.now()) {
      report({ type: 'expired', reason: 'absolute' }, { id, principal })
      return undefined
    }
    return { id, version, expiresAt, times, secretHash, data, principal: decoded.principal, stale: principal !== decoded.principal }
  }

  /** Moves the idle deadline if that gains a tenth of the idle timeout. Never moves it past the absolute deadline. */
  #touch (session: Snapshot): Awaitable<Snapshot> {
    const { idleTimeout, now } = this.#options
    const { times, expiresAt: before } = session
    const least = (times.idleTimeout ?? idleTimeout) / 10
    const at = now()
    // Fast path: most requests come soon after the one before.
    if (at + 9 * least < before) return session
    const expiresAt = expiryOf(times, this.#options, at)
    if (expiresAt - before < least) return session
    return chain(this.#call((store) => store.touch(session.id, expiresAt)), () => ({ ...session, expiresAt }))
  }

  #insert (session: Snapshot): Awaitable<number | true> {
    const { id } = session
    const record = this.#record(session)
    return chain(this.#orDelete(id, () => this.#call((store) => store.create(id, record))), (created) => {
      // 128 random bits do not collide, so the store or the source of randomness is broken.
      if (created === false) throw unavailable(new Error('the store has a record under a new random id'))
      return created
    })
  }

  /** Compare-and-set loop: computes and writes. On a conflict, reads the session and starts again. */
  #write (order: SaveOrder, current: Snapshot | undefined, until?: number): Awaitable<Snapshot | undefined> {
    const { base, compute } = order
    if (current === undefined || current.principal !== base.principal) return undefined
    return chain(compute(current), (content) => {
      const next = this.#next(order, current, content)
      const isMove = next.id !== current.id
      const written = isMove ? this.#move(order, current, next) : this.#call((store) => store.update(next.id, this.#record(next)))
      return chain(written, (outcome) => {
        if (outcome === 'updated') return next
        if (outcome === 'missing') return undefined
        const deadline = until ?? performance.now() + this.#options.storeTimeout
        if (performance.now() > deadline) throw conflict()
        return chain(this.directory.find(current.id), (found) => this.#write(order, found, deadline))
      })
    })
  }

  /** Returns the session to write. @throws `FST_SESSION_CONFLICT` if another request renewed it and this one would move it */
  #next ({ base, renewal, rank }: SaveOrder, before: Snapshot, content: Awaited<ReturnType<Compute>>): Snapshot {
    const current = rank === undefined ? before : { ...before, times: { ...before.times, rank } }
    const { now, storeTimeout } = this.#options
    // A record that has expired when the store gets it ends the session. But another request may have touched the session.
    const least = Math.min(now() + storeTimeout, current.times.deadline)
    if (renewal === undefined) return this.#assemble(current, content, content.expiresAt && Math.max(content.expiresAt, least))
    const { held, credential: { id, secretHash } } = renewal
    // Of several concurrent renewals, one wins. The others keep the winner's secret and save their data.
    const isFirst = current.secretHash === held
    if (id === base.id) return this.#assemble(isFirst ? { ...current, secretHash } : current, content)
    if (!isFirst) throw conflict()
    return this.#assemble({ id, version: 0, secretHash, times: withLogin(current.times, this.#options.now()) }, content)
  }

  /** Moves a session to another id, if it has not changed since it was read. */
  async #move (order: SaveOrder, before: Snapshot, next: Snapshot): Promise<UpdateOutcome> {
    order.count = await this.#insert(next)
    const outcome = await this.#orDelete(next.id, () => this.#deleteUnchanged(before))
    if (outcome !== 'updated') await this.#call((store) => store.delete(next.id))
    return outcome
  }

  #deleteUnchanged ({ id, version }: Snapshot): Awaitable<UpdateOutcome> {
    return this.#call((store) => store.update(id, { payload: 'null', version: version + 1, expiresAt: 0 }))
  }

  /**
   * Runs work that follows the creation of a record. If the work fails, deletes the record, whose secret was never sent, and
   * throws the error of the work. If the record cannot be deleted, it expires.
   */
  #orDelete<T> (id: string, work: () => Awaitable<T>): Awaitable<T> {
    return rescue(work, (failure) => {
      void (async () => { await this.#call((store) => store.delete(id)) })().catch(() => {})
      throw failure
    })
  }

  /** Returns the next version of a session, with the content given. */
  #assemble (
    { id, version, times, secretHash }: Pick<Snapshot, 'id' | 'version' | 'times' | 'secretHash'>, { data, principal }: Content,
    expiresAt: number = expiryOf(times, this.#options, this.#options.now())
  ): Snapshot {
    return { id, version: version + 1, expiresAt, times, secretHash, data, principal, stale: false }
  }

  #record (session: Snapshot): SessionRecord {
    const { id, version, expiresAt, principal } = session
    // A session that was read before is likely to be read again. Most new sessions are not.
    const payload = version > 1 ? this.#recent.encode(id, session) : this.#options.codec.encode(session)
    return principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal }
  }

  /** Calls the store within the time limit. @throws `FST_SESSION_STORE` */
  #call<T> (work: (store: SessionStore) => Awaitable<T>): Awaitable<T> {
    const { store, storeTimeout } = this.#options
    return callInTime(() => work(store), storeTimeout)
  }
}
