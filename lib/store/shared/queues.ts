/** Work on one key runs one after the other, in the order of the calls; different keys do not wait for each other. */
export class Queues {
  readonly #tails = new Map<string, Promise<void>>()

  /** How many keys have work that is not over; what has come to rest takes no memory. */
  get size (): number {
    return this.#tails.size
  }

  /** Settles as the work does. */
  async run<T> (key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const result = before === undefined ? work() : before.then(work)
    const tail = result.then(() => {}, () => {})
    this.#tails.set(key, tail)
    try {
      return await result
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }

  /** Resolves when nothing is under way any more. */
  async idle (): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}
