import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { access, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { invalidOptions, type SessionError } from '../../errors.js'
import { identity, parseHolder } from './holder.js'

/** Milliseconds between two heartbeats of a holder. */
const HEARTBEAT = 1000
/** Milliseconds without a heartbeat after which another process takes over. */
const SILENCE = 5000
/** Milliseconds between two checks for a heartbeat of another process. */
const PAUSE = 100

const isLock = /^lock\.\d+$/
/** Also matches a lock whose removal was interrupted. */
const isLockOrRemnant = /^lock\.(\d+|old-[\w-]+)$/

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

/**
 * Gives this process exclusive use of a directory. All changes go through the staging folder inside the lock: files are
 * written there and renamed into place, and removed by renaming them into it. The name of a staging folder is never reused.
 * A process that takes over the lock renames it first. Then the path of the old staging folder no longer exists, so a
 * process that was paused in the middle of a change cannot complete it.
 */
export class DirectoryLock {
  /** The path of the staging folder. */
  readonly staging: string
  /** The error of all calls after another process took over the directory. */
  lost: Error | undefined
  readonly #directory: string
  readonly #onError: (error: unknown) => void
  readonly #timer: NodeJS.Timeout
  #beating = false

  /**
   * Locks the directory. Two processes never hold it at the same time.
   *
   * @param onError receives errors of the heartbeat, and `lost`
   * @throws `FST_SESSION_OPTIONS` if another holder is, or may be, running
   */
  constructor (directory: string, onError: (error: unknown) => void) {
    this.#directory = directory
    this.#onError = onError
    const silent: SilentHolders = new Map()
    refuseIfHeld(directory, silent)
    const name = `lock.${1 + Math.max(0, ...locksIn(directory).map((lock) => Number(lock.slice(5))))}`
    this.staging = join(directory, name, randomUUID())
    try {
      // Only one process can create a directory of this name.
      mkdirSync(join(directory, name), 0o700)
      mkdirSync(this.staging, 0o700)
      writeFileSync(join(this.staging, 'holder'), identity(), { mode: 0o600 })
      // Another process may have locked the directory since the first check. Each creates its lock before it checks again.
      refuseIfHeld(directory, silent, this.staging)
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') this.#unlock()
      // ENOENT: another process took the directory and removed this lock.
      throw ['EEXIST', 'ENOENT'].includes(codeOf(error) ?? '') ? refusal(directory, 'another process') : error
    }
    for (const other of readdirSync(directory)) if (isLockOrRemnant.test(other) && other !== name) removeLock(directory, other)
    this.#timer = setInterval(() => { void this.#beat() }, HEARTBEAT).unref()
  }

  release (): void {
    clearInterval(this.#timer)
    this.#unlock()
  }

  /** @throws `lost` if this process no longer holds the directory */
  async verify (): Promise<void> {
    try {
      await access(this.staging)
    } catch (error) {
      throw await this.explain(error)
    }
  }

  /** Returns `lost` if the directory exists and the lock does not. Otherwise returns the given error of the file system. */
  async explain (error: unknown): Promise<unknown> {
    if (codeOf(error) !== 'ENOENT') return error
    if (await exists(this.staging) || !await exists(this.#directory)) return error
    if (this.lost === undefined) {
      clearInterval(this.#timer)
      this.lost = new Error(`FileStore: another process took over the directory "${this.#directory}", because this one was paused or blocked for ` +
        `more than ${SILENCE / 1000} seconds. This process no longer reads or writes sessions. Restart the app`)
      this.#onError(this.lost)
    }
    return this.lost
  }

  async #beat (): Promise<void> {
    // Skips this heartbeat if the disk has not finished the last one.
    if (this.#beating) return
    this.#beating = true
    try {
      await utimes(join(this.staging, 'holder'), new Date(), new Date())
    } catch (error) {
      const cause = await this.explain(error)
      if (cause !== this.lost) this.#onError(cause)
    } finally {
      this.#beating = false
    }
  }

  #unlock (): void {
    rmSync(this.staging, { recursive: true, force: true })
    try {
      // Removes only an empty lock, because another process may now have a lock of this name.
      rmdirSync(dirname(this.staging))
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

/** Removes the lock of another process. Renames it first, so that a holder that is still running loses it at once. */
function removeLock (directory: string, name: string): void {
  const old = join(directory, `lock.old-${randomUUID()}`)
  try {
    renameSync(join(directory, name), old)
  } catch (error) {
    // Its holder has removed it.
    if (codeOf(error) !== 'ENOENT') throw error
  }
  rmSync(old, { recursive: true, force: true })
}

/** The times of the last heartbeats, by file, of holders that sent no heartbeat within the waiting time. */
type SilentHolders = Map<string, number>

/** @throws if another process holds the directory. `staging` is the staging folder of this process, once it has a lock. */
function refuseIfHeld (directory: string, silent: SilentHolders, staging?: string): void {
  for (const name of locksIn(directory)) {
    const lock = join(directory, name)
    const holder = staging !== undefined && lock === dirname(staging) ? undefined : liveHolder(lock, silent, staging)
    if (holder !== undefined) throw refusal(directory, holder)
  }
}

function refusal (directory: string, holder: string): SessionError {
  return invalidOptions(`FileStore: ${holder} has the directory "${directory}" open. Give each FileStore its own directory, or use a store for ` +
    'several processes, such as RedisStore or SqlStore. The lock of a process that has ended on this machine is taken over at once; ' +
    `the lock of a process in another container or on another machine, after ${SILENCE / 1000} seconds without a heartbeat`)
}

/** Returns a description of the holder of a lock, or `undefined` if the holder has ended. */
function liveHolder (lock: string, silent: SilentHolders, ownStaging?: string): string | undefined {
  try {
    const [staging = ''] = readdirSync(lock)
    const path = join(lock, staging, 'holder')
    const { pid, isRunning, sharesClock } = parseHolder(readFileSync(path, 'utf8'))
    if (!(isRunning ?? sendsHeartbeat(path, silent, sharesClock, ownStaging))) return undefined
    if (pid === undefined) return 'another process'
    if (!isRunning) return `process ${pid} of another container or machine`
    return pid === process.pid ? 'this process' : `process ${pid}`
  } catch (error) {
    // The lock has just been removed, or is not a lock.
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
    throw error
  }
}

/**
 * Waits for a heartbeat of a holder whose pid cannot be checked from here. Returns false if there is none. Blocks the process,
 * because a constructor cannot wait in another way. That stops the heartbeat timer too, so sends this process's own
 * heartbeats here, in case the other process is waiting for them.
 */
function sendsHeartbeat (path: string, silent: SilentHolders, sharesClock: boolean, ownStaging?: string): boolean {
  const { mtimeMs } = statSync(path)
  if (silent.get(path) === mtimeMs) return false
  for (let waited = 0; waited < SILENCE; waited += PAUSE) {
    // The clock of another machine may differ, so that the age of its heartbeat says nothing.
    if (sharesClock && Date.now() - mtimeMs >= SILENCE) return false
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
    // Only a running process removes the lock of another one.
    if (ownStaging !== undefined && !beatOnce(ownStaging)) return true
    if (statSync(path).mtimeMs !== mtimeMs) return true
  }
  silent.set(path, mtimeMs)
  return false
}

/** Sends a heartbeat of this process. Returns false if its lock was removed. */
function beatOnce (staging: string): boolean {
  try {
    utimesSync(join(staging, 'holder'), new Date(), new Date())
    return true
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return false
  }
}
