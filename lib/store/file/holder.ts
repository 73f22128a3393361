import { readFileSync, readlinkSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { attempt } from '../../attempt.js'
import { firstLine } from './lines.js'

/** Milliseconds without a sign of life after which another process takes over. */
export const SILENCE = 5000
/** Milliseconds between two checks for a sign of life. */
const PAUSE = 100

/** Returns the first line of a journal: `held` or `free`, the pid, its start time (pids are used again) and its location. */
export const holderLine = (): string => ['held', process.pid, startTimeOf(process.pid), location()].join(' ') + '\n'

/**
 * Returns a description of the process that holds a journal, or `undefined` if that has ended or has released the journal. If its
 * pid cannot be checked from here, blocks this process until the other one shows a sign of life, up to 5 seconds.
 */
export function holderOf (path: string): string | undefined {
  const [state, pid, start, ...place] = firstLine(path).split(' ')
  if (state === 'free') return undefined
  const here = location()
  if (place.join(' ') === here) {
    const found = startTimeOf(Number(pid))
    if (found === undefined || (found !== start && found !== '' && start !== '')) return undefined
    return Number(pid) === process.pid ? 'this process' : `process ${pid}`
  }
  if (!showsLife(path, place[0] === here.split(' ')[0])) return undefined
  return place.length > 0 && Number(pid) > 0 ? `process ${pid} of another container or machine` : 'another process'
}

/** Waits for a sign of life, because a constructor cannot wait in another way. Returns false if there is none. */
function showsLife (path: string, sharesClock: boolean): boolean {
  const { mtimeMs } = statSync(path)
  for (let waited = 0; waited < SILENCE; waited += PAUSE) {
    // The clock of another machine may differ, so that the age of its last sign of life says nothing.
    if (sharesClock && Date.now() - mtimeMs >= SILENCE) return false
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
    // Only a running process removes its file.
    if (statSync(path, { throwIfNoEntry: false })?.mtimeMs !== mtimeMs) return true
  }
  return false
}

/**
 * Returns the boot id of the machine and the number of the pid namespace, or the host name. No two pid namespaces have the
 * same number at the same time. So a restarted container, which often has the number and the pid of its predecessor, knows
 * that the predecessor has ended.
 */
function location (): string {
  const inside = attempt(() => `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`)
  // Systems other than Linux have no such /proc. The tests do not run there.
  return inside ?? hostname()
}

/** Returns when a process started, or `undefined` if it is not running. Returns an empty text if that is unknown. */
function startTimeOf (pid: number): string | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  // A process runs without this file only on systems without /proc.
  if (stat === undefined) return answersSignals(pid) ? '' : undefined
  // proc_pid_stat(5): the name in parentheses may hold anything; the state is field 3 and the start time field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? undefined : fields[19]
}

function answersSignals (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
