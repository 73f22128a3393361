import type { SessionRecord } from '../store/store.js'

/**
 * What stands in the place of a session that was renewed, or that was adopted and ended: where it went, and until when that
 * is of use. It is written over the session in one step, so that of several renewals at once a single one comes through, and
 * a save or a logout that is late finds the way. The token that led here is as dead as if nothing stood here.
 */
export interface Successor {
  /** `undefined` for one that ended and must not be made anew. */
  readonly id: string | undefined
  /** Epoch milliseconds. Whoever tries the dead token may make its record live longer. */
  readonly until: number
}

/** Its record, which takes the place of the version before. */
export function successorRecord ({ id, until }: Successor, version: number): SessionRecord {
  return { payload: JSON.stringify({ successor: id ?? null, until }), version, expiresAt: until }
}

/** Where a session went; `undefined` for a record that is one. */
export function successorIn ({ payload }: SessionRecord): Successor | undefined {
  const [, id, until] = /^\{"successor":(?:null|"([\w-]{43})"),"until":(\d+)\}$/.exec(payload) ?? []
  return until === undefined ? undefined : { id, until: Number(until) }
}
