import { WideMap } from './wide-map.js'

/** A session as the index needs it. */
export interface Indexed {
  /** The number of the batch that the session is in. Belongs to the index. */
  batch: number
}

/** Sessions of one principal that an answer may hold, however many the caller asks for. */
const LARGEST_PAGE = 1000
/** A page consists of whole batches, so it exceeds its limit by less than one. */
const BATCH_SIZE = 32

/**
 * The sessions of each principal, for stores that keep an index in memory. A principal without sessions takes up no
 * memory, and a principal with a single session needs no list.
 */
export class PrincipalIndex<T extends Indexed> {
  readonly #principals = new WideMap<T | Batches<T>>()

  /** Returns how many sessions the principal has then; `true` without a principal. */
  add (principal: string | undefined, session: T): number | true {
    if (principal === undefined) return true
    const found = this.#principals.get(principal)
    session.batch = 0
    if (found instanceof Batches) return found.add(session)
    this.#principals.set(principal, found === undefined ? session : new Batches(found, session))
    return found === undefined ? 1 : 2
  }

  remove (principal: string | undefined, session: T): void {
    if (principal === undefined) return
    const found = this.#principals.get(principal)
    const left = found instanceof Batches ? found.remove(session) : Number(found !== session)
    if (left === 0) this.#principals.delete(principal)
  }

  /** Returns how many sessions a principal has; `true` without one. */
  count (principal: string | undefined): number | true {
    if (principal === undefined) return true
    const found = this.#principals.get(principal)
    return found instanceof Batches ? found.size : Number(found !== undefined)
  }

  /**
   * Returns about `limit` sessions from `cursor` on, oldest first, and the cursor of the sessions after them. A session
   * never changes its place, so whatever is removed between two pages, none is skipped.
   */
  page (principal: string, limit: number, cursor: string | undefined): { sessions: T[], cursor: string | undefined } {
    const found = this.#principals.get(principal)
    if (found instanceof Batches) return found.page(Math.min(limit, LARGEST_PAGE), Number(cursor ?? 0))
    return { sessions: found === undefined ? [] : [found], cursor: undefined }
  }

  clear (): void {
    this.#principals.clear()
  }
}

/** Sessions in batches with ascending numbers. Only the newest batch takes in more. */
class Batches<T extends Indexed> {
  size = 0
  readonly #batches = new Map<number, T[]>()
  #newest = 0

  constructor (...sessions: T[]) {
    for (const session of sessions) this.add(session)
  }

  /** Returns how many sessions there are then. */
  add (session: T): number {
    const last = this.#batches.get(this.#newest)
    if (last !== undefined && last.length < BATCH_SIZE) last.push(session)
    else this.#batches.set(++this.#newest, [session])
    session.batch = this.#newest
    return ++this.size
  }

  /** Returns how many sessions are left. */
  remove (session: T): number {
    const batch = this.#batches.get(session.batch)
    const at = batch?.indexOf(session) ?? -1
    if (batch === undefined || at === -1) return this.size
    batch.splice(at, 1)
    if (batch.length === 0) this.#batches.delete(session.batch)
    return --this.size
  }

  page (limit: number, from: number): { sessions: T[], cursor: string | undefined } {
    const sessions: T[] = []
    for (const [number, batch] of this.#batches) {
      if (number < from) continue
      if (sessions.length >= limit) return { sessions, cursor: String(number) }
      sessions.push(...batch)
    }
    return { sessions, cursor: undefined }
  }
}
