import { setTimeout as sleep } from 'node:timers/promises'
import type { Snapshot } from '../backend/backend.js'
import { timerMilliseconds } from '../durations.js'
import type { Settings } from '../options/read.js'
import type { Awaitable } from '../store/store.js'

export interface WatchOptions {
  /** Ends the watch: abort it when the connection closes. The watch also ends when the app begins to close. */
  readonly signal?: AbortSignal | undefined
  /** Seconds between two polls of the store, which do not count as activity. An end is noticed within this time. Default 10. */
  readonly every?: number | undefined
}

/** Resolves `true` when `find` finds no session any more, `false` if `signal` or `closing` aborts first. */
export async function watch (
  find: () => Awaitable<Snapshot | undefined>, { now, idleTimeout }: Pick<Settings, 'now' | 'idleTimeout'>, closing: AbortSignal,
  { signal: own, every = 10 }: WatchOptions = {}
): Promise<boolean> {
  const interval = timerMilliseconds('every', every) as number
  const signal = own === undefined ? closing : AbortSignal.any([own, closing])
  let expiresAt = now() + idleTimeout
  while (!signal.aborted) {
    try {
      const session = await find()
      if (session === undefined) return !signal.aborted
      expiresAt = session.expiresAt
    } catch {
      // If the store does not work, the session counts as live until its last known expiry.
      if (expiresAt <= now()) return true
    }
    // The poll alone must not keep the process alive.
    await sleep(Math.max(0, Math.min(interval, expiresAt - now())), undefined, { signal, ref: false }).catch(() => {})
  }
  return false
}
