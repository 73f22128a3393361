import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Candidate, requireAdmission } from './admission.js'
import { adopt } from './adoption.js'
import type { Change, Live } from './backend/backend.js'
import { cookieValues } from './cookie.js'
import { explain, explains, type LoadedAs } from './diagnosis.js'
import { SessionError } from './errors.js'
import { sessionRequired } from './challenge.js'
import type { Plan, Registry } from './registry.js'
import { RequestSession } from './request-session.js'
import type { Scheme } from './scheme.js'
import { isSameOrigin } from './security/origin.js'
import { mint } from './token.js'
import { traced } from './trace.js'
import { addHeadersOf, cacheFor, rememberAnswer, setCookies, takeStatusOf, varyByCookie, warnOfDroppedCookie } from './response.js'

/** One session of one request. */
interface Entry extends Candidate {
  /** Absent while, or because, it could not be loaded. */
  session?: RequestSession
  /** Why it could not. */
  failure?: { readonly error: unknown }
  /** How it came in. */
  loaded: LoadedAs
  /** What there was to store. */
  stored?: Change['kind'] | 'failed'
  /** Whether the browser has a cookie of this scheme. */
  sent: boolean
  /** Whether there was a live session at any time, so that the answer may depend on it. */
  seen: boolean
  /** The `Set-Cookie` line to send. */
  line?: string | undefined
  /** The one that ends the cookie of a session that was adopted. */
  oldLine?: string | undefined
  /** Ends that session where it was kept, which waits until the new cookie can be handed out. */
  forget?: (() => Promise<void>) | undefined
  /** The store's answer that is awaited. */
  storing?: Promise<void>
}

const HIJACKED = 'the reply was hijacked: await session.commit() before it, and send what it resolves as Set-Cookie'
const TOO_LATE = 'a new cookie came after the headers were sent, so that no browser gets it: commit() before the first byte'

/** The sessions of one request to a route that declares some: loaded and judged before the handler, stored after it. */
export class Exchange {
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #plan: Plan
  readonly #registry: Registry
  readonly #entries: Entry[]
  #phase: 'open' | 'refused' | 'storing' | 'finished' | 'failed' = 'open'
  /** Whether a second answer came while the first one was being stored. */
  #interrupted = false
  /** The `Set-Cookie` lines that are in the reply. */
  #lines: readonly string[] = []
  #closed = false
  /** What one of the hooks failed with. */
  #error: Error | undefined

  constructor (request: FastifyRequest, reply: FastifyReply, plan: Plan, registry: Registry) {
    this.#request = request
    this.#reply = reply
    this.#plan = plan
    this.#registry = registry
    this.#entries = plan.schemes.map((scheme) => ({ scheme, report: scheme.reportOn(request), loaded: 'no-cookie', sent: false, seen: false }))
  }

  /** The session of a scheme, as the decorator gives it to the handler; `undefined` when the route does not declare it. */
  session (name: string): RequestSession | undefined {
    const entry = this.#entries.find(({ scheme }) => scheme.name === name)
    if (entry?.failure !== undefined) throw entry.failure.error
    return entry?.session
  }

