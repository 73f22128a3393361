import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { type FileHandle, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { invalidOptions, type SessionError } from '../../errors.js'
import { holderLine, holderOf, SILENCE } from './holder.js'

/** Milliseconds after a sign of life during which no other process can have taken over. */
const LEASE = SILENCE - 1000

/** True if this process could not create or open a file, so that a file with the path is not its own. */
function isForeign (path: string, error: unknown): boolean {
  const { syscall, path: failed } = error as NodeJS.ErrnoException
  return syscall === 'open' && failed === path
}

/** Returns the numbers of the journals among the names in a directory, in ascending order. */
function numbersIn (names: readonly string[]): number[] {
  return names.flatMap((name) => /^sessions\.([1-9]\d{0,14})\.log$/.exec(name)?.[1] ?? []).map(Number).sort((one, other) => one - other)
}

/**
 * The journals of a directory that one process holds at a time: `sessions.1.log` and so on.
 *
 * The newest journal is also the lock. Its first line names the process that holds the directory, and its mtime is the last sign
 * of life of that process. Only one process can create the next journal, and by that it takes the directory. A process whose
 * journal is not the newest has lost the directory. It finds out before it acknowledges a change, and the new holder reads the
 * older journals after it has created its own. So the new holder has all changes that were acknowledged.
 */
export class JournalDirectory {
  /** Numbers of the journals before the newest, in ascending order. */
  older: number[]
  /** The length of the newest journal, up to the last acknowledged line. */
  size: number
  /** The error of all calls after another process took over the directory. */
  lost: Error | undefined
  readonly #path: string
  readonly #holder = holderLine()
  #number: number
  /** The newest journal, once it is in use. */
  #file: FileHandle | undefined
  /** True if the newest journal may have a part of a line after `size`. */
  #isTorn = false
  /** When this process last knew that it holds the directory, by `Date.now`. */
  #heldAt = Date.now()

  /**
   * Takes the directory.
   *
   * @param load reads the journals at these paths, the oldest first
   * @throws `FST_SESSION_OPTIONS` if another holder is, or may be, running
   */
  constructor (path: string, load: (paths: string[]) => void) {
    this.#path = resolve(path)
    mkdirSync(this.#path, { recursive: true, mode: 0o700 })
    const newest = numbersIn(readdirSync(this.#path)).at(-1)
    const holder = newest && holderOf(this.#pathOf(newest))
    if (holder) throw this.#refusal(holder)
    // If all files of a running process were removed, the files of the next one have other numbers.
    this.#number = (newest ?? Date.now()) + 1
    this.size = this.#holder.length
    const journal = this.#pathOf(this.#number)
    try {
      writeFileSync(journal, this.#holder, { flag: 'wx', mode: 0o600 })
      this.older = numbersIn(readdirSync(this.#path))
      // A process that has created several journals since the check has removed the one before this number.
      if (this.older.pop() !== this.#number) throw this.#refusal('another process')
      load(this.older.map((number) => this.#pathOf(number)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw this.#refusal('another process')
      if (!isForeign(journal, error)) rmSync(journal, { force: true })
      throw error
    }
  }

  /** True if no other process can have taken over the directory. */
  get isHeld (): boolean { return this.lost === undefined && Math.abs(Date.now() - this.#heldAt) < LEASE }

  /**
   * Appends a line to the newest journal. With an empty text, only shows a sign of life. Resolves when the line is on the disk
   * and no other process has taken over the directory. After an error, the next line takes the place of this one.
   */
  async append (line: string): Promise<void> {
    const now = Date.now()
    const file = await this.#open()
    // A process that has taken over may have read that part, and must not lose it.
    if (this.#isTorn) await this.#verify().then(() => file.truncate(this.size))
    this.#isTorn = true
    const bytes = Buffer.from(line)
    for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at, bytes.length - at, this.size + at)).bytesWritten
    await (line === '' ? file.utimes(now / 1000, now / 1000) : file.datasync())
    await this.#verify()
    this.#isTorn = false
    this.size += bytes.length
    this.#heldAt = now
  }

  /** Creates the next journal. The older ones stay until `removeOlder` is called. */
  async rollOver (): Promise<void> {
    const path = this.#pathOf(this.#number + 1)
    try {
      await writeFile(path, this.#holder, { flag: 'wx', mode: 0o600 })
    } catch (error) {
      if (!isForeign(path, error)) await rm(path, { force: true })
      throw error
    }
    const file = this.#file
    this.older.push(this.#number++)
    this.size = this.#holder.length
    this.#isTorn = false
    this.#file = undefined
    await file?.close()
  }

  /** Removes the older journals, the oldest first: a journal may have the end of a session that is in an older one. */
  async removeOlder (): Promise<void> {
    for (; this.older.length > 0; this.older.shift()) {
      await rm(this.#pathOf(this.older[0]!), { force: true })
      await this.#flush()
    }
  }

  /** Releases the directory. If its disk is out of order, the next process finds out that this one has ended. */
  async close (): Promise<void> {
    await this.#open().then((file) => file.write('free', 0)).catch(() => {})
    await this.#file?.close().catch(() => {})
  }

  #pathOf (number: number): string { return join(this.#path, `sessions.${number}.log`) }

  async #open (): Promise<FileHandle> {
    if (this.#file !== undefined) return this.#file
    await this.#flush()
    await this.#verify()
    return this.#file = await open(this.#pathOf(this.#number), 'r+')
  }

  /** Makes the names of created journals, and the removal of others, survive a power cut. */
  async #flush (): Promise<void> {
    // Windows cannot open directories; its journal keeps the names. The tests do not run there.
    if (process.platform === 'win32') return
    const directory = await open(this.#path, 'r')
    await directory.sync().finally(() => directory.close())
  }

  /** @throws `lost` if the newest journal is not the one of this process */
  async #verify (): Promise<void> {
    if (numbersIn(await readdir(this.#path)).at(-1) === this.#number) return
    throw this.lost ??= new Error(`FileStore: another process took over the directory "${this.#path}", because this one was paused or blocked for ` +
      `more than ${SILENCE / 1000} seconds; or the files were removed. This process no longer reads or writes sessions. Restart the app`)
  }

  #refusal (holder: string): SessionError {
    return invalidOptions(`FileStore: ${holder} has the directory "${this.#path}" open. Give each FileStore its own directory, or use a store for ` +
      'several processes, such as RedisStore or SqlStore. The directory of a process that has ended on this machine is taken over at once; ' +
      `the directory of a process in another container or on another machine, after ${SILENCE / 1000} seconds without a sign of life`)
  }
}
