import { callInTime, isPromise } from '../awaitable.js'
import { HashTable } from '../store/shared/hash-table.js'
import type { Awaitable } from '../store/store.js'
import type { Snapshot } from './backend.js'

type Outcome = Promise<Snapshot | undefined>
interface Turn { readonly id: string, readonly outcome: Outcome }
type Write = (current: Snapshot | undefined) => Awaitable<Snapshot | undefined>

/** The writers of one session in this process take turns, so n concurrent requests make about n store calls and not n². */
export class Turns {
  /** The last writer of each session, while its write is pending. Not a Map: in steady use, its dead tables fill V8's old space. */
  readonly #last = new HashTable<Turn>(({ id }) => id)

  /** Runs `write` after the earlier writers of the session. @throws `FST_SESSION_STORE` if they do not end within `limit` milliseconds */
  take (base: Snapshot, limit: number, write: Write): Awaitable<Snapshot | undefined> {
    const before = this.#last.get(base.id)?.outcome
    const result = before === undefined ? write(base) : this.#after(before, base, limit, write)
    if (!isPromise(result)) return result
    // After a failed write, the stored version is unknown. The next writer starts from `base`, and its compare-and-set finds out.
    // If this writer's turn did not come, the writers after it wait for the previous one.
    const outcome = Promise.resolve(result).catch(() => before ?? base)
    const turn: Turn = { id: base.id, outcome }
    this.#last.set(base.id, turn)
    void outcome.then(() => { if (this.#last.get(base.id) === turn) this.#last.delete(base.id) })
    return result
  }

  async #after (before: Outcome, base: Snapshot, limit: number, write: Write): Outcome {
    const latest = await callInTime(() => before, limit)
    // This request may have read a newer version than the previous writer wrote. Start from the newer version.
    return await write(latest !== undefined && latest.version < base.version ? base : latest)
  }
}
