import { createHash } from 'node:crypto'

/**
 * Texts that some database does not keep letter by letter, or sorts in its own way: PostgreSQL refuses NUL, no UTF-8 column
 * holds half a surrogate pair, MySQL compares texts as if spaces followed them, and a driver may drop a byte order mark at
 * the start. The mark of an escaped text is escaped as well. So is the empty text: each text in a column is greater than it.
 */
const AWKWARD = /^$|^[~\ufeff]|[\p{Cc}\p{Surrogate}]| $/u

/** Characters that the columns `id` and `principal` hold: few enough for an index of both in every database. */
const LONGEST = 255

/** Returns a text as a column holds it: unchanged if possible, else as `~` and a JSON string. Unequal texts stay unequal. */
export function toColumn (text: string): string {
  return AWKWARD.test(text) ? quote(text) : text
}

/** Returns what `toColumn` was given. @throws for text that `toColumn` never wrote */
export function fromColumn (stored: string): string {
  const text = unquote(stored)
  if (typeof text !== 'string') throw new TypeError('not an escaped text')
  return text
}

/** Returns a principal as its column holds it: a digest if it is too long for an index. */
export function toPrincipalColumn (principal: string): string {
  const text = toColumn(principal)
  return text.length > LONGEST ? `~#${createHash('sha256').update(principal, 'utf16le').digest('base64url')}` : text
}

/** Returns the columns of a payload and its principal. A principal that is too long for its column goes with the payload. */
export function toColumns (payload: string, principal: string | undefined): { payload: string, principal: string | null } {
  if (principal === undefined) return { payload: toColumn(payload), principal: null }
  const column = toPrincipalColumn(principal)
  return { payload: column.startsWith('~#') ? quote([payload, principal]) : toColumn(payload), principal: column }
}

/** Returns what `toColumns` was given. @throws for columns that `toColumns` never wrote */
export function fromColumns (payload: string, principal: string | null): { payload: string, principal?: string } {
  if (principal === null) return { payload: fromColumn(payload) }
  if (!principal.startsWith('~#')) return { payload: fromColumn(payload), principal: fromColumn(principal) }
  const pair: unknown = unquote(payload)
  const [text, long] = (Array.isArray(pair) ? pair : []) as unknown[]
  if (typeof text !== 'string' || typeof long !== 'string') throw new TypeError('the payload has no principal with it')
  return { payload: text, principal: long }
}

function quote (value: unknown): string {
  return `~${JSON.stringify(value)}`
}

function unquote (stored: string): unknown {
  return stored.startsWith('~') ? JSON.parse(stored.slice(1)) : stored
}
