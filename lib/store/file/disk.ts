import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DirectoryLock } from './lock.js'

/** The largest number of files open at once, far below the usual limit of a process. */
const MAX_OPEN = 64

/**
 * Reads and writes the files of one directory. A crash or a power cut leaves either the old or the new content of a file.
 * For that, a file is written to the staging folder of the lock, flushed and renamed into place, and then the directory is
 * flushed (POSIX rename, fsync).
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
    this.#directory = dirname(dirname(lock.staging))
  }

  /** Returns the content of a file, or `undefined` if it does not exist. Invalid UTF-8 becomes U+FFFD. */
  async read (name: string): Promise<string | undefined> {
    return await this.#limited(async () => await readFile(join(this.#directory, name), 'utf8').catch(ignoreMissing))
  }

  /** Writes a file. Resolves when the change survives a power cut. */
  async write (name: string, text: string): Promise<void> {
    await this.#withStaged(async (path) => {
      await writeFile(path, text, { flag: 'wx', mode: 0o600, flush: true })
      await rename(path, join(this.#directory, name))
    })
    await this.flush()
  }

  /** Removes a file. Call `flush` to make the removal survive a power cut. */
  async remove (name: string): Promise<void> {
    await this.#withStaged(async (path) => {
      try {
        await rename(join(this.#directory, name), path)
      } catch (error) {
        ignoreMissing(error)
        await this.#lock.verify()
      }
      await rm(path, { force: true })
    })
  }

  /** Makes earlier writes and removals survive a power cut. Calls during a flush share the next one. */
  async flush (): Promise<void> {
    this.#flushNext ??= this.#flushing.then(async () => {
      this.#flushNext = undefined
      const flushed = this.#limited(() => flushDirectory(this.#directory))
      this.#flushing = flushed.catch(() => {})
      await flushed
    })
    await this.#flushNext
  }

  /** Runs a task with the path of an unused file in the staging folder. Removes the file if the task fails. */
  async #withStaged (task: (path: string) => Promise<void>): Promise<void> {
    await this.#limited(async () => {
      const path = join(this.#lock.staging, `${++this.#count}`)
      try {
        await task(path)
      } catch (error) {
        await rm(path, { force: true }).catch(() => {})
        throw await this.#lock.explain(error)
      }
    })
  }

  /** Runs a task when fewer than `MAX_OPEN` others are running. */
  async #limited<T> (task: () => Promise<T>): Promise<T> {
    if (this.#open >= MAX_OPEN) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#open++
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#open--
      else next()
    }
  }
}

/** Ignores the error of a file that does not exist. @throws any other error */
function ignoreMissing (error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}

async function flushDirectory (directory: string): Promise<void> {
  // Windows cannot open directories; its journal keeps the names. The tests do not run there.
  /* c8 ignore next */
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
