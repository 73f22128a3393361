/** A clock that stands still until it is told to move: give its `now` to whatever takes a `now` option. */
export interface Clock {
  /** Epoch milliseconds. It can be passed on without its object: `new MemoryStore({ now: clock.now })`. */
  readonly now: () => number
  /** Moves the clock forward by so many milliseconds. A clock of your own may take its time: what it returns is awaited. */
  readonly advance: (milliseconds: number) => void | Promise<void>
}

/** A clock that is moved at once. */
export interface ManualClock extends Clock {
  readonly advance: (milliseconds: number) => void
}

/**
 * A clock for tests. It starts at the real time and only ever goes ahead of it, so that it can also be used with a
 * server that expires records by its own clock.
 */
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
