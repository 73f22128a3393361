import { createHash } from 'node:crypto'
import type { SessionRecord, StoredSession } from '../store.js'

const digest = (text: string, encoding: 'hex' | 'base64url'): string => createHash('sha256').update(text).digest(encoding)

/**
 * Returns the name of the file of an id. Any id has a safe name of its own, on file systems that fold case too.
 * JSON escapes lone surrogates, which UTF-8 would all write alike.
 */
export const fileName = (id: string): string => digest(JSON.stringify(id), 'hex') + '.session'

/** Returns whether `fileName` may have made the name. Other files in the directory are not the store's. */
export const isFileName = (name: string): boolean => /^[\da-f]{64}\.session$/.test(name)

/** Returns three parts, each on a line of its own: SHA-256 of the rest (base64url), the facts as JSON, and the payload as it is. */
export function encode (id: string, { version, expiresAt, principal, payload }: SessionRecord): string {
  const rest = `${JSON.stringify({ id, version, expiresAt, principal })}\n${payload}`
  return `${digest(rest, 'base64url')}\n${rest}`
}

/** Returns what `encode` wrote. @throws an `Error` that says what is wrong, unless the text is whole and unchanged */
export function decode (text: string): StoredSession {
  const restAt = text.indexOf('\n') + 1
  const payloadAt = text.indexOf('\n', restAt) + 1
  if (restAt === 0 || payloadAt === 0) throw new Error('the file is not whole')
  if (digest(text.slice(restAt), 'base64url') !== text.slice(0, restAt - 1)) throw new Error('the checksum does not match')
  const { id, version, expiresAt, principal } = JSON.parse(text.slice(restAt, payloadAt)) as StoredSession & SessionRecord
  const payload = text.slice(payloadAt)
  return { id, record: principal === undefined ? { payload, version, expiresAt } : { payload, version, expiresAt, principal } }
}
