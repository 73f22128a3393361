import { createClock, type Clock } from './clock.js'
import { setUp, type Bench, type MakeStore } from './contract/bench.js'
import { expiry } from './contract/expiry.js'
import { payloads } from './contract/payloads.js'
import { principals } from './contract/principals.js'
import { races } from './contract/races.js'
import { records } from './contract/records.js'

export type { MakeStore, StoreUnderTest } from './contract/bench.js'

/** One thing that a `SessionStore` promises, as a test of any runner. */
export interface StoreCase {
  /** The promise, as a sentence. */
  readonly name: string
  /**
   * Rejects with an `AssertionError` of `node:assert` when the store breaks the promise. Resolves `'not applicable'`
   * when the case needs something that `makeStore` did not give, such as `damage`.
   */
  readonly run: (makeStore: MakeStore, clock?: Clock) => Promise<'passed' | 'not applicable'>
}

/** What a case of the suite does on the bench; `false`: it could not be tried. */
export type Trial = (bench: Bench) => Promise<void | false>

/**
 * The contract of `SessionStore` as data, for any test runner: each case makes a store, tries one promise of it and
 * closes it. `docs/write-a-store.md` shows it at work.
 *
 * ```js
 * for (const { name, run } of storeContract) test(name, async () => { await run((clock) => new MyStore({ now: clock.now })) })
 * ```
 */
export const storeContract: readonly StoreCase[] = Object.freeze(
  Object.entries({ ...records, ...expiry, ...payloads, ...principals, ...races }).map(([name, trial]) => toCase(name, trial))
)

function toCase (name: string, trial: Trial): StoreCase {
  return Object.freeze({
    name,
    async run (makeStore: MakeStore, clock: Clock = createClock()) {
      const bench = await setUp(makeStore, clock)
      try {
        return await trial(bench) === false ? 'not applicable' : 'passed'
      } finally {
        await bench.close()
      }
    }
  })
}
