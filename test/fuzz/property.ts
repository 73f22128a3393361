import fc from 'fast-check'
import type { Test } from 'tap'
import { rounds } from '../security/rounds.js'

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)

/** Holds a property against `short` random inputs, or `long` ones in the long form; a failure shows the smallest input and the seed. */
export async function holds<T> (t: Test, property: fc.IAsyncProperty<T> | fc.IProperty<T>, short: number, long = short * 100): Promise<void> {
  const numRuns = rounds(short, long)
  const { failed, counterexample, errorInstance, seed } = await fc.check(property as fc.IAsyncProperty<T>, { numRuns, seed: SEED })
  t.notOk(failed, `${numRuns} inputs, SEED=${seed}${failed ? `: ${fc.stringify(counterexample)}: ${String(errorInstance)}` : ''}`)
}
