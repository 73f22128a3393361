/** Returns a generator of whole numbers from 0 to below `limit`: the same ones for the same seed, so that a failure can be run again. */
export function generator (seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * limit)
  }
}
