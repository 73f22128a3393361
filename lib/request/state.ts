import type { FastifyRequest } from 'fastify'
import type { Saved, Snapshot } from '../backend/backend.js'
import type { RenewedReason } from '../events/events.js'
import type { Scheme } from '../options/scheme.js'
import { mintCredential } from '../session/credential.js'
import { Draft, merge, refill } from '../session/draft.js'
import { copyJson, type Data, freezeJson, own, put, sameJson } from '../session/json.js'
import type { StartOptions } from '../session/session.js'
import { beginTimes, expiryOf, type Times } from '../session/times.js'
import type { Found } from './load.js'
import { DESTROY, type Intent, KEEP, type Order } from './save.js'

/** The parts of a request that its sessions use. */
export interface Scope {
  readonly request: FastifyRequest
  /** True if it is too late to change a session: the response has begun, or the request was refused. */
  readonly isClosed: boolean
  /** True if it is too late to send a cookie. */
  readonly areHeadersSent: boolean
  /** @throws `FST_SESSION_TOO_LATE`, `FST_SESSION_CROSS_ORIGIN` */
  assertOpen (call: string, scheme: string): void
  /** @throws `FST_SESSION_CROSS_ORIGIN` if the request was refused before its sessions were loaded */
  assertSameOrigin (): void
  /** Called when a session has a cookie to send. */
  onCookie (): void
  /** Called when the handler changes a session, or gets an object that it may change. */
  onChange (): void
}

/**
 * The session as the handler sees and changes it, without any I/O. The state has three parts: the stored session
 * (`snapshot`), the handler's request (`#intent`), and the handler's copy of the data (`#draft`). The draft is made when the
 * handler changes the data or gets an object of them.
 */
export abstract class SessionState {
  readonly scheme: Scheme
  protected readonly scope: Scope
  /** The result of the last load. */
  found: Found
  snapshot: Snapshot | undefined
  /** The hash of the secret that the browser has. */
  protected held: string | undefined
  #intent: Intent = KEEP
  #draft: Draft | undefined

  constructor (scope: Scope, found: Found) {
    this.scheme = found.scheme
    this.scope = scope
    this.found = found
    this.snapshot = found.snapshot
    this.held = found.snapshot?.secretHash
  }

