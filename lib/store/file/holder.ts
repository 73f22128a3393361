import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/**
 * Returns a text that tells this process from any other one that has or had its pid, here or on another machine: the pid,
 * when the process started in the system's own terms, and where it runs. A pid is given out again; a pid with its start is not.
 */
export const self = (): string => [process.pid, startOf(process.pid), here()].join(' ')

/** A process that holds a directory, as its text names it. */
export interface Holder {
  readonly pid: number | undefined
  /** Undefined for a process in another container or on another machine. */
  readonly isRunning: boolean | undefined
  /** True if it is on this machine, and the machine was not started again in between. */
  readonly sharesClock: boolean
}

/** Reads a text that `self` wrote. Any other text has no pid. */
export function parseHolder (text: string): Holder {
  const [pid = '', start, ...place] = text.split(' ')
  if (place.length === 0) return { pid: undefined, isRunning: undefined, sharesClock: false }
  const isHere = place.join(' ') === here()
  return {
    pid: Number(pid) || undefined,
    isRunning: isHere ? startOf(Number(pid)) === start : undefined,
    sharesClock: place[0] === here().split(' ')[0]
  }
}

/**
 * Returns where this process runs. No two pid namespaces have one number at the same time. So a container that was
 * started again, often with the number and the pid of its predecessor, knows that the predecessor is dead.
 */
function here (): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`
    // Systems without the /proc of Linux. The tests do not run there.
    /* c8 ignore start */
  } catch {
    return hostname()
  }
  /* c8 ignore stop */
}

/** Returns `undefined` for a process that does not run. On a system without /proc the pid alone has to do. */
function startOf (pid: number): string | undefined {
  try {
    // proc_pid_stat(5): the name in parentheses may hold anything; the state is field 3 and the start time field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    // Only other systems have running processes without an entry in /proc.
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
