/** Runs work on one key one after the other, in the order of the calls. Different keys do not wait for each other. */
export class Queues {
  readonly #tails = new Map<string, Promise<void>>()

  /** How many keys have unfinished work. Other keys take up no memory. */
  get size (): number {
    return this.#tails.size
  }

  /** Resolves or rejects as the work does. */
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
}
