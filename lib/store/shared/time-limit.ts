import { LinkedList, type Linked } from './linked-list.js'

/** A call with a time limit. */
export interface Timed extends Linked<Timed> {
  /** The deadline on the clock of `performance.now()`; 0 after the call has ended or timed out. */
  due: number
  onTimeout (): void
}

/** Applies one time limit to many calls with a single timer. Calls time out in the order in which they were added. */
export class TimeLimit {
  readonly milliseconds: number
  readonly #calls = new LinkedList<Timed>()
  #timer: NodeJS.Timeout | undefined

  constructor (milliseconds: number) { this.milliseconds = milliseconds }

  add (call: Timed): void {
    call.due = performance.now() + this.milliseconds
    this.#calls.add(call)
    if (this.#timer === undefined) this.#arm(this.milliseconds)
    else if (this.#calls.size === 1) this.#timer.ref()
  }

  /** Removes a call that has ended. Does nothing if the call has timed out. */
  delete (call: Timed): void {
    if (call.due === 0) return
    call.due = 0
    this.#calls.remove(call)
    // The timer is kept for the next call, but does not keep the process alive without one.
    if (this.#calls.size === 0) this.#timer?.unref()
  }

  /** Starts the timer. Node.js fires a timer with a delay of 2³¹ ms or more at once. */
  #arm (milliseconds: number): void {
    this.#timer = setTimeout(() => { this.#checkDeadlines() }, Math.min(milliseconds, 2 ** 31 - 1))
  }

  #checkDeadlines (): void {
    this.#timer = undefined
    // Timers may fire up to a millisecond early.
    const now = performance.now() + 1
    for (let call = this.#calls.oldest; call !== undefined; call = this.#calls.oldest) {
      if (call.due > now) return this.#arm(call.due - now + 1)
      this.delete(call)
      call.onTimeout()
    }
  }
}
