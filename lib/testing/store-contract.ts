import { createClock, type Clock } from './clock.js'
import { type Bench, createBench, type MakeStore, NotApplicable } from './contract/bench.js'
import { lists } from './contract/lists.js'
import { races } from './contract/races.js'
import { records } from './contract/records.js'
import { texts } from './contract/texts.js'
import { walks } from './contract/walks.js'

export type { MakeStore, StoreUnderTest } from './contract/bench.js'

/** One promise of `SessionStore`, as a test for any runner. */
export interface StoreCase {
  /** The promise, as a sentence. */
  readonly name: string
  /**
   * Rejects with an `AssertionError` of `node:assert` if the store breaks the promise. Resolves `'not applicable'` if the
   * case needs what the store or `makeStore` does not have: a number from `create`, lists (see `SessionStore.lists`), `clear` or
   * `damage`.
   */
  readonly run: (makeStore: MakeStore, clock?: Clock) => Promise<'passed' | 'not applicable'>
}

/**
 * The contract of `SessionStore` as data, for any test runner. Each case makes a store, checks one promise and closes the
 * store. One of them clears it: give it no store that is in use. `docs/write-a-store.md` shows how to run it.
 *
 * ```js
 * for (const { name, run } of storeContract) test(name, async () => { await run((clock) => new MyStore({ now: clock.now })) })
 * ```
 */
export const storeContract: readonly StoreCase[] = Object.freeze(
  Object.entries<Check>({ ...walks, ...records, ...texts, ...lists, ...races }).map(toCase)
)

type Check = (bench: Bench) => Promise<void>

function toCase ([name, check]: [string, Check]): StoreCase {
  return Object.freeze({
    name,
    async run (makeStore: MakeStore, clock: Clock = createClock()) {
      const made = await makeStore(clock)
      const bench = createBench('create' in made ? { store: made } : made, clock)
      try {
        await check(bench)
        return 'passed'
      } catch (error) {
        if (error instanceof NotApplicable) return 'not applicable'
        throw error
      } finally {
        await bench.store.close?.()
      }
    }
  })
}
