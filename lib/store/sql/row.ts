import type { SessionRecord } from '../store.js'
import { fromColumns, toColumn, toColumns } from './text.js'

/** A row as drivers return it: a bigint column comes as a number, a string or a bigint. */
export interface Row {
  id: string
  payload: string
  version: number | string | bigint
  /** Epoch milliseconds. */
  expires_at: number | string | bigint
  principal: string | null
}

/** The table may have any name. */
export type Tables = Record<string, Row>

export function toRow (id: string, { payload, version, expiresAt, principal }: SessionRecord): Row {
  return { id: toColumn(id), version, expires_at: Math.round(expiresAt), ...toColumns(payload, principal) }
}

/** @throws for a row that is not a record, because another program wrote it */
export function toRecord (row: Omit<Row, 'id'>): SessionRecord {
  const version = Number(row.version)
  const expiresAt = Number(row.expires_at)
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(expiresAt)) throw new TypeError('version and expires_at must be whole numbers')
  return { version, expiresAt, ...fromColumns(row.payload, row.principal) }
}
