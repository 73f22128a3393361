import { HashTable } from './hash-table.js'

/** Indexes sessions in memory by principal, oldest first. A principal with several sessions has a map of their places. */
export class PrincipalIndex<T extends { readonly principal: string | undefined }> {
  readonly #principals = new HashTable<T | (Map<T, number> & { readonly principal: string })>(({ principal }) => principal!)
  #places = 0

  /** Adds a session. Returns the new number of sessions of the principal, or `true` without a principal. */
  add (session: T): number | true {
    const { principal } = session
    if (principal === undefined) return true
    const found = this.#principals.get(principal)
    if (found instanceof Map) return found.set(session, ++this.#places).size
    const own = found === undefined ? session : Object.assign(new Map([[found, ++this.#places], [session, ++this.#places]]), { principal })
    this.#principals.set(principal, own)
    return found === undefined ? 1 : 2
  }

  /** Removes a session. Its principal must not have changed since it was added. */
  remove (session: T): void {
    const { principal } = session
    if (principal === undefined) return
    const found = this.#principals.get(principal)
    if (found instanceof Map ? found.delete(session) && found.size === 0 : found === session) this.#principals.delete(principal)
  }

  /** Returns at most `limit` and 1,000 sessions from `cursor` on, and the next cursor. They keep their places: a removal skips none. */
  page (principal: string, limit: number, cursor = '0'): { sessions: T[], cursor: string | undefined } {
    const found = this.#principals.get(principal)
    const [from, size] = [Number(cursor), Math.min(limit, 1000)]
    const sessions: T[] = []
    for (const [session, place] of found instanceof Map ? found : found === undefined ? [] : [[found, from] as const]) {
      if (place < from) continue
      if (sessions.length >= size) return { sessions, cursor: String(place) }
      sessions.push(session)
    }
    return { sessions, cursor: undefined }
  }
}
