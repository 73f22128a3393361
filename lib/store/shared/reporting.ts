import type { StoreReport } from '../store.js'

type Observer = (report: StoreReport) => void

/** How many reports are kept until the first observer is added. */
const MOST_KEPT = 1000

/** Sends a store's reports to its observers. The first observer also receives the reports made before it was added. */
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
