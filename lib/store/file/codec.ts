import { createHash } from 'node:crypto'
import type { SessionRecord, StoredSession } from '../store.js'

const digest = (text: string, encoding: 'hex' | 'base64url'): string => createHash('sha256').update(text).digest(encoding)

/**
 * Returns the file name for an id. Names are safe, and distinct even on file systems that ignore case. JSON escapes lone
 * surrogates, which would all be the same in UTF-8.
 */
export const fileName = (id: string): string => digest(JSON.stringify(id), 'hex') + '.session'

/** Returns true if a name has the form of `fileName`. The store ignores other files. */
export const isFileName = (name: string): boolean => /^[\da-f]{64}\.session$/.test(name)

/** Returns the text of a file in three lines: the SHA-256 of the rest (base64url), the other fields as JSON, and the payload. */
export function encode (id: string, { version, expiresAt, principal, payload }: SessionRecord): string {
  const rest = `${JSON.stringify({ id, version, expiresAt, principal })}\n${payload}`
  return `${digest(rest, 'base64url')}\n${rest}`
}

/** Reads a text that `encode` wrote. @throws if the text is incomplete or changed */
export function decode (text: string): StoredSession {
  const restAt = text.indexOf('\n') + 1
  const payloadAt = text.indexOf('\n', restAt) + 1
  if (restAt === 0 || payloadAt === 0) throw new Error('the file is incomplete')
  if (digest(text.slice(restAt), 'base64url') !== text.slice(0, restAt - 1)) throw new Error('the checksum does not match')
  const { id, version, expiresAt, principal } = JSON.parse(text.slice(restAt, payloadAt)) as StoredSession & SessionRecord
  const payload = text.slice(payloadAt)
  return { id, record: principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal } }
}
