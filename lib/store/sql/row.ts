import { createHash } from 'node:crypto'
import type { SessionRecord, StoredSession } from '../store.js'

/** A row as drivers return it: a bigint column comes as a number, a string or a bigint. */
export interface Row {
  id: string
  /** The payload; together with the principal if that is too long for its column. */
  payload: string
  version: number | string | bigint
  /** Epoch milliseconds. */
  expires_at: number | string | bigint
  principal: string | null
}

/** The table may have any name. */
export type Tables = Record<string, Row>

export const columnNames = ['id', 'payload', 'version', 'expires_at', 'principal'] as const

/**
 * Texts that some database does not keep letter by letter, or sorts in its own way: PostgreSQL refuses NUL, no UTF-8 column
 * holds half a surrogate pair, MySQL compares texts as if spaces followed them, and a driver may drop a byte order mark at
 * the start. The mark of an escaped text is escaped as well. So is the empty text: each text in a column is greater than it.
 */
const AWKWARD = /^$|^[~\ufeff]|[\p{Cc}\p{Surrogate}]| $/u

/** Characters that the columns `id` and `principal` hold: few enough for an index of both in every database. */
const LONGEST = 255

/** The start of a digest, which stands for a principal that is too long. No escaped text starts like this. */
const DIGEST = '~#'

/** Returns a text as a column holds it: unchanged if possible, else as `~` and JSON. Unequal texts stay unequal. */
export function toColumn (text: string | readonly string[]): string {
  return typeof text === 'string' && !AWKWARD.test(text) ? text : `~${JSON.stringify(text)}`
}

/** Returns what `toColumn` was given, or something else if another program wrote the column. */
function fromColumn (stored: string): unknown {
  return stored.startsWith('~') ? JSON.parse(stored.slice(1)) : stored
}

/** Returns a principal as its column holds it: a digest if it is too long for an index. */
export function toPrincipalColumn (principal: string): string {
  const text = toColumn(principal)
  return text.length > LONGEST ? DIGEST + createHash('sha256').update(principal, 'utf16le').digest('base64url') : text
}

export function toRow (id: string, { payload, version, expiresAt, principal }: SessionRecord): Row {
  const column = principal === undefined ? null : toPrincipalColumn(principal)
  const kept = column?.startsWith(DIGEST) ? [payload, principal as string] : payload
  return { id: toColumn(id), payload: toColumn(kept), version, expires_at: Math.round(expiresAt), principal: column }
}

/** @throws for a row that is not a session, because another program wrote it */
export function fromRow (row: Row): StoredSession {
  const [id, version, expiresAt] = [fromColumn(row.id), Number(row.version), Number(row.expires_at)]
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(expiresAt)) throw new TypeError('version and expires_at must be whole numbers')
  const kept = fromColumn(row.payload)
  const isLong = row.principal?.startsWith(DIGEST) && Array.isArray(kept)
  const [payload, principal] = (isLong ? kept : [kept, row.principal && fromColumn(row.principal)]) as unknown[]
  if (typeof id !== 'string' || typeof payload !== 'string') throw new TypeError('id and payload must be texts of this store')
  if (row.principal === null) return { id, record: { payload, version, expiresAt } }
  if (typeof principal !== 'string') throw new TypeError('the principal must be a text of this store')
  return { id, record: { payload, version, expiresAt, principal } }
}
