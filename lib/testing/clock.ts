/** A clock that changes only when `advance` is called. Pass its `now` to everything that has an option `now`. */
export interface Clock {
  /** Returns epoch milliseconds. May be passed without the clock, as in `new MemoryStore({ now: clock.now })`. */
  readonly now: () => number
  /** Moves the clock forward. If your own clock returns a promise, it is awaited. */
  readonly advance: (milliseconds: number) => void | Promise<void>
}

/** A clock whose `advance` is synchronous. */
export interface ManualClock extends Clock { readonly advance: (milliseconds: number) => void }

/** Creates a clock that starts at the real time and only moves forward, because servers expire records by their own clocks. */
export function createClock (start: number = Date.now()): ManualClock {
  let time = start
  return Object.freeze({
    now: () => time,
    advance (milliseconds: number) {
      if (!(milliseconds >= 0)) throw new RangeError('a clock moves forward: advance(milliseconds) takes 0 or more')
      time += milliseconds
    }
  })
}
