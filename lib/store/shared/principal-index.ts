import { ShardedMap } from './sharded-map.js'

/** The field of a session that the index needs. */
export interface Indexed {
  /** The session's position among those of its principal. Only the index sets it. */
  place: number
}

/** The largest page, even if the caller asks for more. */
const LARGEST_PAGE = 1000

/** Indexes sessions in memory by principal, oldest first. A principal with a single session needs no `Set`. */
export class PrincipalIndex<T extends Indexed> {
  readonly #principals = new ShardedMap<T | Set<T>>()
  #places = 0

  /** Adds a session. Returns the new number of sessions of the principal, or `true` without a principal. */
  add (principal: string | undefined, session: T): number | true {
    if (principal === undefined) return true
    session.place = ++this.#places
    const found = this.#principals.get(principal)
    if (found instanceof Set) return found.add(session).size
    this.#principals.set(principal, found === undefined ? session : new Set([found, session]))
    return found === undefined ? 1 : 2
  }

  remove (principal: string | undefined, session: T): void {
    if (principal === undefined) return
    const found = this.#principals.get(principal)
    if (found instanceof Set ? found.delete(session) && found.size === 0 : found === session) this.#principals.delete(principal)
  }

  /** Returns up to `limit` sessions from `cursor` on, and the next cursor. Sessions keep their places, so a removal skips none. */
  page (principal: string, limit: number, cursor = '0'): { sessions: T[], cursor: string | undefined } {
    const found = this.#principals.get(principal)
    const [from, size] = [Number(cursor), Math.min(limit, LARGEST_PAGE)]
    const sessions: T[] = []
    for (const session of found instanceof Set ? found : found === undefined ? [] : [found]) {
      if (session.place < from) continue
      if (sessions.length >= size) return { sessions, cursor: String(session.place) }
      sessions.push(session)
    }
    return { sessions, cursor: undefined }
  }
}
