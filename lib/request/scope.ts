import type { FastifyReply, FastifyRequest } from 'fastify'
import { chainAll, isPromise, rescue } from '../awaitable.js'
import { crossOrigin, invalidOptions, type SessionError, tooLate } from '../errors.js'
import { isDebugEnabled } from '../events/events.js'
import { authorize } from '../routing/authorize.js'
import { isSameOrigin, originsCompared, SAFE_METHODS } from '../routing/cross-origin.js'
import type { Plan } from '../routing/route.js'
import type { Awaitable } from '../store/store.js'
import { warnOfDroppedCookie } from './diagnostics.js'
import { SessionHandle } from './handle.js'
import { addErrorHeaders, cacheFor, copyToRaw, rememberResponse, setCookies, varyByCookie } from './headers.js'
import { type Found, foundAs, isSeen, loadSession } from './load.js'
import { bodyOf, type Outgoing, release } from './payload.js'
import type { Scope } from './state.js'

const STREAMED = 'it was changed while the response was being sent: use request.session.update(fn), which saves at any time'
const HIJACKED = 'the reply was hijacked: await session.commit() before the first byte, and send what it returns as Set-Cookie'

/** Milliseconds after the load from which the sessions are loaded again before the handler. */
const RECHECK_AFTER = 1000

/** The sessions of one request: loaded and authorized before the handler, saved before the response. `#phase` is its progress. */
export class RequestScope implements Scope {
  readonly request: FastifyRequest
  /** The hooks that created this scope, which also run its later steps: nested contexts may each have the hooks. */
  readonly hooks: object
  readonly #reply: FastifyReply
  readonly #plan: Plan
  /** The sessions in the order of the plan. Each is the result of its load, or its handle after the first use. */
  #sessions: Array<Found | SessionHandle> = []
  readonly #loadedAt = performance.now()
  #phase: 'open' | 'refused' | 'saving' | 'finished' | 'failed' = 'open'
  #outgoing: Outgoing | undefined
  /** True if a second response came while the sessions were being saved for the first. */
  #interrupted = false
  /** True if a listener waits for the end of the response. */
  #isWatched = false
  /** The `Set-Cookie` headers that were written. */
  #cookieHeaders: readonly string[] = []
  #error: Error | undefined

  constructor (request: FastifyRequest, reply: FastifyReply, plan: Plan, hooks: object) {
    this.request = request
    this.hooks = hooks
    this.#reply = reply
    this.#plan = plan
  }

  /** Returns the session of a scheme; `undefined` if the route does not declare it, or before it is loaded. */
  session (name: string): SessionHandle | undefined {
    for (let index = 0; index < this.#sessions.length; index++) if (this.#sessions[index]?.scheme.name === name) return this.#handle(index)
    return undefined
  }

  #handle (index: number): SessionHandle {
    const session = this.#sessions[index] as Found | SessionHandle
    return session instanceof SessionHandle ? session : this.#sessions[index] = new SessionHandle(this, session)
  }

  /** Loads the sessions that the route declares, and authorizes the request. @throws the error of a 401, 403 or 503 */
  load (): Awaitable<void> {
    this.#refuseCrossOrigin()
    return chainAll(this.#plan.schemes.map((scheme) => loadSession(scheme, this.request, this.#plan.touch)), (found) => {
      this.#sessions = found
      // Some sessions must be saved even if the handler does not use them.
      for (const [at, { adoption, snapshot }] of found.entries()) if (adoption !== undefined || snapshot?.stale === true) this.#handle(at)
      for (const { loaded, error } of found) if (loaded === 'failed') throw error
      return authorize(this.request, this.#plan, this.#sessions)
    })
  }

