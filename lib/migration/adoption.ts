import { hash } from 'node:crypto'
import type { Backend, Claim, Directory, Saved, Snapshot } from '../backend/backend.js'
import { callInTime } from '../awaitable.js'
import { invalidOptions, SessionError } from '../errors.js'
import type { Report } from '../events/events.js'
import type { Codec, Content } from '../session/codec.js'
import { type MintedCredential, mintCredential } from '../session/credential.js'
import { beginTimes, expiryOf, type Lifetimes, type Times, UNRANKED } from '../session/times.js'
import type { Awaitable } from '../store/store.js'

/** A session of another session plugin, found by its cookie. */
export interface Predecessor {
  /** Returns the data of the new session, `undefined` if the old one should not be adopted. If this throws, it is unfit. */
  data (): unknown
  /** Names the session, if differently spelled cookies lead to it. Default: the result of `identify`. */
  readonly id?: string | undefined
  /** When the user signed in, in epoch milliseconds. Default: unknown, so that a step-up asks for a login. */
  readonly authenticatedAt?: number | undefined
  /** The latest possible end of the old session, in epoch milliseconds. Default: that of a new session. */
  readonly expiresAt?: number | undefined
  /** Ends the old session in its own store. */
  forget (): Awaitable<void>
}

/**
 * The source of sessions of the previous session plugin, for the option `adopt`. Keep the option while old sessions can be live,
 * so that the move signs no user out. `adoptExpressSessions` of `fastify-openapi-session/express` makes one.
 */
export interface Adoption {
  readonly cookieName: string
  /** Path and domain that the old cookie was set with, to expire it. Default `/` and none. */
  readonly path?: string | undefined
  readonly domain?: string | undefined
  /** Returns the id of the old session in a cookie value, `undefined` when the value is forged or malformed. */
  identify (value: string): string | undefined
  /** Returns the old session, `undefined` if it has ended. Rejects if its store fails. */
  find (id: string): Awaitable<Predecessor | undefined>
}

/** The parts of the scheme that adopts the sessions. */
export interface AdoptionContext {
  readonly name: string
  readonly codec: Codec
  readonly backend: Backend
  readonly settings: Lifetimes & { readonly storeTimeout: number, readonly now: () => number }
}

/**
 * How long, in milliseconds, the old cookie leads to the new session. A page sends parallel requests with the old cookie. The
 * first one adopts the session, and the others must find it.
 */
const GRACE = 10_000

const SILENT: Report = () => {}

/** A session that was found under an old cookie and is not stored here yet. */
interface Found {
  readonly context: AdoptionContext
  readonly key: string
  readonly old: Predecessor
  readonly content: Content
  readonly credential: MintedCredential
  readonly times: Times
}

/** The adoption of one session, to complete when a cookie can be sent. */
export class PendingAdoption {
  readonly #found: Found

  constructor (found: Found) {
    this.#found = found
  }

  /** The session as the handler sees it until the adoption is complete. */
  get snapshot (): Snapshot {
    const { content: { data, principal }, credential: { id, secretHash }, times, context: { settings } } = this.#found
    return { id, version: 0, expiresAt: expiryOf(times, settings, settings.now()), times, secretHash, data, principal }
  }

  /** Ends the old session. @throws `FST_SESSION_STORE` */
  async forget (): Promise<void> {
    await callInTime(() => this.#found.old.forget(), this.#found.context.settings.storeTimeout)
  }

  /**
   * Stores the session and ends the old one. If a concurrent request did that first, returns its session, without a cookie, or
   * `undefined` if that session has ended. @throws `FST_SESSION_STORE`, with the old session still in place
   */
  async complete (report: Report): Promise<Saved | undefined> {
    const { context: { backend, settings }, key, content, credential, times } = this.#found
    const { directory } = backend
    const saved = await backend.create({ credential, times, content, reason: 'adopted' }, SILENT)
    if (directory === undefined) this.#forgetLater()
    else if (!await this.#claim(directory, saved.snapshot)) {
      await backend.end(saved.snapshot, 'replaced', SILENT)
      const winner = await claimedSession(directory, await directory.claimed(key), settings.now())
      return winner && { snapshot: winner }
    }
    report({ type: 'created', reason: 'adopted' }, saved.snapshot)
    return directory === undefined ? saved : await directory.limit(saved, report)
  }

  /** Claims the old session and ends it. Returns `false` if another request has claimed it. */
  async #claim (directory: Directory, session: Snapshot): Promise<boolean> {
    const { context: { settings: { now, absoluteTimeout } }, key, old } = this.#found
    try {
      if (!await directory.claim(key, session.id, Math.max(finite(old.expiresAt) ?? 0, now() + absoluteTimeout))) return false
      await this.forget()
      return true
    } catch (error) {
      await this.#giveUp(directory, session)
      throw error
    }
  }

