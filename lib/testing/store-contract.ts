import { createClock, type Clock } from './clock.js'
import { type Bench, createBench, type MakeStore, NotApplicable } from './contract/bench.js'
import { cases } from './contract/cases.js'
import { walks } from './contract/walks.js'

/** A test of one rule of `SessionStore`, for any test runner. */
export interface StoreCase {
  /** The rule, as a sentence. */
  readonly name: string
  /**
   * Tests a store. Rejects with an `AssertionError` of `node:assert` if the store breaks the rule. Returns `'not applicable'` if
   * the case needs a feature that the store or `makeStore` lacks: a number from `create`, lists (see `SessionStore.lists`),
   * `clear` or `damage`.
   */
  readonly run: (makeStore: MakeStore, clock?: Clock) => Promise<'passed' | 'not applicable'>
}

/**
 * The contract of `SessionStore`, as a list of test cases. Each case makes a store, tests one rule and closes the store. One case
 * deletes all sessions, so do not pass a store that is in use. `docs/write-a-store.md` shows how to run the cases.
 *
 * ```js
 * for (const { name, run } of storeContract) test(name, async () => { await run((clock) => new MyStore({ now: clock.now })) })
 * ```
 */
export const storeContract: readonly StoreCase[] = Object.freeze(
  Object.entries<(bench: Bench) => Promise<void>>({ ...walks, ...cases }).map(([name, check]): StoreCase => Object.freeze({
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
  }))
)
