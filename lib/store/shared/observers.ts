import type { StoreReport } from '../store.js'

export type Observer = (report: StoreReport) => void

/** How many reports are kept for an observer who may never come. */
const MOST_KEPT = 1000

/** Those whom a store tells what has no call to answer. The first one hears as well what there was before. */
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
