/** A clock that stands still until it is moved. Pass its `now` to everything that has a `now` option. */
export interface Clock {
  /** Returns epoch milliseconds. Needs no `this`: `new MemoryStore({ now: clock.now })`. */
  readonly now: () => number
  /** Moves the clock forward. A promise that a clock of your own returns is awaited. */
  readonly advance: (milliseconds: number) => void | Promise<void>
}

/** A clock that moves at once. */
export interface ManualClock extends Clock {
  readonly advance: (milliseconds: number) => void
}

/**
 * Creates a clock for tests. The clock starts at the real time and moves forward only, so that it also works with a
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
