import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** A process, told apart from any other one that has or had its pid, here or on another machine. */
export interface Holder {
  readonly pid: number
  /** The machine, its boot and its pid namespace: only where all of them are the same does a pid mean the same process. */
  readonly place: string
  /** When the process started, in the system's own terms: a pid is given out again, a pid with its start is not. */
  readonly start: string
}

/** This process. */
export const self = (): Holder => ({ pid: process.pid, place: here(), start: startOf(process.pid) as string })

/** Whether the holder is a running process; `undefined` when that cannot be known here, in another container say. */
export function isRunning (holder: Holder): boolean | undefined {
  return holder.place === here() ? startOf(holder.pid) === holder.start : undefined
}

/** The holder that `JSON.stringify` wrote, `undefined` when the text is none. */
export function parseHolder (text: string): Holder | undefined {
  try {
    const { pid, place, start } = JSON.parse(text) as Record<string, unknown>
    return Number.isInteger(pid) && typeof place === 'string' && typeof start === 'string' ? { pid: pid as number, place, start } : undefined
  } catch {
    return undefined
  }
}

function here (): string {
  try {
    return [hostname(), readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), readlinkSync('/proc/self/ns/pid')].join(' ')
    // Systems without the /proc of Linux: not where the tests run.
    /* c8 ignore start */
  } catch {
    return hostname()
  }
  /* c8 ignore stop */
}

/** `undefined` for a process that does not run. A system without /proc tells no start: there the pid has to do. */
function startOf (pid: number): string | undefined {
  try {
    // proc_pid_stat(5): the name in parentheses may hold anything; the state is field 3 and the start time field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    // That a process without an entry in /proc answers is seen on other systems only.
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