  /**
   * Loads the sessions that the route declares and holds its requirement against them.
   * @throws `FST_SESSION_CROSS_ORIGIN`, `FST_SESSION_REQUIRED`, `FST_SESSION_FORBIDDEN`, `FST_SESSION_STORE`
   */
  async admit (): Promise<void> {
    this.#refuseOthersPages()
    if (this.#entries.length === 1) await this.#load(this.#entries[0] as Entry)
    else await this.#loadAll()
    await requireAdmission(this.#request, this.#plan, this.#registry, this.#entries)
  }

  /** What the hook that this failed in has to end with: to Fastify a hook that fails with nothing did not fail. */
  fail (error: unknown): Error {
    // A function of the options may reject for no reason.
    this.#error = error ? error as Error : new SessionError('FST_SESSION_OPTIONS', 'One of verify, verifiers, principal, roles or adopt failed without an error. Throw one that says why.')
    // An error that came before this one has used up the handler that would set its status.
    if (this.#reply.statusCode >= 400) takeStatusOf(this.#error, this.#reply)
    return this.#error
  }

  /** Whether the session is being stored for an answer, which then is the one to send; told of another one meanwhile. */
  interrupt (): boolean {
    if (this.#phase !== 'storing') return false
    this.#interrupted = true
    return true
  }

  /**
   * Stores what the handler did and says so in the headers. Resolves at once when there is nothing to store.
   * @throws `FST_SESSION_STORE`, `FST_SESSION_CONFLICT`, `FST_SESSION_INVALID_DATA`, `FST_SESSION_TOO_LARGE`
   */
  finish (): Promise<void> | undefined {
    if (this.#entries.length > 0) varyByCookie(this.#reply)
    if (this.#error !== undefined) addHeadersOf(this.#error, this.#reply)
    // An error here makes Fastify send another response, which comes by once more; its handler may have ended the session.
    const failed = this.#phase === 'failed'
    if (this.#phase !== 'open' && !failed) return this.#phase === 'refused' ? this.#explain() : undefined
    this.#phase = 'finished'
    const work = this.#entries.filter(({ session, storing, forget }) =>
      failed ? session?.changed : session?.unsettled || storing !== undefined || forget !== undefined)
    if (work.length === 0) return failed ? undefined : this.#writeHeaders()
    return this.#storeAll(work, this.#reply.statusCode)
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
    for (const { session } of this.#entries) session?.close(reason, detail)
  }

  async #storeAll (entries: readonly Entry[], statusCode: number): Promise<void> {
    this.#phase = 'storing'
    const restore = rememberAnswer(this.#reply)
    const outcomes = await Promise.allSettled(entries.map((entry) => this.#store(entry, statusCode)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    this.#phase = 'finished'
    if (this.#interrupted && failed === undefined) restore()
    // What is stored is stored: its cookie must reach the browser, whatever became of another session.
    this.#writeHeaders()
    if (failed === undefined) return
    for (const [n, { session }] of entries.entries()) if (outcomes[n]?.status === 'rejected') session?.giveUp()
    this.#phase = 'failed'
    throw failed.reason
  }

  #refuseOthersPages (): void {
    const { method, host, headers } = this.#request
    const entry = this.#entries.find(({ scheme: { settings: { trustedOrigins } } }) =>
      trustedOrigins !== undefined && !isSameOrigin({ method, host, headers }, trustedOrigins))
    if (entry === undefined) return
    this.#phase = 'refused'
    for (const each of this.#entries) {
      each.loaded = 'cross-origin'
      each.session = this.#open(each, undefined)
    }
    entry.report({ type: 'rejected', reason: 'cross-origin' })
    throw crossOrigin()
  }

  /** Waits for all of them, also when one fails: another may have been adopted meanwhile, and has a cookie to hand out. */
  async #loadAll (): Promise<void> {
    const outcomes = await Promise.allSettled(this.#entries.map(async (entry) => await this.#load(entry)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #load (entry: Entry): Promise<void> {
    try {
      entry.session = this.#open(entry, await this.#find(entry))
    } catch (error) {
      entry.loaded = 'failed'
      entry.failure = { error }
      throw error
    }
  }

  async #find (entry: Entry): Promise<RequestSession['live']> {
    const { scheme, report } = entry
    const [value, another] = cookieValues(this.#request.headers.cookie, scheme.cookie.name)
    if (another !== undefined) {
      entry.sent = true
      entry.loaded = 'duplicate-cookie'
      report({ type: 'rejected', reason: 'duplicate-cookie' })
      return undefined
    }
    if (value === undefined || value === '') return await this.#adopt(entry)
    entry.sent = true
    const loaded = await traced('load', scheme, this.#request, () => scheme.backend.load(value, this.#plan.touch, report))
    entry.loaded = loaded.kind === 'dead' ? 'over' : 'live'
    return loaded.kind === 'dead' ? undefined : await this.#verify(entry, loaded.live)
  }

  async #adopt (entry: Entry): Promise<RequestSession['live']> {
    const { scheme, report } = entry
    if (scheme.settings.adopt === undefined) return undefined
    const adopted = await adopt(scheme, scheme.settings.adopt, this.#request.headers.cookie, report)
    if (adopted === undefined) return undefined
    entry.sent = true
    entry.loaded = 'adopted'
    entry.forget = adopted.forget
    ;[entry.line, entry.oldLine] = adopted.lines
    if (!mayBeHijacked(this.#request)) await this.#forgetOld(entry)
    return await this.#verify(entry, adopted.live)
  }

  async #verify (entry: Entry, live: Live): Promise<RequestSession['live']> {
    const { scheme: { settings: { verify, principal }, backend, cookie }, report } = entry
    entry.seen = true
    if (verify === undefined || (principal !== undefined && live.principal === undefined)) return live
    if (await verify(live.data, this.#request)) return live
    await backend.commit({ kind: 'destroy', live, reason: 'verify' }, report)
    entry.line = cookie.expire()
    entry.loaded = 'refused-by-verify'
    return undefined
  }

  #open (entry: Entry, live: RequestSession['live']): RequestSession {
    const { scheme, report } = entry
    const { settings, codec, backend, cookie, name } = scheme
    return new RequestSession({
      codec,
      report,
      mint,
      now: settings.now,
      lifetimes: settings,
      required: () => sessionRequired(cookie.name, `There is no live session "${name}". Sign in.`),
      commit: async () => {
        if (this.#phase !== 'refused') await this.#store(entry)
        return entry.line
      },
      isAnswered: () => this.#reply.sent || this.#reply.raw.headersSent,
      mutate: async (before, mutation) => await traced('update', scheme, this.#request, () => backend.mutate(before, mutation, report)),
      assertOpen: () => { if (this.#phase === 'refused') throw crossOrigin() },
      handOut: (committed) => { this.#handOut(entry, committed) },
      inStore: backend.directory !== undefined
    }, live)
  }

  /** Nobody gets the new token before the old session is over, so that who signs out with it has signed out of both. */
  async #forgetOld (entry: Entry): Promise<void> {
    try {
      await entry.forget?.()
      entry.forget = undefined
    } catch (error) {
      entry.line = entry.oldLine = undefined
      throw error
    }
  }

  /**
   * Stores what the handler did since the last time, at its wish or, with a status code, for the answer. One at a time: what
   * is being created must not be created twice.
   */
  async #store (entry: Entry, statusCode?: number): Promise<void> {
    const before = entry.storing
    const settle = async (): Promise<void> => await this.#settle(entry, statusCode)
    const storing = before === undefined ? settle() : before.catch(() => {}).then(settle)
    entry.storing = storing
    await storing
  }

  async #settle (entry: Entry, statusCode: number | undefined): Promise<void> {
    const session = entry.session as RequestSession
    entry.stored = 'failed'
    await this.#forgetOld(entry)
    const { change, refusal } = changeOf(session, statusCode)
    const ended = session.destroyed
    const committed = change.kind === 'none'
      ? { live: undefined }
      : await traced(change.kind, entry.scheme, this.#request, () => entry.scheme.backend.commit(change, entry.report))
    entry.stored = change.kind
    session.committed(change, committed)
    if (ended && entry.sent) entry.line = entry.scheme.cookie.expire()
    this.#handOut(entry, committed)
    if (refusal !== undefined) throw refusal.error
  }

  #handOut (entry: Entry, { live, value }: Awaited<ReturnType<Scheme['backend']['commit']>>): void {
    if (live !== undefined) entry.seen = true
    if (live === undefined || value === undefined) return
    entry.line = entry.scheme.line(value, live.life)
    entry.sent = true
    if (isTooLate(this.#request, this.#reply)) entry.report({ type: 'discarded', reason: 'after-commit', id: live.id, detail: TOO_LATE })
  }

  #writeHeaders (): undefined {
    const lines = this.#entries.flatMap(({ line, oldLine }) => [line, oldLine]).filter((line) => line !== undefined)
    setCookies(this.#reply, lines, this.#lines)
    this.#lines = lines
    const handedOut = this.#entries.filter(({ line }) => line !== undefined)
    if (handedOut.length > 0) warnOfDroppedCookie(this.#request, handedOut.map(({ scheme }) => scheme))
    cacheFor(this.#reply, lines.length > 0, this.#entries.some(({ seen }) => seen))
    this.#explain()
  }

  #explain (): undefined {
    if (!explains(this.#request.log)) return
    for (const { scheme: { name, cookie }, loaded, stored, line } of this.#entries) {
      const { statusCode } = this.#reply
      explain(this.#request.log, { scheme: name, cookie: cookie.name, loaded, stored, setCookie: line !== undefined, statusCode })
    }
  }
}

/** What there is to store. Data that cannot be saved make the answer a 500: what such an answer leaves in force is done first. */
function changeOf (session: RequestSession, statusCode: number | undefined): { change: Change, refusal?: { error: unknown } } {
  try {
    return { change: session.settle(statusCode ?? 200) }
  } catch (error) {
    // Who calls commit() can put the data right.
    if (statusCode === undefined) throw error
    return { change: session.settle(500), refusal: { error } }
  }
}

/** WebSockets and event streams: their answers may go past the hooks, and past the browser's cookies with that. */
function mayBeHijacked ({ headers }: FastifyRequest): boolean {
  return headers.upgrade !== undefined || headers.accept?.includes('text/event-stream') === true
}

function crossOrigin (): SessionError {
  return new SessionError('FST_SESSION_CROSS_ORIGIN', 'A page of another origin may not do this. If it is yours, its origin must be trusted here (option crossOrigin).')
}

// A WebSocket's headers go out beside the reply, when it is hijacked.
function isTooLate (request: object, { raw, sent }: FastifyReply): boolean {
  return raw.headersSent || (sent && 'ws' in request && request.ws === true)
}
