import type { SessionRecord } from '../store.js'

/**
 * Matches the first line of a string in Redis, `1 expiresAt indexedUntil version write owner`. The payload follows. The two
 * times have a fixed width, so that a touch can overwrite them in place. The index of the owner contains the session until
 * `indexedUntil`, at least. `write` is the unique name of the last write. `scripts.ts` has the same pattern.
 */
const head = /^1 (\d{16}) \d{16} (\d+) \S+ ([-=][^\n]*)\n/

/**
 * Escapes control characters, and lone surrogates, which would all be the same in UTF-8. Different texts have different results.
 */
export const quote = (text: string): string =>
  text.replace(/[\\\p{Cc}\p{Cs}]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
export const unquote = (text: string): string =>
  text.replace(/\\u([\da-f]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** Returns the owner of a session as the scripts use it: `=` and the principal, or `NO_OWNER` without a principal. */
export const ownerOf = (principal: string | undefined): string => principal === undefined ? NO_OWNER : `=${quote(principal)}`
export const NO_OWNER = '-'

/** Reads the value of a session in Redis. Returns `undefined` for a text that no script wrote. */
export function decode (text: string): SessionRecord | undefined {
  const found = head.exec(text)
  if (found === null) return undefined
  const [line, expiresAt, version, owner = NO_OWNER] = found
  const fields = { payload: text.slice(line.length), version: Number(version), expiresAt: Number(expiresAt) }
  return owner === NO_OWNER ? fields : { ...fields, principal: unquote(owner.slice(1)) }
}

/** Returns the error for a reply that no script returns. */
export const unexpectedReply = (reply: unknown): Error => new Error(`RedisStore: unexpected reply from the server (${typeof reply})`)
