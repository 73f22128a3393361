import type { FastifyReply, FastifyRequest } from 'fastify'
import { requireAdmission } from './admission.js'
import { explain, explains } from './diagnosis.js'
import { crossOrigin, Entry } from './entry.js'
import { SessionError } from './errors.js'
import type { Plan, Registry } from './registry.js'
import type { RequestSession } from './request-session.js'
import { type Answer, addHeadersOf, bodyOf, cacheFor, copyToRaw, letGo, rememberAnswer, setCookies, takeStatusOf, varyByCookie, warnOfDroppedCookie } from './response.js'
import { isSameOrigin } from './security/origin.js'

const HIJACKED = 'the reply was hijacked: await session.commit() before it, and send what it resolves as Set-Cookie'

/** The sessions of one request to a route that declares some: loaded and judged before the handler, stored after it. */
export class Exchange {
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #plan: Plan
  readonly #registry: Registry
  readonly #entries: readonly Entry[]
  #phase: 'open' | 'refused' | 'storing' | 'finished' | 'failed' = 'open'
  /** The answer that is being sent. */
  #answer: Answer | undefined
  /** Whether a second answer came while the sessions were being stored for it. */
  #interrupted = false
  /** The `Set-Cookie` lines that were written. */
  #lines: readonly string[] = []
  #closed = false
  /** What one of the hooks failed with. */
  #error: Error | undefined

  constructor (request: FastifyRequest, reply: FastifyReply, plan: Plan, registry: Registry) {
    this.#request = request
    this.#reply = reply
    this.#plan = plan
    this.#registry = registry
    this.#entries = plan.schemes.map((scheme) => new Entry(scheme, request, reply, () => { this.#writeLate() }))
  }

  /** The session of a scheme, as the decorator gives it to the handler; `undefined` when the route does not declare it. */
  session (name: string): RequestSession | undefined {
    return this.#entries.find(({ scheme }) => scheme.name === name)?.session
  }

