import type { Change, Committed, DiscardedReason, Live, Mutation, RenewedReason, Report } from './backend/backend.js'
import { SessionError } from './errors.js'
import { beginLife, expiryOf, type Lifetimes } from './life.js'
import { type Codec, type Data, isJson, type Life, merge, own, type Prepared, put } from './record.js'
import type { Session, StartOptions } from './session.js'
import type { Ticket } from './token.js'

/** What a session needs of its surroundings; `commit` and `mutate` are its only way to any I/O. */
export interface SessionContext {
  readonly codec: Codec
  readonly lifetimes: Lifetimes
  readonly now: () => number
  readonly mint: () => Ticket
  readonly report: Report
  /** The error that says a session is required, with its challenge. */
  readonly required: () => SessionError
  readonly commit: () => Promise<string | undefined>
  /** Whether the response is out, or goes past the hooks. */
  readonly isAnswered: () => boolean
  readonly mutate: (live: Live, mutation: Mutation) => Promise<Committed>
  /** Throws where a request was refused before its session was looked at. */
  readonly assertOpen: () => void
  /** Told of what `mutate` gave, when it holds. */
  readonly handOut: (committed: Committed) => void
  /** Whether a record somewhere says what is stored; else the request alone knows. */
  readonly inStore: boolean
}

/** Milliseconds that a change after the response has until it counts as lost. */
const COMMIT_WITHIN = 5000
const AFTER_RESPONSE = 'the response was out already: what is done after it has to await session.commit()'

/** What the handler asked for, beside changes of the data. */
type Order =
  | { readonly kind: 'keep' | 'destroy' }
  | { readonly kind: 'start', readonly ticket: Ticket, readonly life: Life, readonly afterEnd: boolean }
  | { readonly kind: 'renew', readonly ticket: Ticket, readonly reason: RenewedReason }

type Renewal = Extract<Order, { kind: 'renew' }>

const KEEP: Order = Object.freeze({ kind: 'keep' })
const DESTROY: Order = Object.freeze({ kind: 'destroy' })
const NONE: Change = Object.freeze({ kind: 'none' })

/**
 * The data of a session and what happened to it in one request. It stores nothing: `settle` says what there is to store, and
 * `committed` is told what came of it. Its state has three parts: what is stored (`#live`), what the handler ordered since
 * (`#order`), and what it sees (`#draft`, made at the first look, with `#pristine` as its text while nobody has changed it).
 *
 * | order   | where something is stored          | where nothing is            |
 * |---------|------------------------------------|-----------------------------|
 * | keep    | a changed draft updates it         | a changed draft creates one |
 * | start   | another takes its place            | a session is created        |
 * | renew   | it gets a new token, and the draft | (refused: 401)              |
 * | destroy | it ends; a draft made after that creates another one             |
 */
export class RequestSession implements Session<Data> {
  readonly #context: SessionContext
  #live: Live | undefined
  #order: Order = KEEP
  /** What the handler works on, from the first look at it. */
  #draft: Data | undefined
  /** The JSON text of the draft when nobody had changed it. */
  #pristine = ''
  #creating: Promise<void> | undefined
  /** The order that is being carried out. */
  #settled: Order = KEEP
  /** How many calls of `commit` are under way. */
  #commits = 0
  /** Whether the response is out, and whether what came too late was told. */
  #closed: 'no' | 'yes' | 'told' = 'no'
  /** Runs while a change after the response waits for its commit. */
  #waiting: NodeJS.Timeout | undefined

  constructor (context: SessionContext, live: Live | undefined) {
    this.#context = context
    this.#live = live
  }

  get exists (): boolean {
    return this.#order.kind === 'start' || this.#current !== undefined
  }

  // A renewal gets its id when it is stored: until then whoever revokes it, or spares it, has to name the one before.
  get id (): string {
    return this.#order.kind === 'start' ? this.#order.ticket.id : this.#required().id
  }

