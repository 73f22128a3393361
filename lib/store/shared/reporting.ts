import type { StoreReport } from '../store.js'

type Observer = (report: StoreReport) => void

/** How many reports are kept until the first observer comes. */
const MOST_KEPT = 1000

/** A store that reports. The first observer receives earlier reports as well. */
export abstract class ReportingStore {
  readonly #observers: Observer[] = []
  readonly #kept: StoreReport[] = []

  observe (observer: Observer): void {
    this.#observers.push(observer)
    for (const report of this.#kept.splice(0)) observer(report)
  }

  protected report (report: StoreReport): void {
    for (const observer of this.#observers) observer(report)
    if (this.#observers.length === 0 && this.#kept.length < MOST_KEPT) this.#kept.push(report)
  }
}
