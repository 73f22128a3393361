import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DirectoryLock } from './lock.js'

/** How many files are open at once, whatever the load: far below the usual limit of a process. */
const MOST_OPEN = 64

/**
 * The files of one directory, written so that a crash or a power cut leaves the old content or the new, never a part of
 * it: to a file on the desk of the lock, flushed, renamed into place, and the directory flushed (POSIX rename, fsync).
 */
export class Disk {
  readonly #lock: DirectoryLock
  readonly #directory: string
  readonly #waiting: Array<() => void> = []
  #open = 0
  #count = 0
  #flushNext: Promise<void> | undefined
  #flushing: Promise<unknown> = Promise.resolve()

  constructor (lock: DirectoryLock) {
    this.#lock = lock
    this.#directory = dirname(dirname(lock.desk))
  }

  /** Returns the content; `undefined` if there is no such file. Bytes that are not UTF-8 come as U+FFFD. */
  async read (name: string): Promise<string | undefined> {
    return await this.#oneOfFew(async () => await readFile(join(this.#directory, name), 'utf8').catch(absent))
  }

  /** Resolves when the file is safe from a power cut. */
  async write (name: string, text: string): Promise<void> {
    await this.#onDesk(async (path) => {
      await writeFile(path, text, { flag: 'wx', mode: 0o600, flush: true })
      await rename(path, join(this.#directory, name))
    })
    await this.flush()
  }

  /** Removes a file. Only `flush` makes that safe from a power cut. */
  async remove (name: string): Promise<void> {
    await this.#onDesk(async (path) => {
      try {
        await rename(join(this.#directory, name), path)
      } catch (error) {
        absent(error)
        await this.#lock.verify()
      }
      await rm(path, { force: true })
    })
  }

  /** Makes names that were written and removed before it last. Calls that come while one is under way share the next. */
  async flush (): Promise<void> {
    this.#flushNext ??= this.#flushing.then(async () => {
      this.#flushNext = undefined
      const flushed = this.#oneOfFew(() => flushDirectory(this.#directory))
      this.#flushing = flushed.catch(() => {})
      await flushed
    })
    await this.#flushNext
  }

  /** Does work with a file on the desk of the lock that no other work uses, and leaves nothing of it there. */
  async #onDesk (work: (path: string) => Promise<void>): Promise<void> {
    await this.#oneOfFew(async () => {
      const path = join(this.#lock.desk, `${++this.#count}`)
      try {
        await work(path)
      } catch (error) {
        await rm(path, { force: true }).catch(() => {})
        throw await this.#lock.explain(error)
      }
    })
  }

  async #oneOfFew<T> (work: () => Promise<T>): Promise<T> {
    if (this.#open >= MOST_OPEN) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#open++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#open--
      else next()
    }
  }
}

function absent (error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}

async function flushDirectory (directory: string): Promise<void> {
  // Windows opens no directory, and keeps names in its journal. The tests do not run there.
  /* c8 ignore next */
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
