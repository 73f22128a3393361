import type { FastifyRequest } from 'fastify'
import { callInTime, chain, isPromise, rescue, settle } from '../awaitable.js'
import type { Saved, Snapshot } from '../backend/backend.js'
import { conflict, tooLate } from '../errors.js'
import { type DiscardedReason, type Report, traced } from '../events/events.js'
import type { PendingAdoption } from '../migration/adoption.js'
import { copyJson, type Data } from '../session/json.js'
import { refill } from '../session/draft.js'
import type { Session } from '../session/session.js'
import type { Awaitable } from '../store/store.js'
import { logHistory, type SavedAs } from './diagnostics.js'
import { cookieValue, findAgain } from './load.js'
import { carryOut, type Order } from './save.js'
import { SessionState } from './state.js'

type Update = (data: Data) => Data | void | Promise<Data | void>

/** One session of one request, created at its first use. Saves run one at a time. */
export class SessionHandle extends SessionState {
  /** The value of `request.session`, once it was read. */
  public: Session<Data> | undefined
  #saved: SavedAs = 'none'
  /** The save or update that is running. Never rejects. */
  #running: Promise<void> | undefined
  cookieHeaders = this.found.cookieHeaders

  get report (): Report { return this.scheme.reportOn(this.request) }
  get request (): FastifyRequest { return this.scope.request }

  /** Reads the session again before a handler that starts long after the load. */
  reload (): Awaitable<void> {
    const { snapshot } = this
    if (snapshot === undefined) return undefined
    return chain(findAgain(this.scheme, this.request, snapshot, this.report), (found) => {
      this.held = found.snapshot?.secretHash
      if (found.snapshot === undefined) this.discard()
      // Keeps the changes that a hook has made since the load, and applies them to the data that are stored now.
      this.apply(found.snapshot && { snapshot: found.snapshot })
      this.found = { ...found, former: this.found.former }
      this.cookieHeaders = [...this.cookieHeaders, ...found.cookieHeaders]
    })
  }

