import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Candidate } from './admission.js'
import { adopt } from './adoption.js'
import type { Change, Committed, Live, Report } from './backend/backend.js'
import { sessionRequired } from './challenge.js'
import { cookieValues } from './cookie.js'
import type { Account, LoadedAs } from './diagnosis.js'
import { SessionError } from './errors.js'
import { RequestSession } from './request-session.js'
import type { Scheme } from './scheme.js'
import { mint } from './token.js'
import { traced } from './trace.js'

const TOO_LATE = 'a new cookie came after the headers were sent, so that no browser gets it: commit() before the first byte'

/** One session of one request: how it came in, what there is to store of it, and the cookie to hand out. */
export class Entry implements Candidate {
  readonly scheme: Scheme
  readonly report: Report
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  /** Absent while, or because, it could not be loaded. */
  #session: RequestSession | undefined
  /** Why it could not. */
  #failure: { readonly error: unknown } | undefined
  #loaded: LoadedAs = 'no-cookie'
  /** What there was to store. */
  #stored: Change['kind'] | 'failed' | undefined
  /** Whether the browser has a cookie of this scheme. */
  #sent = false
  /** Whether there was a live session at any time. */
  #seen = false
  /** The `Set-Cookie` line to send. */
  #line: string | undefined
  /** The one that ends the cookie of a session that was adopted. */
  #oldLine: string | undefined
  /** Ends that session where it was kept, which waits until the new cookie can be handed out. */
  #forget: (() => Promise<void>) | undefined
  /** The store's answer that is awaited. */
  #storing: Promise<void> | undefined
  /** Told that there is a line to send. */
  readonly #onLine: () => void

  constructor (scheme: Scheme, request: FastifyRequest, reply: FastifyReply, onLine: () => void) {
    this.scheme = scheme
    this.report = scheme.reportOn(request)
    this.#request = request
    this.#reply = reply
    this.#onLine = onLine
  }

