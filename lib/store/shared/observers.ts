import type { StoreReport } from '../store.js'

export type Observer = (report: StoreReport) => void

/** How many reports are kept until the first observer comes. */
const MOST_KEPT = 1000

/** Those who receive a store's reports. The first one receives earlier reports as well. */
export class Observers {
  readonly #observers: Observer[] = []
  readonly #kept: StoreReport[] = []

  add (observer: Observer): void {
    this.#observers.push(observer)
    for (const report of this.#kept.splice(0)) observer(report)
  }

  tell (report: StoreReport): void {
    for (const observer of this.#observers) observer(report)
    if (this.#observers.length === 0 && this.#kept.length < MOST_KEPT) this.#kept.push(report)
  }
}
