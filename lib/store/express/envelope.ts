import type { SessionRecord, StoredSession } from '../store.js'
import type { ExpressSession } from './callbacks.js'

/** A record as it lies in an express-session store, under a name that its own sessions do not use. */
export interface Envelope extends ExpressSession {
  record: SessionRecord & { readonly id: string }
}

/** Stores count by the real clock, so the cookie says how long from now, whatever clock the records go by. */
export function wrap (id: string, record: SessionRecord, now: number): Envelope {
  const life = Math.max(1, Math.ceil(record.expiresAt - now))
  return {
    // Each store looks at another of the three: expires (connect-redis), maxAge (memorystore), originalMaxAge (session-file-store).
    cookie: { originalMaxAge: life, maxAge: life, expires: new Date(Date.now() + life), httpOnly: true, path: '/' },
    record: { id, ...record }
  }
}

/** What `wrap` was given; `undefined` for everything else, such as a session of express-session itself. */
export function unwrap (session: unknown): StoredSession | undefined {
  const record: unknown = isObject(session) ? session.record : undefined
  if (!isObject(record)) return undefined
  const { id, payload, version, expiresAt, principal } = record
  if (typeof id !== 'string' || typeof payload !== 'string' || typeof version !== 'number' || typeof expiresAt !== 'number') return undefined
  if (principal === undefined) return { id, record: { payload, version, expiresAt } }
  return typeof principal === 'string' ? { id, record: { payload, version, expiresAt, principal } } : undefined
}

/** The key for an id: the id itself where any store takes it for a file name or a pattern, else its UTF-16 in base64url. */
export function keyOf (id: string): string {
  return /^[\w-]{1,100}$/.test(id) ? id : `~${Buffer.from(id, 'utf16le').toString('base64url')}`
}

/** What `all` answers is a list in some stores and an object by key in others. */
export function unwrapAll (sessions: unknown): StoredSession[] {
  return isObject(sessions) ? Object.values(sessions).map(unwrap).filter((session) => session !== undefined) : []
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
