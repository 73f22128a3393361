/** @import { Scheme, SessionState } from './types.js' */

/** The state of each session scheme of a document, for all who draw it. */
export class States {
  /** @type {Map<string, SessionState>} */
  #states = new Map()
  /** @type {Set<() => void>} */
  #listeners = new Set()

  get names () {
    return [...this.#states.keys()]
  }

  get states () {
    return [...this.#states.values()]
  }

  /** @param {string} name */
  get = (name) => this.#states.get(name)

  /**
   * @param {() => void} listener
   * @returns {() => void} Ends the subscription.
   */
  subscribe = (listener) => {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  /** Starts over, with nothing known. @param {readonly Scheme[]} schemes */
  reset (schemes) {
    this.#states = new Map(schemes.map((scheme) => [scheme.name, { scheme, phase: 'unknown', failures: 0, ended: false, busy: false }]))
    this.#notify()
  }

  /**
   * Changes a state: signed in.
   * @param {string} name
   * @param {unknown} [answer] Of the status operation.
   */
  enter (name, answer) {
    this.set(name, { phase: 'in', answer, doubt: undefined, error: undefined, ended: false })
  }

  /** Changes a state: signed out. @param {string} name */
  leave (name) {
    const state = this.get(name)
    // The error of a failed attempt stays readable when the page is looked at again.
    const ended = state?.phase === 'in' ? !state.busy : state?.ended === true
    const error = state?.phase === 'in' ? undefined : state?.error
    this.set(name, { phase: 'out', answer: undefined, doubt: undefined, error, ended })
  }

  /**
   * Reports that signing in or out failed.
   * @param {string} name
   * @param {string} error
   */
  fail (name, error) {
    this.set(name, { error, failures: (this.get(name)?.failures ?? 0) + 1, ended: false })
  }

  /**
   * @param {string} name
   * @param {{ [K in keyof SessionState]?: SessionState[K] | undefined }} change
   */
  set (name, change) {
    const state = this.#states.get(name)
    if (state === undefined) return
    this.#states.set(name, /** @type {SessionState} */ ({ ...state, ...change }))
    this.#notify()
  }

  #notify () {
    for (const listener of this.#listeners) listener()
  }
}
