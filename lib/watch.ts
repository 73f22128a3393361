import { setTimeout as sleep } from 'node:timers/promises'
import type { Live } from './backend/backend.js'
import { timer } from './life.js'

export interface WatchOptions {
  /** Ends the watch: abort it when the connection closes. */
  readonly signal: AbortSignal
  /** Seconds between two looks at the store, which are no activity; 10 by default. So late may the end be noticed. */
  readonly every?: number | undefined
}

/** What a watch needs to know of the scheme; both in milliseconds. */
interface Time {
  readonly now: () => number
  readonly idleTimeout: number
}

/** Resolves `true` when `find` finds no session any more, `false` when the signal aborts first. */
export async function watch (
  find: () => Promise<Live | undefined>, { now, idleTimeout }: Time, { signal, every = 10 }: WatchOptions
): Promise<boolean> {
  const interval = timer('every', every) as number
  let expiresAt = now() + idleTimeout
  while (!signal.aborted) {
    try {
      const live = await find()
      if (live === undefined) return !signal.aborted
      expiresAt = live.expiresAt
    } catch {
      // A store that is out of order ends nobody's session, until the time is up that it gave last.
      if (expiresAt <= now()) return true
    }
    // The connection is what keeps the process alive, not the look at its session.
    await sleep(Math.max(0, Math.min(interval, expiresAt - now())), undefined, { signal, ref: false }).catch(() => {})
  }
  return false
}
