import { readdirSync, readFileSync, rmSync, statSync, utimes, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SessionError } from '../../errors.js'
import { isRunning, parseHolder, self } from './holder.js'

/** A holder in another container cannot be looked up: it touches its lock to show that it is alive, in milliseconds. */
const HEARTBEAT = 5000
const SILENCE = 20_000

const lockFile = /^lock\.(\d+)$/

/**
 * Takes a directory for this process. The lock of a process that has died is taken over by a file with the next
 * number, which is created exclusively: of several processes that try at once no two succeed.
 *
 * @param onTrouble told when the sign of life could not be given, because somebody removed the lock for example.
 * @returns what gives the directory back.
 * @throws FST_SESSION_OPTIONS when another holder is alive, or may be.
 */
export function lockDirectory (directory: string, onTrouble: (error: Error) => void): () => void {
  refuseIfHeld(directory)
  const name = `lock.${1 + Math.max(0, ...locksIn(directory).map((lock) => Number(lockFile.exec(lock)?.[1])))}`
  const path = join(directory, name)
  try {
    writeFileSync(path, JSON.stringify(self()), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    // A disk that is full or read-only by now; tests may run as root, who may write anywhere.
    /* c8 ignore next */
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? refusal(directory, 'another process') : error
  }
  const release = (): void => rmSync(path, { force: true })
  try {
    // Somebody may have come and gone, and somebody else come, between the look and the lock.
    refuseIfHeld(directory, name)
  } catch (error) {
    release()
    throw error
  }
  for (const other of locksIn(directory)) if (other !== name) rmSync(join(directory, other), { force: true })
  const beat = setInterval(() => {
    utimes(path, new Date(), new Date(), (error) => { if (error) onTrouble(error) })
  }, HEARTBEAT).unref()
  return () => {
    clearInterval(beat)
    release()
  }
}

const locksIn = (directory: string): string[] => readdirSync(directory).filter((name) => lockFile.test(name))

function refuseIfHeld (directory: string, own?: string): void {
  for (const lock of locksIn(directory)) {
    const holder = lock === own ? undefined : liveHolder(join(directory, lock))
    if (holder !== undefined) throw refusal(directory, holder)
  }
}

function refusal (directory: string, holder: string): SessionError {
  return new SessionError('FST_SESSION_OPTIONS', `FileStore: ${holder} has the directory "${directory}" open; give each FileStore ` +
    'a directory of its own, or use a store that is made for several processes, such as RedisStore or SqlStore')
}

/** Names the holder of the lock, unless it is known to be dead. */
function liveHolder (path: string): string | undefined {
  try {
    const holder = parseHolder(readFileSync(path, 'utf8'))
    const running = holder && isRunning(holder)
    const live = running ?? Date.now() - statSync(path).mtimeMs < SILENCE
    if (!live) return undefined
    if (holder === undefined) return 'another process'
    return running && holder.pid === process.pid ? 'this process' : `process ${holder.pid}`
  } catch (error) {
    // Given back just now.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
