import { createHash } from 'node:crypto'
import type { SessionRecord, StoredSession } from '../store.js'

/** A row as drivers return it. A bigint column is a number, a string or a bigint. */
export interface Row {
  id: string
  /** The payload, or a JSON list of payload and principal if the principal is too long for its column. */
  payload: string
  version: number | string | bigint
  /** Epoch milliseconds. */
  expires_at: number | string | bigint
  principal: string | null
}

export type Tables = Record<string, Row>

export const columnNames = ['id', 'payload', 'version', 'expires_at', 'principal'] as const

/**
 * Matches texts that are escaped in a column, because a database or driver would change or reject them: control characters
 * (PostgreSQL rejects NUL), lone surrogates (UTF-8 has none), a space at the end (MySQL ignores it when it compares) and a
 * byte order mark at the start (a driver may drop it). Also matches `~`, which marks escaped texts, and the empty text, so
 * that every id in a column is greater than the empty text.
 */
const NEEDS_ESCAPE = /^$|^[~\ufeff]|[\p{Cc}\p{Surrogate}]| $/u

/** The most characters in the columns `id` and `principal`. Every database can index two columns of this length. */
const MAX_LENGTH = 255

/** The start of a digest that replaces a principal that is too long. No escaped text starts with it. */
const DIGEST = '~#'

/** Returns the column value for a text: the text, or `~` and JSON if it needs escaping. Different texts have different values. */
export const toColumn = (text: string | readonly string[]): string =>
  typeof text === 'string' && !NEEDS_ESCAPE.test(text) ? text : `~${JSON.stringify(text)}`

/** Returns whether a text may be a column value. */
export const isColumn = (text: string): boolean => !/[\p{Cc}\p{Surrogate}]/u.test(text)

/** Reverses `toColumn`. May return any JSON value if another program wrote the column. */
const fromColumn = (stored: string): unknown => stored.startsWith('~') ? JSON.parse(stored.slice(1)) : stored

/** Returns the column value for a principal: a digest if it is too long for an index. */
export function toPrincipalColumn (principal: string): string {
  const text = toColumn(principal)
  return text.length > MAX_LENGTH ? DIGEST + createHash('sha256').update(principal, 'utf16le').digest('base64url') : text
}

export function toRow (id: string, { payload, version, expiresAt, principal }: SessionRecord): Row {
  const column = principal === undefined ? null : toPrincipalColumn(principal)
  const kept = column?.startsWith(DIGEST) ? [payload, principal as string] : payload
  return { id: toColumn(id), payload: toColumn(kept), version, expires_at: Math.round(expiresAt), principal: column }
}

/** @throws if the row is not a session, which means that another program wrote it */
export function fromRow (row: Row): StoredSession {
  const [id, kept, version, expiresAt] = [fromColumn(row.id), fromColumn(row.payload), Number(row.version), Number(row.expires_at)]
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(expiresAt)) throw new TypeError('version and expires_at must be whole numbers')
  const isLong = row.principal?.startsWith(DIGEST) && Array.isArray(kept)
  const [payload, principal] = (isLong ? kept : [kept, row.principal && fromColumn(row.principal)]) as unknown[]
  if (typeof id !== 'string' || typeof payload !== 'string') throw new TypeError('id and payload must be texts of this store')
  if (row.principal !== null && typeof principal !== 'string') throw new TypeError('the principal must be a text of this store')
  return { id, record: { payload, version, expiresAt, ...(typeof principal === 'string' && { principal }) } }
}
