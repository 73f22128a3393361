import { createHash } from 'node:crypto'
import { attempt } from '../../attempt.js'
import { isObject, isPlain } from '../../session/json.js'
import type { SessionRecord, StoredSession } from '../store.js'

/** Returns the session object that keeps a record. Its `cookie` has the time left, by the real clock: records may use another. */
export function wrap (id: string, record: SessionRecord, now: number): object {
  const life = Math.max(1, Math.ceil(record.expiresAt - now))
  return {
    // Stores read different fields: expires (connect-redis), maxAge (memorystore) or originalMaxAge (session-file-store).
    cookie: { originalMaxAge: life, maxAge: life, expires: new Date(Date.now() + life), httpOnly: true, path: '/' },
    record: { id, ...record }
  }
}

/** Reverses `wrap`. Returns `undefined` for anything else, such as a session of express-session itself. */
export function unwrap (session: unknown): StoredSession | undefined {
  const record: unknown = isObject(session) ? session.record : undefined
  if (!isObject(record)) return undefined
  const { id, payload, version, expiresAt, principal } = record
  if (typeof id !== 'string' || typeof payload !== 'string' || typeof version !== 'number' || typeof expiresAt !== 'number') return undefined
  if (principal !== undefined && typeof principal !== 'string') return undefined
  return { id, record: { payload, version, expiresAt, ...(principal !== undefined && { principal }) } }
}

/** Returns the store's key for an id: at most 32 characters, because some tables allow 36, and all of them safe in a file name. */
export function keyOf (id: string): string {
  return /^[\w-]{1,32}$/.test(id) ? id : `~${createHash('sha256').update(id, 'utf16le').digest('base64url').slice(0, 31)}`
}

/**
 * Returns the sessions of this package in the result of `all`, which is a list, or an object by key. Each entry is a session, its
 * JSON text, or a row with either in a column. Ignores empty entries and sessions of other plugins.
 *
 * @throws for any other result or entry, because an unexpected result must not count as empty
 */
export function unwrapAll (result: unknown): StoredSession[] {
  if (!Array.isArray(result) && !(isObject(result) && isPlain(result))) throw unexpected('neither a list nor an object of sessions')
  return Object.values(result).filter((entry) => entry != null).map(unwrapEntry).filter((session) => session !== undefined)
}

function unwrapEntry (entry: unknown): StoredSession | undefined {
  const session = sessionIn(entry)
  if (session === undefined) throw unexpected('an entry without a session')
  const stored = unwrap(session)
  if (stored === undefined && isObject(session.record) && 'payload' in session.record) throw unexpected('a damaged session')
  return stored
}

function sessionIn (entry: unknown): Record<string, unknown> | undefined {
  const value = parse(entry)
  if (!isObject(value)) return undefined
  return isObject(value.cookie) ? value : Object.values(value).map(parse).filter(isObject).find(({ cookie }) => isObject(cookie))
}

const parse = (value: unknown): unknown => typeof value === 'string' ? attempt(() => JSON.parse(value) as unknown) : value

function unexpected (what: string): Error {
  return new Error(`fromExpressStore: all() of the express-session store returned ${what}, so that sessions of a principal may be missing. ` +
    'Give the store an all() that calls back with its sessions, as docs/stores/express.md shows.')
}
