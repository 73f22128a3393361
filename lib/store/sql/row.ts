import type { SessionRecord } from '../store.js'
import { fromColumn, toColumn } from './text.js'

/** A row as drivers hand it out: a bigint column comes as a number, a string or a bigint. */
export interface Row {
  id: string
  payload: string
  version: number | string | bigint
  /** Epoch milliseconds. */
  expires_at: number | string | bigint
  principal: string | null
}

/** Any name may be the table's. */
export type Tables = Record<string, Row>

export function toRow (id: string, { payload, version, expiresAt, principal }: SessionRecord): Row {
  return {
    id: toColumn(id),
    payload: toColumn(payload),
    version,
    expires_at: Math.round(expiresAt),
    principal: principal === undefined ? null : toColumn(principal)
  }
}

/** @throws when somebody else wrote the row, and wrote what no record is. */
export function toRecord (row: Row): SessionRecord {
  const version = Number(row.version)
  const expiresAt = Number(row.expires_at)
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(expiresAt)) throw new TypeError('version and expires_at must be whole numbers')
  const record = { payload: fromColumn(row.payload), version, expiresAt }
  return row.principal === null ? record : { ...record, principal: fromColumn(row.principal) }
}
