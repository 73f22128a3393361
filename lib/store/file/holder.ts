import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/**
 * Returns a text that identifies this process among all processes of all machines: its pid, its start time and its location.
 * The system reuses pids, but never the same pid with the same start time.
 */
export const identity = (): string => [process.pid, startTimeOf(process.pid), location()].join(' ')

/** The process that holds a directory. */
export interface Holder {
  readonly pid: number | undefined
  /** Undefined for a process in another container or on another machine. */
  readonly isRunning: boolean | undefined
  /** True for a process on this machine, if the machine has not been restarted since. */
  readonly sharesClock: boolean
}

/** Reads a text of `identity`. Any other text has no pid. */
export function parseHolder (text: string): Holder {
  const [pid = '', start, ...place] = text.split(' ')
  if (place.length === 0) return { pid: undefined, isRunning: undefined, sharesClock: false }
  const isLocal = place.join(' ') === location()
  return {
    pid: Number(pid) || undefined,
    isRunning: isLocal ? startTimeOf(Number(pid)) === start : undefined,
    sharesClock: place[0] === location().split(' ')[0]
  }
}

/**
 * Returns the boot id of the machine and the number of the pid namespace, or the host name. No two pid namespaces have the
 * same number at the same time. So a restarted container, which often has the number and the pid of its predecessor, knows
 * that the predecessor has ended.
 */
function location (): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`
    // Systems without the /proc of Linux. The tests do not run there.
    /* c8 ignore start */
  } catch {
    return hostname()
  }
  /* c8 ignore stop */
}

/** Returns when a process started, or `undefined` if it is not running. Returns an empty text on a system without /proc. */
function startTimeOf (pid: number): string | undefined {
  try {
    // proc_pid_stat(5): the name in parentheses may hold anything; the state is field 3 and the start time field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    // Reached for a running process only on systems without /proc.
    /* c8 ignore next */
    return answersSignals(pid) ? '' : undefined
  }
}

function answersSignals (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
