import type { SessionRecord } from '../store.js'

/** A record as Redis keeps it: one string, a line of facts and the payload. */
export interface Value {
  readonly record: SessionRecord
  /** The instant until which the index of the principal knows the session, at least, in epoch milliseconds; 0 without a principal. */
  readonly indexedUntil: number
}

/**
 * `1 expiresAt indexedUntil version write owner`: the first two have a fixed width, so that a touch overwrites
 * them in place; `write` tells one write from another. `scripts.ts` reads it as well.
 */
const head = /^1 (\d{16}) (\d{16}) (\d+) (\S+) ([-=][^\n]*)\n/

/** Returns a distinct text for each text, without control characters and lone surrogates, which UTF-8 would all write alike. */
export const quote = (text: string): string => /^[\x20-\x5b\x5d-\x7e]*$/.test(text)
  ? text
  : text.replace(/[\\\p{Cc}\p{Cs}]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
export const unquote = (text: string): string => text.includes('\\')
  ? text.replace(/\\u([\da-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
  : text

/** Returns a principal as the scripts and the index know it. `NOBODY` is the owner of a session without a principal. */
export const ownerOf = (principal: string | undefined): string => principal === undefined ? NOBODY : `=${quote(principal)}`
export const NOBODY = '-'

/** Returns until when the index is to know a session: for twice the time that the session has to live. */
export const indexUntil = (expiresAt: number, now: number): number => expiresAt + (expiresAt - now)

/**
 * How long an entry stays in the index after its time, in milliseconds: a session that has expired by the clock of one
 * process may be in use by another's, and a logout everywhere has to find it. Twice the five minutes that clocks may be apart.
 */
export const GRACE = 600_000

/**
 * Returns the score of an index entry. `list` goes through an index by score, and scores only rise, so that no entry is
 * skipped. The fraction, which doubles have room for, keeps pages short when many sessions end in the same millisecond.
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

/** Returns `undefined` if the text is not what `encode` wrote. */
export function decode (text: string): SessionRecord | undefined {
  const found = head.exec(text)
  if (found === null) return undefined
  const [line, expiresAt, , version, , owner = NOBODY] = found
  const facts = { payload: text.slice(line.length), version: Number(version), expiresAt: Number(expiresAt) }
  return owner === NOBODY ? facts : { ...facts, principal: unquote(owner.slice(1)) }
}

/** @throws unless an answer of a script names an owner */
export function ownerIn (answer: unknown): string {
  if (typeof answer === 'string' && /^(?:-$|=)/.test(answer)) return answer
  throw misunderstood(answer)
}

/** Returns the error for an answer of the server that no script gives. */
export function misunderstood (answer: unknown): Error {
  return new Error(`RedisStore: the server's answer is not understood (${typeof answer})`)
}
