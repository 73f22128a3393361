/** Runs a task over and over in the background, one run at a time, by a timer that keeps no process alive. */
export class Sweeper<T = void> {
  readonly #task: (stopped: () => boolean) => Promise<T>
  readonly #timer: NodeJS.Timeout | undefined
  #running: Promise<T> | undefined
  #stopped = false

  /**
   * @param interval milliseconds between two runs; 0: only when `run` is called
   * @param failed takes the error of a run that the timer started
   */
  constructor (task: (stopped: () => boolean) => Promise<T>, interval: number, failed: (error: unknown) => void) {
    this.#task = task
    if (interval > 0) this.#timer = setInterval(() => { if (!this.#running) this.run().catch(failed) }, interval).unref()
  }

  /** Runs the task now, or joins the run that is under way. */
  run (): Promise<T> {
    this.#running ??= this.#task(() => this.#stopped).finally(() => { this.#running = undefined })
    return this.#running
  }

  /** Resolves when the last run has ended. A run that is under way stops early, and its outcome is dropped. */
  async stop (): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#running?.catch(() => {})
  }
}