  get exists (): boolean { return this.#started !== undefined || this.#current !== undefined }
  get id (): string { return this.#started?.credential.id ?? this.#required.id }
  get user (): unknown { return this.#current && this.found.user }
  get createdAt (): number { return this.#times.createdAt }
  get authenticatedAt (): number { return this.#times.authenticatedAt }

  get expiresAt (): number {
    const { settings } = this.scheme
    return this.#started === undefined ? this.#required.expiresAt : expiryOf(this.#started.times, settings, settings.now())
  }

  get data (): Data {
    this.assertLoaded()
    // A change after the response has begun cannot be saved with it. The data are frozen, so that such a change throws.
    return this.scope.isClosed && this.#base !== undefined ? freezeJson(this.#base) : this.#writable.data
  }

  get (key: string): any {
    const data = this.scope.isClosed ? this.#base : this.#draft?.entries ?? this.#base
    const value = data && own(data, key)
    return typeof value === 'object' && value !== null ? own(this.data, key) : value
  }

  set (key: string, value: unknown): void {
    this.#assertOpen('set()')
    put(this.#writable.entries, key, value)
  }

  unset (key: string): void {
    this.#assertOpen('unset()')
    if (this.#base === undefined) return
    const { defaults } = this.scheme.codec
    const { entries } = this.#writable
    if (Object.hasOwn(defaults, key)) put(entries, key, copyJson(defaults[key]))
    else delete entries[key]
  }

  start (data: Data, options?: StartOptions): void {
    this.#assertOpen('start()')
    const { settings, codec } = this.scheme
    const times = beginTimes(settings, options, settings.now())
    const content = codec.accept(data)
    const afterEnd = this.#started?.afterEnd ?? this.#intent === DESTROY
    this.#intent = { kind: 'start', credential: mintCredential(), times, content, afterEnd }
    this.#draft = undefined
  }

  renew (): void {
    this.#assertOpen('renew()')
    this.#renew('renew')
  }

  regenerate (keep: readonly string[] = []): void {
    this.#assertOpen('regenerate()')
    if (this.#base === undefined) return
    const before = this.data
    this.#draft = new Draft(this.scheme.codec.defaults)
    for (const key of keep) if (Object.hasOwn(before, key)) put(this.#draft.entries, key, before[key])
    if (this.exists) this.#renew('regenerate')
  }

  destroy (): void {
    this.#assertOpen('destroy()')
    this.#intent = DESTROY
    this.#draft = undefined
  }

  /** True if the handler asked for a start, a renewal or the end of the session. */
  get hasIntent (): boolean { return this.#intent !== KEEP }

  /** True if the handler has changed the session, or has an object that it may have changed. */
  get isTouched (): boolean { return this.hasIntent || this.#draft !== undefined }
  get isChanged (): boolean { return this.#intent !== KEEP || this.#isDraftChanged }

  /** True if the handler's draft differs from what is stored, or cannot be compared (a getter throws). */
  get #isDraftChanged (): boolean {
    try {
      return this.#draft !== undefined && !sameJson(this.#draft.entries, this.#base)
    } catch {
      return true
    }
  }

  /** Returns the changes to save, or `undefined` if there are none. @throws `FST_SESSION_INVALID_DATA` */
  protected order (): Order | undefined {
    const draft = this.#isDraftChanged ? this.#draft : undefined
    const content = draft && this.scheme.codec.prepare(draft.entries, draft.original)
    if (content === undefined && this.#intent === KEEP && this.snapshot?.stale !== true) return undefined
    return { snapshot: this.snapshot, intent: this.#intent, content, held: this.held }
  }

  /** Applies a save to the draft, which stays the same object: merges what others saved, and keeps changes made during the save. */
  protected apply (saved: Saved | undefined, { intent = KEEP, content }: Partial<Order> = {}): void {
    const draft = this.#draft?.entries
    const base = content?.data ?? this.#base ?? {}
    this.snapshot = saved?.snapshot
    const isLatest = this.#intent === intent
    if (isLatest) this.#intent = KEEP
    // A session that was started or destroyed while the save was running has a draft of its own.
    if (draft === undefined || (!isLatest && this.#intent.kind !== 'renew')) return
    if (saved !== undefined && saved.snapshot.data !== content?.data) refill(draft, merge(base, draft, saved.snapshot.data))
    if (saved === undefined && intent.kind !== 'destroy') this.#draft = undefined
  }

  /** Discards changes of the data and a start. Keeps a renewal, and an end of the session, also one before the start. */
  protected takeBack (): void {
    this.#draft = undefined
    if (this.#started !== undefined) this.#intent = this.#started.afterEnd ? DESTROY : KEEP
  }

  /** Discards an order that was refused. Keeps a start or an end that the handler asked for while the order was being saved. */
  protected refuseOrder ({ intent }: Order): void {
    const isLatest = this.#intent === intent
    if (isLatest || this.#intent.kind === 'renew') this.#draft = undefined
    if (isLatest) this.#intent = KEEP
  }

  /** Discards all unsaved changes and the intent. */
  discard (): void {
    this.#draft = undefined
    this.#intent = KEEP
  }

  /** @throws the error of the load, if it failed */
  protected assertLoaded (): void { if (this.found.loaded === 'failed') throw this.found.error }

  #assertOpen (call: string): void {
    this.assertLoaded()
    this.scope.assertOpen(call, this.scheme.name)
    this.scope.onChange()
  }

  #renew (reason: RenewedReason): void {
    if (this.#started !== undefined) return
    if (this.#current === undefined) throw this.scheme.requiredError()
    this.#intent = { kind: 'renew', reason }
  }

  get #writable (): Draft {
    if (this.#draft !== undefined) return this.#draft
    const base = this.#base
    if (base === undefined) throw this.scheme.requiredError()
    this.scope.onChange()
    return this.#draft = new Draft(base)
  }

  get #started () { return this.#intent.kind === 'start' ? this.#intent : undefined }
  get #current (): Snapshot | undefined { return this.#intent.kind === 'keep' || this.#intent.kind === 'renew' ? this.snapshot : undefined }
  get #times (): Times { return this.#started?.times ?? this.#required.times }
  /** The data that the handler's draft starts from. Nothing changes them. */
  get #base (): Data | undefined { return (this.#started?.content ?? this.#current)?.data ?? this.scheme.codec.blank }

  get #required (): Snapshot {
    this.assertLoaded()
    const current = this.#current
    if (current === undefined) throw this.scheme.requiredError()
    return current
  }
}
