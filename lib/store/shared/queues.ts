/** Runs the tasks of each key one at a time, in the order of the calls. Different keys do not wait for each other. */
export class Queues {
  readonly #tails = new Map<string, Promise<void>>()

  /** The number of keys with unfinished tasks. Other keys take up no memory. */
  get size (): number {
    return this.#tails.size
  }

  /** Runs a task when its turn comes. Settles as the task does. */
  async run<T> (key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key)
    const result = before === undefined ? task() : before.then(task)
    const tail = result.then(() => {}, () => {})
    this.#tails.set(key, tail)
    try {
      return await result
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }
}
