import { WideMap } from './wide-map.js'

/** A session as the index needs it. */
export interface Indexed {
  /** The number of the session's place among those of its principal. Belongs to the index. */
  place: number
}

/** Sessions of one principal that a page may hold, however many the caller asks for. */
const LARGEST_PAGE = 1000

/**
 * The sessions of each principal, oldest first, for stores that keep an index in memory. A principal without sessions takes
 * up no memory, and a principal with a single session needs no set.
 */
export class PrincipalIndex<T extends Indexed> {
  readonly #principals = new WideMap<T | Set<T>>()
  #places = 0

  /** Returns how many sessions the principal has then; `true` without a principal. */
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

  /** Returns how many sessions a principal has; `true` without one. */
  count (principal: string | undefined): number | true {
    if (principal === undefined) return true
    const found = this.#principals.get(principal)
    return found instanceof Set ? found.size : Number(found !== undefined)
  }

  /**
   * Returns up to `limit` sessions from `cursor` on, and the cursor of the sessions after them. A session never changes its
   * place, so whatever is removed between two pages, none is skipped.
   */
  page (principal: string, limit: number, cursor = '0'): { sessions: T[], cursor: string | undefined } {
    const found = this.#principals.get(principal)
    const [from, most] = [Number(cursor), Math.min(limit, LARGEST_PAGE)]
    const sessions: T[] = []
    for (const session of found instanceof Set ? found : found === undefined ? [] : [found]) {
      if (session.place < from) continue
      if (sessions.length >= most) return { sessions, cursor: String(session.place) }
      sessions.push(session)
    }
    return { sessions, cursor: undefined }
  }

  clear (): void {
    this.#principals.clear()
  }
}
