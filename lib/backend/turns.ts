import { callInTime, isPromise } from '../awaitable.js'
import type { Awaitable } from '../store/store.js'
import type { Snapshot } from './backend.js'

type Outcome = Promise<Snapshot | undefined>
/** The outcome is removed at the end: a map in steady use leaves dead tables behind, each of which keeps its values alive. */
interface Turn { outcome: Outcome | undefined }
type Write = (current: Snapshot | undefined) => Awaitable<Snapshot | undefined>

/** The writers of one session in this process take turns, so n concurrent requests make about n store calls and not n². */
export class Turns {
  /** The turn of the last writer of each session, while a write is pending. */
  readonly #last = new Map<string, Turn>()

  /** Runs `write` after the earlier writers of the session. @throws `FST_SESSION_STORE` if they do not end within `limit` milliseconds */
  take (base: Snapshot, limit: number, write: Write): Awaitable<Snapshot | undefined> {
    const before = this.#last.get(base.id)?.outcome
    const result = before === undefined ? write(base) : this.#after(before, base, limit, write)
    if (!isPromise(result)) return result
    // After a failed write, the stored version is unknown. The next writer starts from `base`, and its compare-and-set finds out.
    // If this writer's turn did not come, the writers after it wait for the previous one.
    const outcome = Promise.resolve(result).catch(() => before ?? base)
    const turn: Turn = { outcome }
    this.#last.set(base.id, turn)
    void outcome.then(() => {
      turn.outcome = undefined
      if (this.#last.get(base.id) === turn) this.#last.delete(base.id)
    })
    return result
  }

  async #after (before: Outcome, base: Snapshot, limit: number, write: Write): Outcome {
    const latest = await callInTime(() => before, limit)
    // This request may have read a newer version than the previous writer wrote. Start from the newer version.
    return await write(latest !== undefined && latest.version < base.version ? base : latest)
  }
}