  get createdAt (): number { return this.#life.createdAt }

  get authenticatedAt (): number { return this.#life.authenticatedAt }

  get expiresAt (): number {
    if (this.#order.kind !== 'start') return this.#required().expiresAt
    const { lifetimes, now } = this.#context
    return expiryOf(this.#order.life, lifetimes, now())
  }

  get data (): Data {
    this.#expectCommit()
    const draft = this.#open()
    if (draft === undefined) throw this.#context.required()
    return draft
  }

  get (key: string): any {
    const draft = this.#open()
    return draft && own(draft, key)
  }

  set (key: string, value: unknown): void {
    put(this.data, key, value)
  }

  unset (key: string): void {
    this.#expectCommit()
    const draft = this.#open()
    if (draft === undefined) return
    const defaults = this.#context.codec.defaults()
    if (Object.hasOwn(defaults, key)) put(draft, key, defaults[key])
    else delete draft[key]
  }

  start (data: Data, options: StartOptions = {}): void {
    this.#expectCommit()
    const life = beginLife(this.#context.lifetimes, options, this.#context.now())
    this.#draft = this.#context.codec.admit(data)
    const afterEnd = this.#order.kind === 'destroy' || (this.#order.kind === 'start' && this.#order.afterEnd)
    this.#order = { kind: 'start', ticket: this.#context.mint(), life, afterEnd }
  }

  renew (): void {
    this.#renew('renew')
  }

  async regenerate (keep: readonly string[] = []): Promise<void> {
    const before = this.#open()
    if (before === undefined) return
    const after = this.#context.codec.defaults()
    for (const key of keep) if (Object.hasOwn(before, key)) put(after, key, before[key])
    this.#expectCommit()
    this.#draft = after
    if (this.exists) this.#renew('regenerate')
  }

  destroy (): void {
    this.#expectCommit()
    this.#order = DESTROY
    this.#draft = undefined
  }

  async update (fn: (data: Data) => Data | void | Promise<Data | void>): Promise<Data> {
    const apply = async (stored: Data): Promise<Data> => this.#context.codec.admit(await fn(stored) ?? stored)
    this.#context.assertOpen()
    if (this.#order.kind !== 'keep') await this.commit()
    if (this.#live === undefined) return await this.#first(apply)
    const before = this.#live
    const committed = await this.#context.mutate(before, async (stored) => this.#ofSame(before.principal, await apply(stored)))
    // Without a store nothing but this object knows that another update of the same request was faster, or its end.
    if (!this.#context.inStore && this.#live !== before) {
      if (this.#live === undefined) throw this.#context.required()
      return await this.update(fn)
    }
    if (!this.#isNewerThan(committed.live, before)) this.#reset(committed.live, this.#pristine, KEEP)
    this.#context.handOut(committed)
    if (committed.live === undefined || this.#live === undefined) throw this.#context.required()
    return this.data
  }

  async commit (): Promise<string | undefined> {
    this.#commits++
    try {
      const cookie = await this.#context.commit()
      if (!this.changed) this.#settleDown()
      return cookie
    } finally {
      this.#commits--
    }
  }

  /** Told that the response is out: what is not stored by now is lost for this reason, and nothing is stored without `commit`. */
  close (reason: 'refused' | 'after-commit', detail?: string): void {
    this.#stopWaiting()
    if (this.#closed === 'told') return
    this.#closed = 'yes'
    if (!this.changed || this.#commits > 0) return
    this.#closed = 'told'
    this.#tellLost(reason, detail)
  }

  /**
   * What the handler did, as one change to store. An answer of 500 and more takes back what it did to the data, and a login;
   * the end of a session, or a new token for it, holds.
   * @throws `FST_SESSION_INVALID_DATA`, `FST_SESSION_TOO_LARGE`
   */
  settle (status: number): Change {
    if (status >= 500) this.#takeBack()
    const live = this.#live
    const content = this.#touched ? this.#context.codec.prepare(this.data) : undefined
    this.#settled = this.#order
    switch (this.#order.kind) {
      case 'start': return this.#beginning(live, this.#order)
      case 'renew': return this.#renewal(this.#required(), this.#order, content)
      case 'destroy':
        // What was put in after the end, a farewell say, goes into a session that has nothing of the old one.
        if (content) return live ? { ...this.#creation(content), kind: 'replace', live } : this.#creation(content)
        return live ? { kind: 'destroy', live, reason: 'destroy' } : NONE
      case 'keep':
        if (content) return live ? this.#change(live, content) : this.#creation(content)
        return live?.stale ? { kind: 'refresh', live } : NONE
    }
  }

  /** Told that it could not be stored, and that the client hears of it: what is done from here on comes after that. */
  giveUp (): void {
    this.#draft = undefined
    this.#order = KEEP
  }

  /** Whether there is anything that is not stored. */
  get changed (): boolean {
    return this.#order.kind !== 'keep' || this.#touched
  }

  /** Whether `settle` would have anything to say. */
  get unsettled (): boolean {
    return this.changed || this.#live?.stale === true
  }

  get live (): Live | undefined {
    return this.#live
  }

  /** Whether the handler asked for the end of the session, also of one that was over already. */
  get destroyed (): boolean {
    return this.#order.kind === 'destroy'
  }

  /** Told what came of the change that `settle` gave. */
  committed (change: Change, { live }: Committed): void {
    if (change.kind === 'none') this.#carriedOut(this.#settled)
    else if (change.kind === 'destroy') this.#ended()
    else this.#reset(live, 'content' in change ? change.content.text : this.#pristine, this.#settled)
  }

  /**
   * Takes a state as the one that is stored now. The handler's draft stays the very object that it holds: it gets what
   * others stored, and keeps what the handler changed since it had the JSON text `base`, which is still to be saved.
   */
  #reset (live: Live | undefined, base: string, order: Order): void {
    const draft = this.#draft
    this.#live = live
    // Started or ended anew meanwhile: what is in the draft now belongs to that.
    if (!this.#carriedOut(order) && this.#order.kind !== 'renew') return
    if (live === undefined) this.#draft = undefined
    // What is no JSON stays as it is, for the next commit to say so.
    else if (draft !== undefined && draft !== live.data && textOf(draft) !== undefined) {
      refill(draft, merge(JSON.parse(base), draft, live.data))
    }
    this.#pristine = live?.text ?? ''
  }

  /** Something may have been put in since, a farewell, which belongs to a session after this one. */
  #ended (): void {
    this.#live = undefined
    this.#carriedOut(this.#settled)
  }

  #takeBack (): void {
    if (this.#touched) {
      this.#tellLost('server-error')
      this.#draft = undefined
    }
    if (this.#order.kind === 'start') this.#order = this.#order.afterEnd ? DESTROY : KEEP
  }

  /** Whether an order that was carried out is the last one that the handler gave. */
  #carriedOut (order: Order): boolean {
    if (this.#order !== order) return false
    this.#order = KEEP
    return true
  }

  /** Whether this request has stored something newer since than `live`, which was made from `before`. */
  #isNewerThan (live: Live | undefined, before: Live): boolean {
    const current = this.#live
    if (current === before) return false
    if (current === undefined) return true
    if (live === undefined) return current.id !== before.id
    return live.id === current.id ? live.version <= current.version : live.id === before.id
  }

  /** An update of what is not stored yet: nobody else can know of it, but this very request may ask for two at once. */
  async #first (apply: (stored: Data) => Promise<Data>): Promise<Data> {
    if (this.#creating !== undefined) {
      await this.#creating.catch(() => {})
      return await this.update(apply)
    }
    this.#creating = apply(structuredClone(this.data)).then(async (data) => {
      refill(this.data, data)
      await this.commit()
    })
    try {
      await this.#creating
    } finally {
      this.#creating = undefined
    }
    return this.data
  }

  #beginning (live: Live | undefined, { ticket, life }: Extract<Order, { kind: 'start' }>): Change {
    const content = this.#context.codec.prepare(this.data)
    return live ? { kind: 'replace', live, ticket, life, content } : { kind: 'create', reason: 'start', ticket, life, content }
  }

  #creation (content: Prepared): Extract<Change, { kind: 'create' }> {
    const { mint, lifetimes, now } = this.#context
    return { kind: 'create', reason: 'first-write', ticket: mint(), life: beginLife(lifetimes, {}, now()), content }
  }

  #renewal (live: Live, { ticket, reason }: Renewal, content: Prepared = asStored(live)): Change {
    return { kind: 'renew', reason, live, ticket, life: this.#lifeWith(live, content), content }
  }

  #change (live: Live, content: Prepared): Change {
    if (content.principal === live.principal) return { kind: 'update', live, content }
    return this.#renewal(live, { kind: 'renew', reason: 'principal', ticket: this.#context.mint() }, content)
  }

  // A session that gets another principal was signed in just now. Its end stays where it was.
  #lifeWith ({ life, principal }: Live, content: Prepared): Life {
    return content.principal === principal ? life : { ...life, authenticatedAt: this.#context.now() }
  }

  #renew (reason: RenewedReason): void {
    this.#expectCommit()
    if (this.#order.kind === 'start') return
    this.#required()
    this.#order = { kind: 'renew', ticket: this.#context.mint(), reason }
  }

  /** For a change that may come after the response: if nobody commits it soon, it is lost, and somebody should hear of it. */
  #expectCommit (): void {
    if (this.#closed === 'no' && this.#context.isAnswered()) this.#closed = 'yes'
    if (this.#closed !== 'yes' || this.#waiting !== undefined) return
    this.#waiting = setTimeout(() => { this.close('after-commit', AFTER_RESPONSE) }, COMMIT_WITHIN).unref()
  }

  /** After a commit: what is changed from now on is another change, with time of its own. */
  #settleDown (): void {
    this.#stopWaiting()
    if (this.#closed === 'told') this.#closed = 'yes'
  }

  #stopWaiting (): void {
    clearTimeout(this.#waiting)
    this.#waiting = undefined
  }

  #tellLost (reason: DiscardedReason, detail?: string): void {
    this.#context.report({ type: 'discarded', reason, ...(this.#live && { id: this.#live.id }), ...(detail !== undefined && { detail }) })
  }

  #ofSame (principal: string | undefined, data: Data): Prepared {
    const content = this.#context.codec.prepare(data)
    if (content.principal === principal) return content
    throw new SessionError('FST_SESSION_INVALID_DATA', 'update() cannot change whom a session belongs to, for that needs a new token: use start(). Nothing was saved.')
  }

  /** The data as the handler sees them first; `undefined` where there is nothing to see. */
  #open (): Data | undefined {
    if (this.#draft !== undefined) return this.#draft
    const live = this.#current
    this.#draft = live ? live.data : this.#context.codec.blank()
    this.#pristine = live ? live.text : JSON.stringify(this.#draft)
    return this.#draft
  }

  // A function, or a Date in the place of its text, leaves the JSON text as it was: it is a change all the same, to be refused.
  get #touched (): boolean {
    return this.#draft !== undefined && (textOf(this.#draft) !== this.#pristine || !isJson(this.#draft))
  }

  get #current (): Live | undefined {
    return this.#order.kind === 'keep' || this.#order.kind === 'renew' ? this.#live : undefined
  }

  get #life (): Life {
    return this.#order.kind === 'start' ? this.#order.life : this.#required().life
  }

  #required (): Live {
    const live = this.#current
    if (live === undefined) throw this.#context.required()
    return live
  }
}

/** The data without what a handler did to them since. */
function asStored ({ text, principal }: Live): Prepared {
  return { data: JSON.parse(text) as Data, text, principal }
}

/** Makes `target` equal to `source` in keys and order; values that are equal stay the objects they are. */
function refill (target: Data, source: Data): void {
  const before = { ...target }
  for (const key of Object.keys(target)) delete target[key]
  for (const [key, value] of Object.entries(source)) {
    const old = own(before, key)
    put(target, key, JSON.stringify(old) === JSON.stringify(value) ? old : value)
  }
}

/** JSON text to compare by; `undefined` for what has none and so is not what was stored. */
function textOf (data: Data): string | undefined {
  try {
    return JSON.stringify(data)
  } catch {
    return undefined
  }
}
