import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** A process, told apart from any other one that has or had its pid, here or on another machine. */
export interface Holder {
  readonly pid: number
  /** The boot of the machine and the pid namespace. Only where both are the same does a pid mean the same process. */
  readonly place: string
  /** When the process started, in the system's own terms. A pid is given out again; a pid with its start is not. */
  readonly start: string
}

/** Returns this process. */
export const self = (): Holder => ({ pid: process.pid, place: here(), start: startOf(process.pid) as string })

/** Returns whether the holder is a running process; `undefined` for a holder in another container or on another machine. */
export function isRunning (holder: Holder): boolean | undefined {
  return holder.place === here() ? startOf(holder.pid) === holder.start : undefined
}

/** Returns the holder that `JSON.stringify` wrote; `undefined` if the text is not one. */
export function parseHolder (text: string): Holder | undefined {
  try {
    const { pid, place, start } = JSON.parse(text) as Record<string, unknown>
    return Number.isInteger(pid) && typeof place === 'string' && typeof start === 'string' ? { pid: pid as number, place, start } : undefined
  } catch {
    return undefined
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
