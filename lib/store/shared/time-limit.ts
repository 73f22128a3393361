/** A call that is waited for. `due` is an instant of `performance.now()`. */
export interface Timed {
  due: number
  late (): void
}

/** One time limit for any number of calls, with one timer: calls become late in the order in which they were added. */
export class TimeLimit {
  readonly #milliseconds: number
  /** The oldest first. */
  readonly #calls = new Set<Timed>()
  #timer: NodeJS.Timeout | undefined

  constructor (milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  add (call: Timed): void {
    call.due = performance.now() + this.#milliseconds
    this.#calls.add(call)
    if (this.#timer === undefined) this.#arm(this.#milliseconds)
    else if (this.#calls.size === 1) this.#timer.ref()
  }

  /** Returns whether the call was in time. */
  delete (call: Timed): boolean {
    const inTime = this.#calls.delete(call)
    // The timer stays for the next call. Without a call it does not keep the process alive.
    if (this.#calls.size === 0) this.#timer?.unref()
    return inTime
  }

  has (call: Timed): boolean {
    return this.#calls.has(call)
  }

  #arm (milliseconds: number): void {
    // A timer with a longer delay fires at once.
    this.#timer = setTimeout(() => { this.#endLate() }, Math.min(milliseconds, 2 ** 31 - 1))
  }

  #endLate (): void {
    this.#timer = undefined
    // A timer may fire a moment too early.
    const now = performance.now() + 1
    for (const call of this.#calls) {
      if (call.due > now) return this.#arm(call.due - now + 1)
      this.#calls.delete(call)
      call.late()
    }
  }
}
