import { callInTime, isPromise } from '../awaitable.js'
import type { Awaitable } from '../store/store.js'
import type { Snapshot } from './backend.js'

type Outcome = Promise<Snapshot | undefined>
type Write = (current: Snapshot | undefined) => Awaitable<Snapshot | undefined>

/**
 * The writers of one session in this process take turns, and each starts from what the one before wrote: n concurrent
 * requests make about n store calls. Compare-and-set in the store does the rest, between processes.
 */
export class Turns {
  /** Milliseconds. */
  readonly #limit: number
  /** The outcome of the last writer of each session, while it is under way. */
  readonly #last = new Map<string, Outcome>()

  constructor (limit: number) {
    this.#limit = limit
  }

  /** Runs `write` when it is the session's turn. @throws `FST_SESSION_STORE` when the turn does not come in time */
  take (base: Snapshot, write: Write): Awaitable<Snapshot | undefined> {
    const before = this.#last.get(base.id)
    const result = before === undefined ? write(base) : this.#after(before, base, write)
    return isPromise(result) ? this.#follow(base, before, Promise.resolve(result)) : result
  }

  async #after (before: Outcome, base: Snapshot, write: Write): Outcome {
    const latest = await callInTime(() => before, this.#limit)
    // A session that this request has seen later than the writer before it is not taken back to that.
    return await write(latest !== undefined && latest.version < base.version ? base : latest)
  }

  #follow (base: Snapshot, before: Outcome | undefined, result: Outcome): Outcome {
    // Where a writer failed, what is stored is unknown: the next one finds out. One whose turn did not come leaves it to the
    // one before it, so that those after it still wait.
    const outcome = result.catch(() => before ?? base)
    this.#last.set(base.id, outcome)
    void outcome.then(() => { if (this.#last.get(base.id) === outcome) this.#last.delete(base.id) })
    return result
  }
}
