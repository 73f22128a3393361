import { chain, rescue, settle } from '../awaitable.js'
import { conflict, unavailable } from '../errors.js'
import type { DestroyedReason, Report } from '../events/events.js'
import type { Content } from '../session/codec.js'
import { hashSecret } from '../session/credential.js'
import { expiryOf, hasIdled, IDLED, type Times, withLogin } from '../session/times.js'
import type { Awaitable, SessionRecord, UpdateOutcome } from '../store/store.js'
import type { Backend, Compute, NewSession, Renewal, Saved, Snapshot } from './backend.js'
import { keepLimit } from './limit.js'
import { StoredSessions } from './reading.js'
import { Turns } from './turns.js'

/** One run of the write loop. */
interface SaveOrder {
  readonly base: Snapshot
  readonly compute: Compute
  readonly renewal: Renewal | undefined
  /** The hash of the secret of the renewal. */
  readonly secretHash: string
  /** The result of the store's `create`, once the session has moved to another id. */
  count?: number | true
}

/** Keeps sessions as records in a store. The cookie has only the credential. */
export class StoredBackend extends StoredSessions implements Backend {
  readonly #turns = new Turns()

  create ({ credential: { id, secret }, times, content, reason }: NewSession, report: Report, old?: Snapshot): Awaitable<Saved> {
    const snapshot = this.#assemble(id, 1, hashSecret(secret), times, content)
    return this.#insert(snapshot, (count) => {
      return settle(() => old && this.call((store) => store.delete(old.id)), (deleted) => {
        if (deleted) report({ type: 'destroyed', reason: 'replaced' }, old)
        report({ type: 'created', reason }, snapshot)
        const created = { snapshot, value: `${id}.${secret}`, count }
        // Several requests may adopt one session, but only one keeps its copy. The adoption applies the limit to that copy.
        return reason === 'adopted' ? created : this.limit(created, report)
      }, (failure) => this.#abandon(id, failure))
    })
  }

  save (base: Snapshot, compute: Compute, report: Report, renewal?: Renewal): Awaitable<Saved | undefined> {
    const order: SaveOrder = { base, compute, renewal, secretHash: renewal === undefined ? '' : hashSecret(renewal.credential.secret) }
    return chain(this.#write(order), (snapshot) => {
      if (snapshot === undefined) return report({ type: 'discarded', ...hasIdled(base, this.options.now()) ? IDLED : { reason: 'ended' } }, base)
      if (renewal === undefined || snapshot.secretHash !== order.secretHash) return { snapshot }
      report({ type: 'renewed', reason: renewal.reason }, snapshot)
      return this.limit({ snapshot, value: `${snapshot.id}.${renewal.credential.secret}`, count: order.count }, report)
    })
  }

  end (session: Snapshot, reason: DestroyedReason, report: Report): Awaitable<boolean> {
    return chain(this.call((store) => store.delete(session.id)), (deleted) => {
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

  /** Applies the option `maxPerPrincipal` after a login, a renewal or an adoption. */
  limit (created: Saved, report: Report): Awaitable<Saved> { return keepLimit(this, this.options.maxPerPrincipal, created, report) }

  rank (base: Snapshot, rank: number): Awaitable<Snapshot | undefined> {
    const compute: Compute = (now) => ({ ...now, times: { ...now.times, rank } })
    return this.#write({ base, compute, renewal: undefined, secretHash: '' })
  }

  async close (): Promise<void> { await this.call((store) => store.close?.()) }

  /** Creates the record of a new session. Calls `next` with the result of the store's `create`. */
  #insert<T> (session: Snapshot, next: (count: number | true) => Awaitable<T>): Awaitable<T> {
    const record = this.#record(session)
    return settle(() => this.call((store) => store.create(session.id, record)), (created) => {
      // 128 random bits do not collide, so the store or the source of randomness is broken.
      if (created === false) throw unavailable(new Error('the store has a record under a new random id'))
      return next(created)
    }, (failure) => this.#abandon(session.id, failure))
  }

  #write (order: SaveOrder): Awaitable<Snapshot | undefined> {
    return this.#turns.take(order.base, this.options.storeTimeout, (current) => this.#writeFrom(current, order))
  }

  /** Compare-and-set loop: computes and writes. On a conflict, reads the session and starts again. */
  #writeFrom (current: Snapshot | undefined, order: SaveOrder, until?: number): Awaitable<Snapshot | undefined> {
    if (current === undefined || current.principal !== order.base.principal) return undefined
    return chain(order.compute(current), (content) => {
      const next = this.#next(order, current, content)
      const isMove = next.id !== current.id
      const written = isMove ? this.#move(order, current, next) : this.call((store) => store.update(next.id, this.#record(next)))
      return chain(written, (outcome) => {
        if (outcome !== 'conflict') return outcome === 'updated' ? next : undefined
        const deadline = until ?? performance.now() + this.options.storeTimeout
        if (performance.now() > deadline) throw conflict()
        return chain(this.find(current.id), (found) => this.#writeFrom(found, order, deadline))
      })
    })
  }

  /** Returns the session to write. @throws `FST_SESSION_CONFLICT` if another request renewed it and this one would move it */
  #next ({ base, renewal, secretHash }: SaveOrder, current: Snapshot, content: Awaited<ReturnType<Compute>>): Snapshot {
    const { id, version, secretHash: stored } = current
    const { times = current.times, expiresAt } = content
    const { now, storeTimeout } = this.options
    // A record that has expired when the store gets it ends the session. But another request may have touched the session.
    const end = expiresAt === undefined ? undefined : Math.max(expiresAt, Math.min(now() + storeTimeout, times.deadline))
    if (renewal === undefined) return this.#assemble(id, version + 1, stored, times, content, end)
    // Of several concurrent renewals, one wins. The others keep the winner's secret and save their data.
    const isFirst = stored === renewal.held
    if (renewal.credential.id === base.id) return this.#assemble(id, version + 1, isFirst ? secretHash : stored, times, content)
    if (!isFirst) throw conflict()
    return this.#assemble(renewal.credential.id, 1, secretHash, withLogin(times, now()), content)
  }

  /** Moves a session to another id, if it has not changed since it was read. */
  async #move (order: SaveOrder, before: Snapshot, next: Snapshot): Promise<UpdateOutcome> {
    order.count = await this.#insert(next, (count) => count)
    const outcome = await rescue(() => this.#deleteUnchanged(before), (failure) => this.#abandon(next.id, failure))
    if (outcome !== 'updated') await this.call((store) => store.delete(next.id))
    return outcome
  }

  #deleteUnchanged ({ id, version }: Snapshot): Awaitable<UpdateOutcome> {
    return this.call((store) => store.update(id, { payload: 'null', version: version + 1, expiresAt: 0 }))
  }

  /** Deletes a record after a failure, or lets it expire: its secret was never sent. @throws the failure */
  #abandon (id: string, failure: unknown): never {
    void (async () => { await this.call((store) => store.delete(id)) })().catch(() => {})
    throw failure
  }

  #assemble (
    id: string, version: number, secretHash: string, times: Times, { data, principal }: Content,
    expiresAt: number = expiryOf(times, this.options, this.options.now())
  ): Snapshot {
    return { id, version, expiresAt, times, secretHash, data, principal, stale: false }
  }

  #record (session: Snapshot): SessionRecord {
    const { id, version, expiresAt, principal } = session
    // A session that was read before is likely to be read again. Most new sessions are not.
    const payload = version > 1 ? this.recent.encode(id, session) : this.options.codec.encode(session)
    return principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal }
  }
}
