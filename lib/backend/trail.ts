import type { SessionRecord } from '../store/store.js'
import { idOf } from '../token.js'
import type { Live } from './backend.js'
import { conflict, MAX_ROUNDS, type Records } from './records.js'

/** Milliseconds for which a note is kept: as long as a request may be late. */
const NOTE_LIFE = 60_000

/**
 * What became of sessions under other ids, for requests that are late. The id of a renewed session does not lead to the new
 * one; the list of its principal does, or else a note in the store.
 */
export class Trail {
  readonly #records: Records
  readonly #lists: boolean
  readonly #now: () => number

  constructor (records: Records, lists: boolean, now: () => number) {
    this.#records = records
    this.#lists = lists
    this.#now = now
  }

  /**
   * Told of a renewal before it happens. Each of several at once is on the note; which of them came through, the ids will
   * tell.
   */
  async announce ({ id: from, principal }: Live, to: string): Promise<void> {
    if (this.#isListed(principal)) return
    const { store } = this.#records
    const id = noteOn(from)
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const expiresAt = this.#now() + NOTE_LIFE
      if (await store.create(id, { payload: JSON.stringify([to]), version: 1, expiresAt })) return
      const note = await store.read(id)
      if (note === undefined) continue
      const next = { payload: JSON.stringify([...idsOn(note), to]), version: note.version + 1, expiresAt }
      if (await store.update(id, next) === 'updated') return
    }
    throw conflict()
  }

  /** What a session was renewed to: one, several for a moment, or none. */
  async successors ({ id, principal, life }: Live): Promise<Live[]> {
    if (!this.#isListed(principal)) return await this.#noted(id)
    const origin = life.origin ?? id
    return (await this.#records.list(principal)).filter((other) => other.life.origin === origin && other.id !== id)
  }

  /** Whether nobody asked this of the same text within a minute. */
  async once (text: string): Promise<boolean> {
    return await this.#records.store.create(idOf(text), { payload: 'null', version: 1, expiresAt: this.#now() + NOTE_LIFE })
  }

  async #noted (from: string): Promise<Live[]> {
    const note = await this.#records.store.read(noteOn(from))
    const ids = note === undefined ? [] : idsOn(note)
    const found = (await Promise.all(ids.map(async (id) => await this.#records.find(id)))).filter((live) => live !== undefined)
    // A renewal that did not come through has no note of its own.
    return found.length > 0 ? found : (await Promise.all(ids.map(async (id) => await this.#noted(id)))).flat()
  }

  #isListed (principal: string | undefined): principal is string {
    return principal !== undefined && this.#lists
  }
}

/** The id of the note that says what a session was renewed to. No token has it, since nobody finds a text with this hash. */
function noteOn (id: string): string {
  return idOf(`renewed ${id}`)
}

function idsOn ({ payload }: SessionRecord): string[] {
  return JSON.parse(payload) as string[]
}
