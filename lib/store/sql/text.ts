/**
 * What some database does not keep letter by letter: PostgreSQL refuses NUL, no UTF-8 column holds half a surrogate
 * pair, MySQL's binary collation ignores spaces at the end when it compares, and a driver may take a byte order mark
 * at the start for its own. The mark of an escaped text is awkward too.
 */
const AWKWARD = /^[~\ufeff]|[\0\p{Surrogate}]| $/u

/** Text as it is put into a column: as it is when it can be, else `~` and a JSON string. Unequal texts stay unequal. */
export function toColumn (text: string): string {
  return AWKWARD.test(text) ? `~${JSON.stringify(text)}` : text
}

/** What `toColumn` was given. @throws when the column holds what `toColumn` never wrote. */
export function fromColumn (stored: string): string {
  if (!stored.startsWith('~')) return stored
  const text: unknown = JSON.parse(stored.slice(1))
  if (typeof text !== 'string') throw new TypeError('not an escaped text')
  return text
}
