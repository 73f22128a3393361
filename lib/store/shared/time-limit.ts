import { Line, type Linked } from './line.js'

/** A call that is waited for. `due` is an instant of `performance.now()`, and 0 after the call has ended or become late. */
export interface Timed extends Linked<Timed> {
  due: number
  late (): void
}

/** One time limit for any number of calls, with one timer: calls become late in the order in which they were added. */
export class TimeLimit {
  readonly #milliseconds: number
  readonly #calls = new Line<Timed>()
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

  /** Ends the wait for a call. Does nothing if the call is late already. */
  delete (call: Timed): void {
    if (call.due === 0) return
    call.due = 0
    this.#calls.remove(call)
    // The timer stays for the next call. Without a call it does not keep the process alive.
    if (this.#calls.size === 0) this.#timer?.unref()
  }

  #arm (milliseconds: number): void {
    // A timer with a longer delay fires at once.
    this.#timer = setTimeout(() => { this.#endLate() }, Math.min(milliseconds, 2 ** 31 - 1))
  }

  #endLate (): void {
    this.#timer = undefined
    // A timer may fire a moment too early.
    const now = performance.now() + 1
    for (let call = this.#calls.oldest; call !== undefined; call = this.#calls.oldest) {
      if (call.due > now) return this.#arm(call.due - now + 1)
      this.delete(call)
      call.late()
    }
  }
}