  /**
   * Deletes the new session and the claim, so that the next request can adopt the old session. Keeps the claim if a concurrent
   * request found the new session and ended it: that was a logout.
   */
  async #giveUp (directory: Directory, session: Snapshot): Promise<void> {
    const { context: { backend }, key } = this.#found
    const wasLive = await backend.end(session, 'replaced', SILENT)
    // The store may have written the claim even though the call failed. Or the claim may belong to another request.
    if (wasLive && (await directory.claimed(key))?.id === session.id) await directory.unclaim(key)
  }

  /** Ends the old session a moment later. With a sealed cookie, parallel requests cannot find the new session and use the old. */
  #forgetLater (): void {
    setTimeout(() => { void this.forget().catch(() => {}) }, GRACE).unref()
  }
}

/**
 * Finds the session of another plugin by its cookie value. Returns the session that a parallel request has adopted, or an
 * adoption to complete, or `undefined`. An adopted session is never adopted again, even if the new session has ended.
 * @throws `FST_SESSION_STORE`
 */
export async function findPredecessor (
  context: AdoptionContext, adoption: Adoption, value: string, report: Report
): Promise<Snapshot | PendingAdoption | undefined> {
  const { name, backend: { directory }, settings } = context
  const id = adoption.identify(value)
  if (id === undefined) {
    report({ type: 'rejected', reason: 'malformed-cookie' })
    return undefined
  }
  // The order matters. A session is claimed before it ends. So if it was live and then has no claim, it is not adopted yet.
  const old = await callInTime(() => adoption.find(id), settings.storeTimeout)
  const key = hash('sha256', `adopted:${name}:${old?.id ?? id}`, 'base64url')
  const claim = await directory?.claimed(key)
  if (directory !== undefined && claim !== undefined) return await claimedSession(directory, claim, settings.now())
  const accepted = old && await accept(context, old, report)
  return accepted && new PendingAdoption({ context, key, old, credential: mintCredential(), ...accepted })
}

/** Returns the session that a claim leads to, `undefined` once `GRACE` has passed. */
async function claimedSession (directory: Directory, claim: Claim | undefined, now: number): Promise<Snapshot | undefined> {
  return claim === undefined || now - claim.since >= GRACE ? undefined : await directory.find(claim.id)
}

/** Reads an old session. Reports errors of the app's functions and does not throw, so that the user can still sign in. */
async function accept (
  { codec, settings }: AdoptionContext, old: Predecessor, report: Report
): Promise<Pick<Found, 'content' | 'times'> | undefined> {
  try {
    const data = await old.data()
    if (data === undefined) return undefined
    const now = settings.now()
    const authenticatedAt = Math.min(finite(old.authenticatedAt) ?? 0, now)
    return { content: codec.accept(data), times: { ...beginTimes(settings, {}, now), authenticatedAt, rank: UNRANKED } }
  } catch (error) {
    // The message of another error may hold data.
    const detail = error instanceof SessionError ? error.message : `reading it threw ${error instanceof Error ? error.name : typeof error}`
    report({ type: 'discarded', reason: 'unfit', detail })
    return undefined
  }
}

/** Returns an instant, `undefined` for an invalid date. */
function finite (instant: number | undefined): number | undefined {
  return Number.isFinite(instant) ? instant : undefined
}

/** Checks the option `adopt`. @throws `FST_SESSION_OPTIONS` */
export function readAdoption (adoption: Adoption | undefined): Adoption | undefined {
  if (adoption === undefined || (typeof adoption?.identify === 'function' && typeof adoption.find === 'function' && typeof adoption.cookieName === 'string')) return adoption
  throw invalidOptions('adopt must be the result of adoptExpressSessions({ ... }) or of adoptCookies({ ... })')
}
