import { SessionError, unavailable } from '../errors.js'
import { expiryOf } from '../life.js'
import type { Codec, Decoded, Life, Prepared } from '../record.js'
import type { SessionRecord, SessionStore } from '../store/store.js'
import type { Live, Report } from './backend.js'
import { storeInTime } from './in-time.js'

export interface RecordsOptions {
  readonly store: SessionStore
  readonly codec: Codec
  /** Milliseconds. */
  readonly idleTimeout: number
  /** Milliseconds that one call of the store may take. */
  readonly storeTimeout: number
  readonly now: () => number
  /** For what happens outside of any request. */
  readonly report: Report
}

/** Each round of a conflict lets at least one request through, so this many would have to be at one session at once. */
export const MAX_ROUNDS = 256

/** The records of a store as the sessions they are: between the store's calls, each in time, and what the backend does. */
export class Records {
  /** The store itself, for what is no session or needs no decoding. */
  readonly store: SessionStore
  readonly #options: RecordsOptions

  constructor (options: RecordsOptions) {
    this.#options = options
    this.store = storeInTime(options.store, options.storeTimeout)
  }

  /** The record as it is stored. With `touch` its expiry moves by the scheme's idle timeout. */
  async read (id: string, touch = false): Promise<SessionRecord | undefined> {
    const { now, idleTimeout } = this.#options
    return await this.store.read(id, touch ? now() + idleTimeout : undefined)
  }

  async find (id: string, touch = false): Promise<Live | undefined> {
    const record = await this.read(id, touch)
    const live = record && this.decode(id, record, this.#options.report)
    return live === undefined || live.life.deadline <= this.#options.now() ? undefined : live
  }

  async list (principal: string): Promise<Live[]> {
    const found = await this.store.list(principal)
    const now = this.#options.now()
    return found.map(({ id, record }) => this.decode(id, record, this.#options.report))
      .filter((live): live is Live => live !== undefined && live.life.deadline > now)
  }

  async insert (live: Live): Promise<void> {
    if (await this.store.create(live.id, this.#record(live))) return
    // 256 random bits do not collide: this store, or the source of randomness, is broken.
    throw unavailable('The session could not be created.')
  }

  /** Writes a version over the one before it. */
  async overwrite (next: Live): Promise<'updated' | 'conflict' | 'missing'> {
    return await this.store.update(next.id, this.#record(next))
  }

  /** Deletes a record only if it is still the one that was read. */
  async end (live: Live): Promise<'updated' | 'conflict' | 'missing'> {
    return await this.store.update(live.id, { payload: 'null', version: live.version + 1, expiresAt: 0 })
  }

  /** Resolves whether it was there. */
  async delete (id: string): Promise<boolean> {
    return await this.store.delete(id)
  }

  /** Deletes after an error, which is the one to tell. A record that stays has a token nobody was given, and expires. */
  async forget (id: string): Promise<void> {
    await this.delete(id).catch(() => {})
  }

  assemble (id: string, version: number, life: Life, content: Prepared): Live {
    return { ...content, id, version, life, expiresAt: expiryOf(life, this.#options, this.#options.now()) }
  }

  decode (id: string, record: SessionRecord, report: Report): Live | undefined {
    const decoded = belongsTo(record, this.#options.codec.decode(record.payload))
    if (decoded.kind === 'content') {
      const { content } = decoded
      const stale = record.principal === content.principal ? {} : { stale: true }
      return { ...content, id, version: record.version, expiresAt: Math.min(record.expiresAt, content.life.deadline), ...stale }
    }
    const reason = decoded.kind
    report({ type: 'discarded', reason, id, ...(decoded.kind === 'unfit' ? { detail: decoded.problem } : {}) })
    return undefined
  }

  #record ({ version, life, text, principal, expiresAt }: Live): SessionRecord {
    return { payload: this.#options.codec.encode(life, text), version, expiresAt, ...of(principal) }
  }
}

// Signing out somebody everywhere has to find this record; and a record that was spoiled must not make somebody else of them.
function belongsTo ({ principal }: SessionRecord, decoded: Decoded): Decoded {
  if (decoded.kind !== 'content' || principal === undefined || decoded.content.principal === undefined) return decoded
  if (decoded.content.principal === principal) return decoded
  return { kind: 'unfit', problem: 'its data are of another principal than the one it was stored for' }
}

/** The principal of an event or a record, which has none rather than an undefined one. */
export function of (principal: string | undefined): { principal?: string } {
  return principal === undefined ? {} : { principal }
}

export function conflict (cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_CONFLICT', 'Another request changed the same session at the same time. Send the request again.', cause === undefined ? {} : { cause })
}
