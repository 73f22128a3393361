/**
 * The ids of each principal's sessions, for stores that keep an index in memory. Nothing is left of a principal
 * without sessions, and one with a single session, as most are, costs no Set.
 */
export class PrincipalIndex {
  readonly #ids = new Map<string, string | Set<string>>()

  add (principal: string | undefined, id: string): void {
    if (principal === undefined) return
    const ids = this.#ids.get(principal)
    if (ids === undefined) this.#ids.set(principal, id)
    else if (typeof ids !== 'string') ids.add(id)
    else if (ids !== id) this.#ids.set(principal, new Set([ids, id]))
  }

  remove (principal: string | undefined, id: string): void {
    if (principal === undefined) return
    const ids = this.#ids.get(principal)
    if (ids === id) this.#ids.delete(principal)
    else if (typeof ids === 'object' && ids.delete(id) && ids.size === 0) this.#ids.delete(principal)
  }

  /** A copy: the index may be changed while it is gone through. */
  idsOf (principal: string): readonly string[] {
    const ids = this.#ids.get(principal)
    return ids === undefined ? [] : typeof ids === 'string' ? [ids] : [...ids]
  }

  clear (): void {
    this.#ids.clear()
  }
}