  /**
   * Loads the sessions and authorizes the request again if the handler starts long after the first load. Otherwise a client could
   * send the headers, and delay the body until after the session was revoked or the account disabled.
   * If the route called the not-found handler, its plan is checked. Sessions that were not loaded count as absent.
   */
  recheck (planOf: (request: FastifyRequest) => Plan | null): Awaitable<void> {
    const notFound = this.request.is404 ? planOf(this.request) : null
    const isStale = this.#phase === 'open' && performance.now() - this.#loadedAt >= RECHECK_AFTER
    if (!isStale && (notFound === null || notFound === this.#plan)) return undefined
    // Asynchronous, so that a reload that throws at once leaves no other that rejects later without a listener.
    const reloads = isStale ? this.#sessions.map(async (_session, index) => { await this.#handle(index).reload() }) : []
    return chainAll(reloads, () => authorize(this.request, notFound ?? this.#plan, this.#sessions))
  }

  get isClosed (): boolean { return (this.#phase !== 'open' && this.#phase !== 'failed') || this.areHeadersSent }

  assertOpen (call: string, scheme: string): void {
    this.assertSameOrigin()
    if (!this.isClosed) return
    throw tooLate(`session.${call}`, `Call it before the response is sent. Later, request.${scheme}.update(fn) and app.${scheme}.update(id, fn) save data, and app.${scheme}.revoke(id) ends the session.`)
  }

  assertSameOrigin (): void { if (this.#phase === 'refused') throw crossOrigin() }

  /** Sends a cookie that is set after the hooks have run and before the first byte. */
  onCookie (): void {
    if (this.#phase !== 'finished' && this.#phase !== 'failed') return
    this.#writeHeaders()
    copyToRaw(this.#reply)
  }

  /** Returns the error with which a hook fails. Replaces a falsy error, which Fastify would ignore. */
  fail (error: unknown): Error {
    this.#error = error ? error as Error : invalidOptions('One of the options verify, user, verifiers, principal, roles or adopt failed without an error. Throw one that says why.')
    // Fastify runs an error handler once. After an earlier error, no handler sets the status of this error.
    if (this.#reply.statusCode >= 400 || this.#interrupted) {
      this.#reply.code((this.#error as Partial<SessionError>).statusCode ?? 500)
      addErrorHeaders(this.#error, this.#reply)
    }
    return this.#error
  }

  /** Returns true for a second response while the sessions are saved for the first. The second response must be dropped. */
  interrupt (payload: unknown): boolean {
    if (this.#phase !== 'saving') return false
    this.#interrupted = true
    if (bodyOf(payload) !== this.#outgoing?.body) release(payload)
    return true
  }

  /** Saves the sessions and writes the headers of a response. Returns a promise only if a save did. @throws what a save throws */
  finish (outgoing: Outgoing): Awaitable<void> {
    if (this.#error !== undefined) addErrorHeaders(this.#error, this.#reply)
    // After an error, this response replaces an earlier one.
    this.#outgoing?.undo()
    this.#outgoing = outgoing
    const failures: unknown[] = []
    const saves: Array<PromiseLike<unknown>> = []
    for (const session of this.#sessions) {
      if (!(session instanceof SessionHandle)) continue
      // After a failure, saves only the sessions that the error handler changed.
      if (this.#phase === 'open' ? !session.isPending : this.#phase !== 'failed' || !session.isChanged) continue
      const save = rescue<unknown>(() => session.save(outgoing.statusCode), (error) => failures.push(error))
      if (isPromise(save)) saves.push(save)
    }
    if (saves.length === 0) return this.#finished(failures)
    const restore = rememberResponse(this.#reply)
    this.#phase = 'saving'
    return chainAll(saves, () => {
      if (this.#interrupted) restore()
      this.#finished(failures)
    })
  }

  /** Writes the headers, and throws the first failure. The cookies of sessions that were saved must still reach the browser. */
  #finished (failures: readonly unknown[]): void {
    if (failures.length > 0) this.#phase = 'failed'
    else this.#outgoing?.begin()
    this.#writeHeaders()
    if (this.#phase === 'open' || this.#phase === 'saving') this.#phase = 'finished'
    if (isDebugEnabled(this.request.log)) for (const index of this.#sessions.keys()) this.#handle(index).logHistory(this.#reply.statusCode)
    if (failures.length > 0) throw failures[0]
  }

  /** When the connection closes, reports changes that were not saved. No hook runs for a hijacked reply or the end of a stream. */
  onChange (): void {
    if (this.#isWatched) return
    this.#isWatched = true
    this.#reply.raw.on('close', () => {
      if (this.#phase === 'open' && !this.#reply.sent) return
      for (const session of this.#sessions) if (session instanceof SessionHandle) session.close(this.#phase === 'open' ? HIJACKED : STREAMED)
    })
  }

  get areHeadersSent (): boolean {
    const { sent, raw, raw: { stream } } = this.#reply as { sent: boolean, raw: FastifyReply['raw'] & { stream?: { destroyed: boolean } } }
    // When a WebSocket hijacks the reply, its headers bypass the raw response. And the client of a hijacked reply may be gone.
    return raw.headersSent || (sent && ((this.request as { ws?: unknown }).ws === true || (stream ?? raw).destroyed))
  }

  #refuseCrossOrigin (): void {
    const { request } = this
    const { origin = '', upgrade } = request.headers
    // The GET that opens a WebSocket is unsafe: browsers send it across origins without a preflight.
    if (SAFE_METHODS.has(request.method) && upgrade === undefined) return
    if (isSameOrigin(request) || this.#plan.trustedOrigins.has(origin)) return
    const refused = this.#plan.schemes.find(({ settings }) => settings.trustedOrigins?.has(origin) === false)
    if (refused === undefined) return
    this.#phase = 'refused'
    this.#sessions = this.#plan.schemes.map((scheme) => foundAs('cross-origin', scheme))
    const compared = originsCompared(request)
    refused.reportOn(request)({ type: 'rejected', reason: 'cross-origin', detail: compared })
    throw crossOrigin(compared)
  }

  #writeHeaders (): void {
    const reply = this.#reply
    if (this.#sessions.length === 0) return
    let cookieHeaders: readonly string[] = []
    let seen = false
    for (const session of this.#sessions) {
      seen ||= isSeen(session instanceof SessionHandle ? session.found : session)
      if (session.cookieHeaders.length === 0) continue
      cookieHeaders = [...cookieHeaders, ...session.cookieHeaders]
      warnOfDroppedCookie(this.request, session.scheme)
    }
    varyByCookie(reply)
    setCookies(reply, cookieHeaders, this.#cookieHeaders)
    cacheFor(reply, cookieHeaders.length > 0, seen)
    this.#cookieHeaders = cookieHeaders
  }
}
