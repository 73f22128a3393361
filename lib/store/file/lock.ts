import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { access, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { invalidOptions, type SessionError } from '../../errors.js'
import { parseHolder, self } from './holder.js'

/** How often a holder shows that it is alive, and how long it may be silent before another process takes over (milliseconds). */
const HEARTBEAT = 1000
const SILENCE = 5000
/** How often a process that waits for a silent holder checks it, in milliseconds. */
const PAUSE = 100

const isLock = /^lock\.\d+$/
/** Matches what a process that died while it removed a lock leaves behind, too. */
const isOfLocks = /^lock\.(\d+|old-[\w-]+)$/

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

/**
 * The right of this process to a directory. All changes go through `desk`, a folder inside the lock whose name is used
 * once: files are written there and renamed into place, and removed by renaming them into it. Whoever takes the lock over
 * renames it first. From then on the path of the old desk leads nowhere, so that a process that was paused in the middle
 * of a change cannot complete it.
 */
export class DirectoryLock {
  readonly desk: string
  /** The error of every call after another process took the directory over. */
  lost: Error | undefined
  readonly #directory: string
  readonly #onTrouble: (error: unknown) => void
  readonly #timer: NodeJS.Timeout
  #beating = false

  /**
   * Takes the directory. Of several processes that try at once no two succeed.
   *
   * @param onTrouble takes what prevented the heartbeat, and the loss of the lock
   * @throws FST_SESSION_OPTIONS if another holder is alive, or may be
   */
  constructor (directory: string, onTrouble: (error: unknown) => void) {
    this.#directory = directory
    this.#onTrouble = onTrouble
    const silent: SilentHolders = new Map()
    refuseIfHeld(directory, silent)
    const name = `lock.${1 + Math.max(0, ...locksIn(directory).map((lock) => Number(lock.slice(5))))}`
    this.desk = join(directory, name, randomUUID())
    try {
      // No directory takes the place of another: a name is taken once.
      mkdirSync(join(directory, name), 0o700)
      mkdirSync(this.desk, 0o700)
      writeFileSync(join(this.desk, 'holder'), self(), { mode: 0o600 })
      // Another process may have come since the first look: each one shows its own lock before it looks for others.
      refuseIfHeld(directory, silent, this.desk)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') this.#giveBack()
      // ENOENT: a process that took the directory in between has removed this lock.
      throw ['EEXIST', 'ENOENT'].includes(codeOf(error) ?? '') ? refusal(directory, 'another process') : error
    }
    for (const other of readdirSync(directory)) if (isOfLocks.test(other) && other !== name) discard(directory, other)
    this.#timer = setInterval(() => { void this.#beat() }, HEARTBEAT).unref()
  }

  release (): void {
    clearInterval(this.#timer)
    this.#giveBack()
  }

  /** @throws `lost` if the directory is not this process's any more */
  async verify (): Promise<void> {
    try {
      await access(this.desk)
    } catch (error) {
      throw await this.explain(error)
    }
  }

  /** Returns what to throw for an error of the file system: `lost` where the lock is gone and the directory is not. */
  async explain (error: unknown): Promise<unknown> {
    if (codeOf(error) !== 'ENOENT') return error
    if (await exists(this.desk) || !await exists(this.#directory)) return error
    if (this.lost === undefined) {
      clearInterval(this.#timer)
      this.lost = new Error(`FileStore: another process took over the directory "${this.#directory}" after this one had been silent for ` +
        `${SILENCE / 1000} seconds, paused or blocked; nothing is read or written here any more, restart the app`)
      this.#onTrouble(this.lost)
    }
    return this.lost
  }

  async #beat (): Promise<void> {
    // A disk that does not answer gets no second call.
    if (this.#beating) return
    this.#beating = true
    try {
      await utimes(join(this.desk, 'holder'), new Date(), new Date())
    } catch (error) {
      const cause = await this.explain(error)
      if (cause !== this.lost) this.#onTrouble(cause)
    } finally {
      this.#beating = false
    }
  }

  #giveBack (): void {
    rmSync(this.desk, { recursive: true, force: true })
    try {
      // Removes an empty lock only: one of the same name may be another process's by now.
      rmdirSync(dirname(this.desk))
    } catch {}
  }
}

async function exists (path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch {
    return false
  }
}

const locksIn = (directory: string): string[] => readdirSync(directory).filter((name) => isLock.test(name))

/** Renames before it removes, so that the lock of a holder that is not dead after all ends at one stroke. */
function discard (directory: string, name: string): void {
  const old = join(directory, `lock.old-${randomUUID()}`)
  try {
    renameSync(join(directory, name), old)
  } catch (error) {
    // Its owner has removed it in between.
    if (codeOf(error) !== 'ENOENT') throw error
  }
  rmSync(old, { recursive: true, force: true })
}

/** The last signs of life, by file, of holders that were waited for in vain. */
type SilentHolders = Map<string, number>

/** @param desk - that of this process, once it has a lock */
function refuseIfHeld (directory: string, silent: SilentHolders, desk?: string): void {
  for (const name of locksIn(directory)) {
    const lock = join(directory, name)
    const holder = desk !== undefined && lock === dirname(desk) ? undefined : liveHolder(lock, silent, desk)
    if (holder !== undefined) throw refusal(directory, holder)
  }
}

function refusal (directory: string, holder: string): SessionError {
  return invalidOptions(`FileStore: ${holder} has the directory "${directory}" open. Give each FileStore a directory of its own, or use a ` +
    'store that is made for several processes, such as RedisStore or SqlStore. Where the other process is known to be dead, its lock is ' +
    `taken over at once; in another container or on another machine, after ${SILENCE / 1000} seconds without a sign of life`)
}

/** Names the holder of the lock, unless it is dead. */
function liveHolder (lock: string, silent: SilentHolders, ownDesk?: string): string | undefined {
  try {
    const [desk = ''] = readdirSync(lock)
    const path = join(lock, desk, 'holder')
    const { pid, isRunning, sharesClock } = parseHolder(readFileSync(path, 'utf8'))
    if (!(isRunning ?? showsLife(path, silent, sharesClock, ownDesk))) return undefined
    if (pid === undefined) return 'another process'
    if (!isRunning) return `process ${pid} of another container or machine`
    return pid === process.pid ? 'this process' : `process ${pid}`
  } catch (error) {
    // Given back just now, or not a lock.
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
}

/**
 * Waits for the next heartbeat of a holder that cannot be looked up here. A constructor cannot wait but by blocking. If two
 * processes wait for each other, neither has a timer that beats. So each one beats here.
 */
function showsLife (path: string, silent: SilentHolders, sharesClock: boolean, ownDesk?: string): boolean {
  const { mtimeMs } = statSync(path)
  if (silent.get(path) === mtimeMs) return false
  for (let waited = 0; waited < SILENCE; waited += PAUSE) {
    // The clock of another machine may be behind.
    if (sharesClock && Date.now() - mtimeMs >= SILENCE) return false
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
    // Only a live process removes the lock of another one.
    if (ownDesk !== undefined && !beatOnce(ownDesk)) return true
    if (statSync(path).mtimeMs !== mtimeMs) return true
  }
  silent.set(path, mtimeMs)
  return false
}

/** Returns false if the lock is gone. */
function beatOnce (desk: string): boolean {
  try {
    utimesSync(join(desk, 'holder'), new Date(), new Date())
    return true
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return false
  }
}
