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
import { addHeadersOf, cacheFor, setCookies, varyByCookie, warnOfDroppedCookie } from './response.js'

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
  #phase: 'open' | 'refused' | 'finished' | 'failed' = 'open'
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
    return this.#error
  }

  /**
   * Stores what the handler did and says so in the headers. Resolves at once when there is nothing to store.
   * @throws `FST_SESSION_STORE`, `FST_SESSION_CONFLICT`, `FST_SESSION_INVALID_DATA`, `FST_SESSION_TOO_LARGE`
   */
  finish (): Promise<void> | undefined {
    if (this.#entries.length > 0) varyByCookie(this.#reply)
    if (this.#error !== undefined) addHeadersOf(this.#error, this.#reply)
    // An error here makes Fastify send another response, which comes by once more.
    if (this.#phase !== 'open') return this.#phase === 'refused' ? this.#explain() : undefined
    this.#phase = 'finished'
    const { statusCode } = this.#reply
    const work = this.#entries.filter(({ session, storing }) => session?.unsettled || storing !== undefined)
    if (work.length === 0) return this.#writeHeaders()
    return this.#storeAll(work, statusCode)
  }

  /** Called when the response is out: what is not stored by now is lost, and nobody would know. */
  close (): void {
    // Contexts within each other that have the plugin come by here each.
    if (this.#closed || this.#phase === 'failed') return
    this.#closed = true
    const reason = this.#phase === 'refused' ? 'refused' : 'after-commit'
    const detail = this.#phase === 'open' ? HIJACKED : undefined
    for (const { session } of this.#entries) session?.close(reason, detail)
  }

  async #storeAll (entries: readonly Entry[], statusCode: number): Promise<void> {
    const outcomes = await Promise.allSettled(entries.map((entry) => this.#store(entry, statusCode)))
    // What is stored is stored: its cookie must reach the browser, whatever became of another session.
    this.#writeHeaders()
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed === undefined) return
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
    ;[entry.line, entry.oldLine] = adopted.lines
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
        if (this.#phase !== 'refused') await this.#store(entry, 200)
        return entry.line
      },
      mutate: async (before, mutation) => await traced('update', scheme, this.#request, () => backend.mutate(before, mutation, report)),
      assertOpen: () => { if (this.#phase === 'refused') throw crossOrigin() },
      handOut: (committed) => { this.#handOut(entry, committed) },
      inStore: backend.directory !== undefined
    }, live)
  }

  /** Stores what the handler did since the last time. One at a time: what is being created must not be created twice. */
  async #store (entry: Entry, statusCode: number): Promise<void> {
    const before = entry.storing
    const settle = async (): Promise<void> => await this.#settle(entry, statusCode)
    const storing = before === undefined ? settle() : before.catch(() => {}).then(settle)
    entry.storing = storing
    await storing
  }

  async #settle (entry: Entry, statusCode: number): Promise<void> {
    const session = entry.session as RequestSession
    entry.stored = 'failed'
    const change = session.settle(statusCode)
    const ended = session.destroyed
    const committed = change.kind === 'none'
      ? { live: undefined }
      : await traced(change.kind, entry.scheme, this.#request, () => entry.scheme.backend.commit(change, entry.report))
    entry.stored = change.kind
    session.committed(change, committed)
    if (ended && entry.sent) entry.line = entry.scheme.cookie.expire()
    this.#handOut(entry, committed)
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
    setCookies(this.#reply, lines)
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

function crossOrigin (): SessionError {
  return new SessionError('FST_SESSION_CROSS_ORIGIN', 'A page of another origin may not do this. If it is yours, its origin must be trusted here (option crossOrigin).')
}

// A WebSocket's headers go out beside the reply, when it is hijacked.
function isTooLate (request: object, { raw, sent }: FastifyReply): boolean {
  return raw.headersSent || (sent && 'ws' in request && request.ws === true)
}
