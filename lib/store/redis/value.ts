import type { SessionRecord } from '../store.js'

/** The content of a string in Redis: one line of fields, and the payload. */
export interface Value {
  readonly record: SessionRecord
  /**
   * The time until which the index of the principal contains the session, at least. Epoch milliseconds; 0 without a principal.
   */
  readonly indexedUntil: number
}

/**
 * Matches the line `1 expiresAt indexedUntil version write owner`. The two times have a fixed width, so that a touch can
 * overwrite them in place. `write` is the unique name of the last write. `scripts.ts` has the same pattern.
 */
const head = /^1 (\d{16}) (\d{16}) (\d+) (\S+) ([-=][^\n]*)\n/

/**
 * Escapes control characters, and lone surrogates, which would all be the same in UTF-8. Different texts have different results.
 */
export const quote = (text: string): string => /^[\x20-\x5b\x5d-\x7e]*$/.test(text)
  ? text
  : text.replace(/[\\\p{Cc}\p{Cs}]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
export const unquote = (text: string): string => text.includes('\\')
  ? text.replace(/\\u([\da-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  : text

/** Returns the owner of a session as the scripts use it: `=` and the principal, or `NO_OWNER` without a principal. */
export const ownerOf = (principal: string | undefined): string => principal === undefined ? NO_OWNER : `=${quote(principal)}`
export const NO_OWNER = '-'

/** Returns the time until which the index should contain a session: twice the time that the session has left to live. */
export const indexUntil = (expiresAt: number, now: number): number => expiresAt + (expiresAt - now)

/**
 * How long the index keeps an entry after its time, in milliseconds. A session that is expired by the clock of one process may
 * be live by the clock of another, and `deleteAll` must find it. The clocks may differ by up to five minutes; this is twice that.
 */
const GRACE = 600_000

/**
 * Returns the score of an index entry. `list` reads an index in the order of the scores. Scores only increase, so that it
 * skips no entry. A fraction derived from the id keeps pages short if many sessions expire in the same millisecond.
 */
export function scoreOf (until: number, id: string): number {
  let hash = 0
  for (let n = 0; n < id.length; n++) hash = (hash * 31 + id.charCodeAt(n)) % 1024
  return until + GRACE + hash / 1024
}

const instant = (time: number): string => String(time).padStart(16, '0')

export function encode ({ record: { payload, version, expiresAt, principal }, indexedUntil }: Value, write: string): string {
  return `1 ${instant(expiresAt)} ${instant(indexedUntil)} ${version} ${write} ${ownerOf(principal)}\n${payload}`
}

/** Reads a text that `encode` wrote. Returns `undefined` for any other text. */
export function decode (text: string): SessionRecord | undefined {
  const found = head.exec(text)
  if (found === null) return undefined
  const [line, expiresAt, , version, , owner = NO_OWNER] = found
  const fields = { payload: text.slice(line.length), version: Number(version), expiresAt: Number(expiresAt) }
  return owner === NO_OWNER ? fields : { ...fields, principal: unquote(owner.slice(1)) }
}

/** Returns the owner in the reply of a script. @throws if the reply is not an owner */
export function ownerIn (reply: unknown): string {
  if (typeof reply === 'string' && /^(?:-$|=)/.test(reply)) return reply
  throw unexpectedReply(reply)
}

/** Returns the error for a reply that no script returns. */
export function unexpectedReply (reply: unknown): Error {
  return new Error(`RedisStore: unexpected reply from the server (${typeof reply})`)
}