  /** `undefined` until it was loaded. @throws what it could not be loaded for */
  get session (): RequestSession | undefined {
    if (this.#failure !== undefined) throw this.#failure.error
    return this.#session
  }

  /** Whether the answer may depend on it. */
  get seen (): boolean {
    return this.#seen
  }

  /** The `Set-Cookie` lines to send: none while the session that was adopted is not over. */
  get lines (): string[] {
    return this.#forget === undefined ? [this.#line, this.#oldLine].filter((line) => line !== undefined) : []
  }

  /** Whether there is anything to do before the answer. */
  get isPending (): boolean {
    return this.#session !== undefined && (this.#session.unsettled || this.#storing !== undefined || this.#forget !== undefined)
  }

  /** Whether something was done to it that is not stored. */
  get isChanged (): boolean {
    return this.#session?.changed === true
  }

  /** What became of it. */
  account (statusCode: number): Account {
    const { name, cookie } = this.scheme
    const setCookie = this.lines.length > 0
    return { scheme: name, cookie: cookie.name, loaded: this.#loaded, stored: this.#stored, setCookie, statusCode }
  }

  /** Finds the session that the request brings. @throws `FST_SESSION_STORE`, or what the option `verify` throws */
  async load (touch: boolean): Promise<void> {
    try {
      this.#session = this.#open(await this.#find(touch))
    } catch (error) {
      this.#loaded = 'failed'
      this.#failure = { error }
      throw error
    }
  }

  /** In the place of `load`, for a page of another origin: nothing is found, and nothing stored. */
  refuse (): void {
    this.#loaded = 'cross-origin'
    this.#session = this.#open(undefined)
  }

  /**
   * Stores what the handler did since the last time, at its wish or, with a status code, for the answer. One at a time: what
   * is being created must not be created twice.
   */
  async store (statusCode?: number): Promise<void> {
    const before = this.#storing
    const settle = async (): Promise<void> => await this.#settle(statusCode)
    this.#storing = before === undefined ? settle() : before.catch(() => {}).then(settle)
    await this.#storing
  }

  /** Told that it could not be stored, and that the client hears of it. */
  giveUp (): void {
    this.#session?.giveUp()
  }

  /** Told that the response is out. */
  close (reason: 'refused' | 'after-commit', detail?: string): void {
    this.#session?.close(reason, detail)
  }

  async #find (touch: boolean): Promise<Live | undefined> {
    const { scheme, report } = this
    const [value, another] = cookieValues(this.#request.headers.cookie, scheme.cookie.name)
    if (another !== undefined) {
      this.#sent = true
      this.#loaded = 'duplicate-cookie'
      report({ type: 'rejected', reason: 'duplicate-cookie' })
      return undefined
    }
    if (value === undefined || value === '') return await this.#adopt(touch)
    this.#sent = true
    const loaded = await traced('load', scheme, this.#request, () => scheme.backend.load(value, touch, report))
    this.#loaded = loaded.kind === 'dead' ? 'over' : 'live'
    return loaded.kind === 'dead' ? undefined : await this.#verify(loaded.live, touch)
  }

  async #adopt (touch: boolean): Promise<Live | undefined> {
    const { scheme, report } = this
    if (scheme.settings.adopt === undefined) return undefined
    const adopted = await adopt(scheme, scheme.settings.adopt, this.#request.headers.cookie, report)
    if (adopted === undefined) return undefined
    this.#sent = true
    this.#loaded = 'adopted'
    this.#forget = adopted.forget
    ;[this.#line, this.#oldLine] = adopted.lines
    if (!mayBeHijacked(this.#request)) await this.#forgetOld()
    return await this.#verify(adopted.live, touch)
  }

  /** Nobody gets a token before the old session is over, so that who signs out has signed out of both (a sealed one: soon). */
  async #forgetOld (): Promise<void> {
    await this.#forget?.()
    this.#forget = undefined
  }

  async #verify (live: Live, touch: boolean): Promise<Live | undefined> {
    const { scheme: { settings: { verify, principal }, backend, cookie }, report } = this
    this.#seen = true
    if (verify === undefined || (principal !== undefined && live.principal === undefined)) return live
    if (await verify(live.data, this.#request)) return live
    const { outrun } = await backend.commit({ kind: 'destroy', live, reason: 'verify' }, report)
    if (outrun) {
      // It was written meanwhile, by a change of the password say: this was no verdict on what it is now.
      this.#line = undefined
      this.#loaded = 'over'
      return await this.#find(touch)
    }
    this.#line = cookie.expire()
    this.#loaded = 'refused-by-verify'
    return undefined
  }

  #open (live: Live | undefined): RequestSession {
    const { scheme: { settings, codec, backend, cookie, name }, report } = this
    const isRefused = (): boolean => this.#loaded === 'cross-origin'
    return new RequestSession({
      codec,
      report,
      mint,
      now: settings.now,
      lifetimes: settings,
      required: () => sessionRequired(cookie.name, `There is no live session "${name}". Sign in.`),
      commit: async () => {
        if (!isRefused()) await this.store()
        return this.#line
      },
      isAnswered: () => this.#reply.sent || this.#reply.raw.headersSent,
      mutate: async (before, mutation) => await traced('update', this.scheme, this.#request, () => backend.mutate(before, mutation, report)),
      assertOpen: () => { if (isRefused()) throw crossOrigin() },
      handOut: (committed) => { this.#handOut(committed) },
      inStore: backend.directory !== undefined
    }, live)
  }

  async #settle (statusCode: number | undefined): Promise<void> {
    const session = this.#session as RequestSession
    this.#stored = 'failed'
    await this.#forgetOld()
    const { change, refusal } = changeOf(session, statusCode)
    const ended = session.destroyed
    const committed = change.kind === 'none'
      ? { live: undefined }
      : await traced(change.kind, this.scheme, this.#request, () => this.scheme.backend.commit(change, this.report))
    this.#stored = change.kind
    session.committed(change, committed)
    const { cookie, backend } = this.scheme
    if (ended && this.#sent && committed.value === undefined) this.#send(cookie.expire(), backend.directory === undefined)
    this.#handOut(committed)
    if (refusal !== undefined) throw refusal.error
  }

  #handOut ({ live, value }: Committed): void {
    if (live !== undefined) this.#seen = true
    if (live === undefined || value === undefined) return
    this.#sent = true
    this.#send(this.scheme.line(value, live.life), true, live.id)
  }

  /** Without a browser that gets the line nothing is lost where the store alone decides. */
  #send (line: string, isNeeded: boolean, id?: string): void {
    this.#line = line
    if (!isTooLate(this.#request, this.#reply)) this.#onLine()
    else if (isNeeded) this.report({ type: 'discarded', reason: 'after-commit', ...(id !== undefined && { id }), detail: TOO_LATE })
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

export function crossOrigin (): SessionError {
  return new SessionError('FST_SESSION_CROSS_ORIGIN', 'A page of another origin may not do this. If it is yours, its origin must be trusted here (option crossOrigin).')
}

/** WebSockets and event streams: their answers may go past the hooks, and past the browser's cookies with that. */
function mayBeHijacked ({ headers }: FastifyRequest): boolean {
  return headers.upgrade !== undefined || headers.accept?.includes('text/event-stream') === true
}

// A WebSocket's headers go out beside the reply, when it is hijacked.
function isTooLate (request: object, { raw, sent }: FastifyReply): boolean {
  return raw.headersSent || (sent && 'ws' in request && request.ws === true)
}
