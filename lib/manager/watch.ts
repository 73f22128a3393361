import { setTimeout as sleep } from 'node:timers/promises'
import type { Snapshot } from '../backend/backend.js'
import { timerMilliseconds } from '../durations.js'
import type { Awaitable } from '../store/store.js'

export interface WatchOptions {
  /** Ends the watch: abort it when the connection closes. The watch also ends when the app begins to close. */
  readonly signal?: AbortSignal | undefined
  /** Seconds between two polls of the store, which do not count as activity. Default 10: the end is noticed that late at most. */
  readonly every?: number | undefined
}

/** The parts of a scheme that a watch needs. */
interface WatchContext {
  readonly now: () => number
  /** Milliseconds. */
  readonly idleTimeout: number
  /** Aborts when the app begins to close, so that open connections do not keep it from closing. */
  readonly closing: AbortSignal
}

/** Resolves `true` when `find` finds no session any more, `false` when the signal aborts or the app closes first. */
export async function watch (
  find: () => Awaitable<Snapshot | undefined>, { now, idleTimeout, closing }: WatchContext, { signal: own, every = 10 }: WatchOptions = {}
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
      // A store that does not work ends no session, until the last known expiry has passed.
      if (expiresAt <= now()) return true
    }
    // The connection keeps the process alive, not the poll.
    await sleep(Math.max(0, Math.min(interval, expiresAt - now())), undefined, { signal, ref: false }).catch(() => {})
  }
  return false
}