  async update (fn: Update): Promise<Data> {
    this.assertLoaded()
    this.scope.assertSameOrigin()
    return await this.#enqueue(async () => {
      if (this.hasIntent || this.found.adoption !== undefined) await this.#save()
      await (this.snapshot === undefined ? this.#updateFirst(fn) : this.#updateStored(this.snapshot, fn))
      return this.data
    })
  }

  async commit (): Promise<string | undefined> {
    this.assertLoaded()
    this.scope.assertSameOrigin()
    await this.#enqueue(() => this.#save())
    return this.cookieHeaders[0]
  }

  /** Saves for a response. With a status of 500 or more, saves only a `destroy` or `renew`: neither data nor a `start`. */
  save (statusCode: number): Awaitable<void> { return this.#enqueue(() => this.#save(statusCode)) }

  /** False if there is nothing to do before the response. */
  get isPending (): boolean { return this.isTouched || Boolean(this.#running ?? this.found.adoption ?? this.snapshot?.stale) }

  /** Reports changes that are lost because they were made while the response was sent. Waits for a commit that is running. */
  close (detail: string): void {
    if (this.#running !== undefined) return void this.#running.then(() => { this.close(detail) })
    if (this.isChanged) this.#reportLost('after-commit', detail)
    this.takeBack()
  }

  /** Logs what happened to the session in this request. */
  logHistory (statusCode: number): void {
    logHistory(this.request, this.scheme, this.found.loaded, this.#saved, this.cookieHeaders.length > 0, statusCode)
  }

  /** Runs a task after the previous one. @throws `FST_SESSION_CONFLICT` if the previous task does not end in time */
  #enqueue<T> (work: () => Awaitable<T>): Awaitable<T> {
    const before = this.#running
    const result = before === undefined ? work() : chain(rescue(() => callInTime(() => before, this.scheme.settings.storeTimeout), () => {
      throw conflict(new Error('another save of this session in the same request did not end: do not call commit() or update() inside the function of update()'))
    }), work)
    if (!isPromise(result)) return result
    const end = (): void => { if (this.#running === done) this.#running = undefined }
    const done = Promise.resolve(result).then(end, end)
    this.#running = done
    return result
  }

  #save (statusCode?: number): Awaitable<void> {
    if (this.found.adoption !== undefined) return this.#adopt(this.found.adoption).then(() => this.#save(statusCode))
    if (statusCode !== undefined && statusCode >= 500) {
      if (this.isChanged) this.#reportLost('server-error')
      this.takeBack()
    }
    let order: Order | undefined
    try {
      order = this.order()
    } catch (error) {
      // The caller of commit() can correct the data. A response becomes a 500, with which only an end or a renewal is saved.
      if (statusCode === undefined) throw error
      return chain(this.#save(500), () => { throw error })
    }
    if (order === undefined) return undefined
    if (statusCode === undefined && this.#needsCookie(order)) this.#assertSendable('session.commit()')
    return this.#carryOut(order)
  }

  #needsCookie ({ intent: { kind }, snapshot, content }: Order): boolean {
    if (kind === 'destroy') return false
    return kind !== 'keep' || snapshot === undefined || this.#isSealed || (content !== undefined && content.principal !== snapshot.principal)
  }

  get #isSealed (): boolean { return this.scheme.stored === undefined }

  /** Call this before a save that needs a cookie. @throws `FST_SESSION_TOO_LATE` if the headers are already sent */
  #assertSendable (call: string): void {
    if (this.scope.areHeadersSent) throw tooLate(call, 'It needs a cookie, and the headers are sent: call it before the first byte of the response.')
  }

  /** Saves an order. If that fails, the order is discarded: no part of it is saved later. */
  #carryOut (order: Order): Awaitable<void> {
    const { scheme, report, request } = this
    return settle(() => traced('save', scheme.name, request, () => carryOut(scheme, order, report)), (saved) => {
      const { kind } = order.intent
      const isNothing = order.content === undefined && (kind === 'keep' || (kind === 'destroy' && order.snapshot === undefined))
      this.#saved = isNothing ? 'none' : kind === 'keep' ? 'data' : kind
      this.#applied(saved, order)
      if (saved === undefined && kind === 'destroy' && this.#hasCookie) this.#setCookieHeaders([scheme.cookie.expire])
    }, (error) => {
      this.#saved = 'failed'
      this.refuseOrder(order)
      throw error
    })
  }

  /** Applies the result of a save, and sets its cookie. */
  #applied (saved: Saved | undefined, order?: Order): void {
    this.apply(saved, order)
    if (saved?.value === undefined) return
    this.held = saved.snapshot.secretHash
    this.#setCookieHeaders([this.scheme.cookie.write(saved.value, saved.snapshot.times)])
  }

  /** True if the browser has a cookie of this scheme, or the former cookie. */
  get #hasCookie (): boolean {
    const value = cookieValue(this.request.headers.cookie, this.scheme.cookie.name)
    return this.cookieHeaders.length > 0 || (this.found.former ?? value) !== undefined
  }

  #setCookieHeaders (cookieHeaders: readonly string[]): void {
    // The former cookie expires only together with a new cookie or with the session: until then the browser needs it.
    this.cookieHeaders = this.found.former === undefined ? cookieHeaders : [...cookieHeaders, this.found.former]
    this.scope.onCookie()
  }

  /** Completes an adoption. Call it when a cookie can be sent. */
  async #adopt (adoption: PendingAdoption): Promise<void> {
    const saved = await adoption.complete(this.report).catch((error: unknown) => {
      this.discard()
      throw error
    })
    this.found = { ...this.found, adoption: undefined }
    // A parallel request may have adopted the session first. This handler's changes are merged into it, or lost if it has ended.
    if (saved === undefined && this.isChanged) this.#reportLost('ended')
    this.#applied(saved)
  }

  async #updateStored (base: Snapshot, fn: Update): Promise<void> {
    const { scheme, scope, report } = this
    const assertSendable = (): void => { if (this.#isSealed) this.#assertSendable('session.update()') }
    assertSendable()
    const saved = await traced('update', scheme.name, scope.request, () =>
      scheme.backend.save(base, async (now) => await scheme.codec.update(now, fn).finally(assertSendable), report))
    this.#applied(saved)
    if (saved === undefined) throw this.scheme.requiredError()
  }

  /** Updates a session that is not stored yet. Other requests do not have it. */
  async #updateFirst (fn: Update): Promise<void> {
    const { loaded } = this.found
    const hasEnded = (loaded === 'live' || loaded === 'adopted') && this.#saved !== 'destroy'
    if (hasEnded || this.scope.isClosed) throw this.scheme.requiredError()
    const data = copyJson(this.data)
    refill(this.data, this.scheme.codec.accept(await fn(data) ?? data).data)
    await this.#save()
  }

  #reportLost (reason: DiscardedReason, detail?: string): void {
    this.report({ type: 'discarded', reason, ...(detail !== undefined && { detail }) }, this.snapshot)
  }
}
