/** Repeats a task in the background, one run at a time. Its timer does not keep the process alive. */
export class Sweeper<T = void> {
  readonly #task: (stopped: () => boolean) => Promise<T>
  readonly #timer: NodeJS.Timeout | undefined
  #running: Promise<T> | undefined
  #stopped = false

  /**
   * @param interval milliseconds between two runs; with 0 the task runs only when `run` is called
   * @param onError receives the error of a run that the timer started
   */
  constructor (task: (stopped: () => boolean) => Promise<T>, interval: number, onError: (error: unknown) => void) {
    this.#task = task
    if (interval > 0) this.#timer = setInterval(() => { if (!this.#running) this.run().catch(onError) }, interval).unref()
  }

  /** Runs the task now, or returns the current run. */
  run (): Promise<T> {
    return this.#running ??= this.#task(() => this.#stopped).finally(() => { this.#running = undefined })
  }

  /** Stops the current run early, and resolves when it has ended. Its outcome is ignored. */
  async stop (): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#running?.catch(() => {})
  }
}
