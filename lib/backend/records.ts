import { SessionError, unavailable } from '../errors.js'
import { expiryOf } from '../life.js'
import type { Codec, Decoded, Life, Prepared } from '../record.js'
import type { SessionRecord, SessionStore, StoredSession, UpdateOutcome } from '../store/store.js'
import type { Live, Report } from './backend.js'
import { storeInTime } from './in-time.js'
import { successorIn, successorRecord } from './successor.js'

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

/** Milliseconds for which is known what a session was renewed to: longer than a request may be late and clocks may be apart. */
const KEPT = 600_000

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

  /** What is stored under an id. With `touch` its expiry moves by the scheme's idle timeout. */
  async read (id: string, touch = false): Promise<SessionRecord | undefined> {
    const { now, idleTimeout } = this.#options
    return await this.store.read(id, touch ? now() + idleTimeout : undefined)
  }

  /** The session under an id; `undefined` also where it was renewed. */
  async find (id: string, touch = false): Promise<Live | undefined> {
    const record = await this.read(id, touch)
    return record === undefined || successorIn(record) !== undefined ? undefined : this.#live({ id, record })
  }

  /** Which id a session has by now, where it was renewed, and what stands there: nothing, a session, or that it is over. */
  async #latest (id: string): Promise<{ readonly id: string, readonly record: SessionRecord | undefined, readonly isOver: boolean }> {
    const seen = new Set<string>()
    while (!seen.has(id)) {
      seen.add(id)
      const record = await this.read(id)
      const successor = record && successorIn(record)
      if (successor?.id === undefined) return { id, record, isOver: successor !== undefined }
      id = successor.id
    }
    throw conflict()
  }

  /** The session under whichever id it has by now. */
  async follow (from: string): Promise<Live | undefined> {
    const { id, record, isOver } = await this.#latest(from)
    return record === undefined || isOver ? undefined : this.#live({ id, record })
  }

  /** Whether it is on record that the session with an id ended. */
  async isOver (id: string): Promise<boolean> {
    return (await this.#latest(id)).isOver
  }

  async list (principal: string): Promise<Live[]> {
    return (await this.store.list(principal)).map((found) => this.#live(found)).filter((live) => live !== undefined)
  }

  /** Resolves `false` where the id is taken. */
  async create (live: Live): Promise<boolean> {
    return await this.store.create(live.id, this.#record(live))
  }

  /** Creates a session whose id nobody else can have. */
  async insert (live: Live): Promise<void> {
    try {
      if (await this.create(live)) return
    } catch (error) {
      // It may be written all the same: a session that nobody has the token of, in the list of its principal.
      this.forget(live.id)
      throw error
    }
    // 256 random bits do not collide: this store, or the source of randomness, is broken.
    throw unavailable('The session could not be created.')
  }

  /** Writes a version over the one before it. */
  async overwrite (next: Live): Promise<UpdateOutcome> {
    return await this.store.update(next.id, this.#record(next))
  }

  /** Puts its successor, or that it has none, in the place of a session, only if it is still as it was read. */
  async supersede ({ id, version, life }: Live, successor: string | undefined): Promise<UpdateOutcome> {
    const until = successor === undefined ? life.deadline : Math.min(this.#options.now() + KEPT, life.deadline)
    return await this.store.update(id, successorRecord({ id: successor, until }, version + 1))
  }

  /** Ends a session only if it is still as it was read. */
  async remove (live: Live): Promise<UpdateOutcome> {
    // Whoever has the old cookie could adopt it once more.
    return live.life.adopted === undefined ? await this.#delete(live) : await this.supersede(live, undefined)
  }

  async #delete ({ id, version }: Pick<Live, 'id' | 'version'>): Promise<UpdateOutcome> {
    return await this.store.update(id, { payload: 'null', version: version + 1, expiresAt: 0 })
  }

  /**
   * Ends a session under whichever id it has by now: a logout is final for a renewal that was faster, too. (Where it became
   * another person's meanwhile, that one is not ended.)
   */
  async end (live: Live): Promise<boolean> {
    const outcome = await this.remove(live)
    return outcome === 'updated' || await this.endLatest(live.id)
  }

  /** Ends a session of which no more is known than an id that it had. */
  async endLatest (from: string): Promise<boolean> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { id, record, isOver } = await this.#latest(from)
      if (isOver) return false
      if (record === undefined) {
        // What has expired by the clock of this process may be live by another's.
        await this.store.delete(id)
        return false
      }
      const live = this.decode(id, record, () => {})
      const outcome = live ? await this.remove(live) : await this.#delete({ id, version: record.version })
      if (outcome === 'updated') return true
      from = id
    }
    throw conflict()
  }

  /** Deletes after an error, which is the one to tell. What stays has a token that nobody was given, and expires. */
  forget (id: string): void {
    this.store.delete(id).catch(() => {})
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

  #live ({ id, record }: StoredSession): Live | undefined {
    const live = this.decode(id, record, this.#options.report)
    return live === undefined || live.life.deadline <= this.#options.now() ? undefined : live
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
