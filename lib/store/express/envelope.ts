import { createHash } from 'node:crypto'
import type { SessionRecord, StoredSession } from '../store.js'

/**
 * Returns a record as it lies in an express-session store: beside a `cookie` that such stores read the expiry from. Stores go
 * by the real clock: the cookie has the time left from now, whatever clock the records go by.
 */
export function wrap (id: string, record: SessionRecord, now: number): object {
  const life = Math.max(1, Math.ceil(record.expiresAt - now))
  return {
    // Each store reads another of the three: expires (connect-redis), maxAge (memorystore), originalMaxAge (session-file-store).
    cookie: { originalMaxAge: life, maxAge: life, expires: new Date(Date.now() + life), httpOnly: true, path: '/' },
    record: { id, ...record }
  }
}

/** Returns what `wrap` was given; `undefined` for everything else, such as a session of express-session itself. */
export function unwrap (session: unknown): StoredSession | undefined {
  const record: unknown = isObject(session) ? session.record : undefined
  if (!isObject(record)) return undefined
  const { id, payload, version, expiresAt, principal } = record
  if (typeof id !== 'string' || typeof payload !== 'string' || typeof version !== 'number' || typeof expiresAt !== 'number') return undefined
  if (principal === undefined) return { id, record: { payload, version, expiresAt } }
  return typeof principal === 'string' ? { id, record: { payload, version, expiresAt, principal } } : undefined
}

/** Returns the key for an id: 32 characters at most, as some tables have room for 36, and none that is special in a file name. */
export function keyOf (id: string): string {
  return /^[\w-]{1,32}$/.test(id) ? id : `~${createHash('sha256').update(id, 'utf16le').digest('base64url').slice(0, 31)}`
}

/**
 * Returns the sessions of this package in the answer of `all`: a list, or an object by key. Each entry is a session, its
 * JSON text, or a row with either in a column. Entries that are nothing, and sessions of another plugin, are left out.
 *
 * @throws for any other answer or entry: an answer that is not understood must not count as empty
 */
export function unwrapAll (answer: unknown): StoredSession[] {
  if (!Array.isArray(answer) && !isPlain(answer)) throw notUnderstood('neither a list nor an object of sessions')
  return Object.values(answer).filter((entry) => entry != null).map(unwrapEntry).filter((session) => session !== undefined)
}

function unwrapEntry (entry: unknown): StoredSession | undefined {
  const session = sessionIn(entry)
  if (session === undefined) throw notUnderstood('an entry without a session')
  const stored = unwrap(session)
  if (stored === undefined && isObject(session.record) && 'payload' in session.record) throw notUnderstood('a damaged session')
  return stored
}

function sessionIn (entry: unknown): Record<string, unknown> | undefined {
  const value = parse(entry)
  if (!isObject(value) || Array.isArray(value)) return undefined
  return isObject(value.cookie) ? value : Object.values(value).map(parse).filter(isObject).find(({ cookie }) => isObject(cookie))
}

function notUnderstood (what: string): Error {
  return new Error(`fromExpressStore: all() of the express-session store returned ${what}, so that sessions of a principal may be missing. ` +
    'Give the store an all() that calls back with its sessions, as docs/stores/express.md shows.')
}

function parse (value: unknown): unknown {
  try {
    return typeof value === 'string' ? JSON.parse(value) : value
  } catch {
    return undefined
  }
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** A Map or the cursor of a database has no entries for `Object.values`. Plain objects of another realm have their own prototype. */
function isPlain (value: unknown): value is Record<string, unknown> {
  if (!isObject(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
