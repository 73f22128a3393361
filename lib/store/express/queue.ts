/** Runs the tasks of one key one after the other, in the order they came; tasks of different keys do not wait for each other. */
export class KeyedQueue {
  readonly #last = new Map<string, Promise<unknown>>()

  /** How many keys have tasks that are not over; what has come to rest takes no memory. */
  get size (): number {
    return this.#last.size
  }

  /** Settles as the task does. */
  run<T> (key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const result = before === undefined ? task() : before.then(task)
    const settled = result.then(() => {}, () => {}).then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key)
    })
    this.#last.set(key, settled)
    return result
  }
}