  /**
   * Loads the sessions that the route declares and holds its requirement against them.
   * @throws `FST_SESSION_CROSS_ORIGIN`, `FST_SESSION_REQUIRED`, `FST_SESSION_FORBIDDEN`, `FST_SESSION_STORE`
   */
  async admit (): Promise<void> {
    this.#refuseOthersPages()
    await this.#loadAll()
    await requireAdmission(this.#request, this.#plan, this.#registry, this.#entries)
  }

  /** What the hook that this failed in has to end with: to Fastify a hook that fails with nothing did not fail. */
  fail (error: unknown): Error {
    // A function of the options may reject for no reason.
    this.#error = error ? error as Error : new SessionError('FST_SESSION_OPTIONS', 'One of verify, verifiers, principal, roles or adopt failed without an error. Throw one that says why.')
    // An error that came before this one has used up the handler that would set its status.
    if (this.#reply.statusCode >= 400 || this.#interrupted) takeStatusOf(this.#error, this.#reply)
    return this.#error
  }

  /** Whether the sessions are being stored for an answer, which then is the one to send; told of another one meanwhile. */
  interrupt (payload: unknown): boolean {
    if (this.#phase !== 'storing') return false
    this.#interrupted = true
    if (bodyOf(payload) !== this.#answer?.body) letGo(payload)
    return true
  }

  /**
   * Stores what the handler did and says so in the headers. Resolves at once when there is nothing to store.
   * @throws `FST_SESSION_STORE`, `FST_SESSION_CONFLICT`, `FST_SESSION_INVALID_DATA`, `FST_SESSION_TOO_LARGE`
   */
  finish (answer: Answer): Promise<void> | undefined {
    if (this.#error !== undefined) addHeadersOf(this.#error, this.#reply)
    // It takes the place of another one after an error.
    this.#answer?.undo()
    this.#answer = answer
    const pending = this.#pending
    if (pending.length > 0) return this.#storeAll(pending, answer)
    answer.begin()
    this.#writeHeaders()
    if (this.#phase === 'open' || this.#phase === 'refused') this.#explain()
    if (this.#phase === 'open') this.#phase = 'finished'
    return undefined
  }

  /**
   * Called when the response is out, or the client has gone: what is not stored by now is lost, and nobody would know. A
   * handler that is still at work stores as ever, whether anybody waits for the answer or not.
   */
  close (): void {
    const isOut = this.#phase !== 'storing' && (this.#phase !== 'open' || this.#reply.sent)
    // Contexts within each other that have the plugin come by here each.
    if (this.#closed || !isOut) return
    this.#closed = true
    const reason = this.#phase === 'refused' ? 'refused' : 'after-commit'
    const detail = this.#phase === 'open' ? HIJACKED : undefined
    for (const entry of this.#entries) entry.close(reason, detail)
  }

  /** The sessions that have to be stored for an answer. After a failure, that is what the handler of the error did to them. */
  get #pending (): readonly Entry[] {
    switch (this.#phase) {
      case 'open': return this.#entries.filter(({ isPending }) => isPending)
      case 'failed': return this.#entries.filter(({ isChanged }) => isChanged)
      default: return []
    }
  }

  async #storeAll (entries: readonly Entry[], answer: Answer): Promise<void> {
    const restore = rememberAnswer(this.#reply)
    this.#phase = 'storing'
    const outcomes = await Promise.allSettled(entries.map(async (entry) => await entry.store(answer.statusCode)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    this.#phase = failed === undefined ? 'finished' : 'failed'
    if (this.#interrupted) restore()
    if (failed === undefined) answer.begin()
    // What is stored is stored: its cookie must reach the browser, whatever became of another session.
    this.#writeHeaders()
    this.#explain()
    for (const [n, entry] of entries.entries()) if (outcomes[n]?.status === 'rejected') entry.giveUp()
    // The client may have gone meanwhile.
    if (this.#reply.raw.destroyed) this.close()
    if (failed !== undefined) throw failed.reason
  }

  #refuseOthersPages (): void {
    const { method, host, headers } = this.#request
    const refused = this.#entries.find(({ scheme: { settings: { trustedOrigins } } }) =>
      trustedOrigins !== undefined && !isSameOrigin({ method, host, headers }, trustedOrigins))
    if (refused === undefined) return
    this.#phase = 'refused'
    for (const entry of this.#entries) entry.refuse()
    refused.report({ type: 'rejected', reason: 'cross-origin' })
    throw crossOrigin()
  }

  /** Waits for all of them, also when one fails: another may have been adopted meanwhile, and has a cookie to hand out. */
  async #loadAll (): Promise<void> {
    const { touch } = this.#plan
    if (this.#entries.length === 1) return await (this.#entries[0] as Entry).load(touch)
    const outcomes = await Promise.allSettled(this.#entries.map(async (entry) => await entry.load(touch)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** For a cookie that comes after the hooks were through, and before the first byte. */
  #writeLate (): void {
    if (this.#phase !== 'finished' && this.#phase !== 'failed') return
    this.#writeHeaders()
    copyToRaw(this.#reply)
  }

  #writeHeaders (): void {
    if (this.#entries.length > 0) varyByCookie(this.#reply)
    const handedOut = this.#entries.filter(({ lines }) => lines.length > 0)
    const lines = handedOut.flatMap(({ lines }) => lines)
    setCookies(this.#reply, lines, this.#lines)
    this.#lines = lines
    if (handedOut.length > 0) warnOfDroppedCookie(this.#request, handedOut.map(({ scheme }) => scheme))
    cacheFor(this.#reply, lines.length > 0, this.#entries.some(({ seen }) => seen))
  }

  #explain (): void {
    if (!explains(this.#request.log)) return
    for (const entry of this.#entries) explain(this.#request.log, entry.account(this.#reply.statusCode))
  }
}
