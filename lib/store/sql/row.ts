import { createHash } from 'node:crypto'
import type { SessionRecord, StoredSession } from '../store.js'

/** A row as drivers return it. A bigint column is a number, a string or a bigint. */
export interface Row {
  id: string
  /** The payload, or `~` and a JSON list of payload, id and principal if a column cannot hold all three as they are. */
  payload: string
  version: number | string | bigint
  /** Epoch milliseconds. */
  expires_at: number | string | bigint
  principal: string | null
}

export type Tables = Record<string, Row>

export const columnNames = ['id', 'payload', 'version', 'expires_at', 'principal'] as const

/**
 * Matches texts that a column does not hold as they are, because a database or driver would change or reject them: control
 * characters (PostgreSQL rejects NUL), lone surrogates (UTF-8 has none), a space at the end (MySQL ignores it when it compares)
 * and a byte order mark at the start (a driver may drop it). Also matches `~`, which marks values of other texts, and the empty
 * text, so that every id in a column is greater than the empty text.
 */
const UNFIT = /^$|^[~\ufeff]|[\p{Cc}\p{Surrogate}]| $/u

/** The most characters in the columns `id` and `principal`. Every database can index two columns of this length. */
const MAX_LENGTH = 255

/** Returns the column value for an id or a principal: the text, or `~` and its SHA-256. Different texts have different values. */
export function toColumn (text: string): string {
  return text.length > MAX_LENGTH || UNFIT.test(text) ? `~${createHash('sha256').update(text, 'utf16le').digest('base64url')}` : text
}

/** Returns whether a text may be a column value. */
export const isColumn = (text: string): boolean => !/[\p{Cc}\p{Surrogate}]/u.test(text)

export function toRow (id: string, { payload, version, expiresAt, principal }: SessionRecord): Row {
  const columns = { id: toColumn(id), principal: principal === undefined ? null : toColumn(principal) }
  const fits = columns.id === id && columns.principal === (principal ?? null) && !UNFIT.test(payload)
  return { ...columns, payload: fits ? payload : `~${JSON.stringify([payload, id, principal])}`, version, expires_at: Math.round(expiresAt) }
}

/** @throws if the row is not a session, which means that another program wrote it */
export function fromRow (row: Row): StoredSession {
  const [version, expiresAt] = [Number(row.version), Number(row.expires_at)]
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(expiresAt)) throw new TypeError('version and expires_at must be whole numbers')
  const texts: unknown = row.payload.startsWith('~') ? JSON.parse(row.payload.slice(1)) : [row.payload, row.id, row.principal]
  const [payload, id, principal] = texts as unknown[]
  if (typeof payload !== 'string' || !isFrom(row.id, id)) throw new TypeError('id and payload must be texts of this store')
  if (row.principal === null) return { id, record: { payload, version, expiresAt } }
  if (!isFrom(row.principal, principal)) throw new TypeError('the principal must be a text of this store')
  return { id, record: { payload, version, expiresAt, principal } }
}

function isFrom (column: string, text: unknown): text is string { return typeof text === 'string' && toColumn(text) === column }
