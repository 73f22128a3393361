import type { SessionRecord } from '../store/store.js'

/**
 * What stands in the place of a session that was renewed: where it went. It is written over the session in one step, so that
 * of several renewals at once a single one comes through, and a save or a logout that is late finds the way. The token that
 * led here is as dead as if nothing stood here.
 */
export function successorRecord (id: string, { version, expiresAt }: Pick<SessionRecord, 'version' | 'expiresAt'>, now: number): SessionRecord {
  return { payload: JSON.stringify({ successor: id }), version: version + 1, expiresAt: Math.min(expiresAt, now + KEPT) }
}

/** Where a session went; `undefined` for a record that is one. */
export function successorIn ({ payload }: SessionRecord): string | undefined {
  return /^\{"successor":"([\w-]{43})"\}$/.exec(payload)?.[1]
}

/** Milliseconds at most: longer than a request may be late and clocks may be apart. */
export const KEPT = 600_000
