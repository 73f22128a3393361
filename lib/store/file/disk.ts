import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** How many files are open at once, whatever the load: far below the usual limit of a process. */
const MOST_OPEN = 64

/**
 * The files of one directory, written so that a crash or a power cut leaves the old content or the new, never a part
 * of it: to a file beside it, flushed, renamed into place, and the directory flushed (POSIX rename, fsync).
 */
export class Disk {
  readonly directory: string
  readonly #waiting: Array<() => void> = []
  #open = 0
  #count = 0
  #flushNext: Promise<void> | undefined
  #flushing: Promise<unknown> = Promise.resolve()

  constructor (directory: string) {
    this.directory = directory
  }

  /** `undefined` when there is no such file. Bytes that are no UTF-8 come as U+FFFD. */
  async read (name: string): Promise<string | undefined> {
    return await this.#oneOfFew(async () => {
      try {
        return await readFile(join(this.directory, name), 'utf8')
      } catch (error) {
        return absent(error)
      }
    })
  }

  /** Resolves when the file is safe from a power cut. */
  async write (name: string, text: string): Promise<void> {
    await this.#oneOfFew(async () => {
      const beside = join(this.directory, `${name}.${++this.#count}.new`)
      try {
        const file = await open(beside, 'w', 0o600)
        try {
          await file.writeFile(text)
          await file.sync()
        } finally {
          await file.close()
        }
        await rename(beside, join(this.directory, name))
      } catch (error) {
        await rm(beside, { force: true }).catch(() => {})
        throw error
      }
    })
    await this.flush()
  }

  /** Not yet safe from a power cut: `flush` sees to that. */
  async remove (name: string): Promise<void> {
    await this.#oneOfFew(() => rm(join(this.directory, name), { force: true }))
  }

  /** Makes names that were written and removed before it last. Calls that come while one is under way share the next. */
  async flush (): Promise<void> {
    this.#flushNext ??= this.#flushing.then(async () => {
      this.#flushNext = undefined
      const flushed = this.#oneOfFew(() => flushDirectory(this.directory))
      this.#flushing = flushed.catch(() => {})
      await flushed
    })
    await this.#flushNext
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

/** Whether a name is that of a file that was being written when a process died. */
export const isUnfinished = (name: string): boolean => name.endsWith('.new')

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
