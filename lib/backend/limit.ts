import type { Report } from '../events/events.js'
import type { Awaitable } from '../store/store.js'
import { conflict } from '../errors.js'
import { UNRANKED } from '../session/times.js'
import type { Directory, Saved, Snapshot } from './backend.js'

/** The limit by default, which only applies where the store counts. */
const DEFAULT_LIMIT = 100
/** How many sessions a page of the principal's list holds. */
const PAGE = 500
/** How often a session that others write at the same time is tried to be ended: such writes must not keep it alive. */
const MAX_TRIES = 100

/** The parts of the backend that the limit needs. */
export interface LimitContext {
  readonly maxPerPrincipal: number | undefined
  readonly list: Directory['list']
  /** Gives a session another rank. Returns `undefined` if the session has ended. */
  readonly rank: (session: Snapshot, rank: number) => Awaitable<Snapshot | undefined>
  readonly endUnchanged: (session: Snapshot, reason: 'limit', report: Report) => Awaitable<boolean>
}

/** The option `maxPerPrincipal`: a login above the limit ends the sessions of the oldest logins. */
export class Limit {
  readonly #context: LimitContext
  readonly #most: number

  constructor (context: LimitContext) {
    this.#context = context
    this.#most = context.maxPerPrincipal ?? DEFAULT_LIMIT
  }

  /**
   * Enforces the limit after a session was created, and returns it as it is stored then. The session is stored and its
   * cookie has to be sent: a failure here is reported, and left to the next login.
   */
  keep (created: Saved, report: Report): Awaitable<Saved> {
    const { snapshot, snapshot: { principal }, count = 0 } = created
    const isOver = count === true ? this.#context.maxPerPrincipal !== undefined : count > this.#most
    if (principal === undefined || (!isOver && isRanked(snapshot))) return created
    return this.#trim(snapshot, principal, report).then((snapshot) => ({ ...created, snapshot }), (error: unknown) => {
      report({ type: 'failed', reason: 'limit', detail: (error as Error).message }, snapshot)
      return created
    })
  }

  async #trim (created: Snapshot, principal: string, report: Report): Promise<Snapshot> {
    const others = (await this.#all(principal)).filter(({ id }) => id !== created.id)
    const isOver = others.length >= this.#most
    if (!isOver && isRanked(created)) return created
    // This login counts as the latest, whatever the clocks of other processes say.
    const least = isOver ? others.reduce((rank, session) => Math.max(rank, rankOf(session)), 0) + 1 : 0
    const rank = Math.max(least, created.times.authenticatedAt)
    const own = rank === rankOf(created) ? created : await this.#context.rank(created, rank)
    if (own === undefined) return created
    for (let tries = 0; !await this.#endSurplus(principal, report); tries++) if (tries === MAX_TRIES) throw conflict()
    return own
  }

  /**
   * Ends the sessions over the limit. Returns `false` if another request changed one in between, so that it lives on. Read
   * after the rank is written: of two concurrent logins, both see the same order, and only one ends the other.
   */
  async #endSurplus (principal: string, report: Report): Promise<boolean> {
    const latestFirst = (await this.#all(principal)).sort((a, b) => rankOf(b) - rankOf(a) || (a.id < b.id ? -1 : 1))
    let ended = true
    for (const surplus of latestFirst.slice(this.#most)) ended = await this.#context.endUnchanged(surplus, 'limit', report) && ended
    return ended
  }

  async #all (principal: string): Promise<Snapshot[]> {
    const all = new Map<string, Snapshot>()
    let cursor: string | undefined
    do {
      const page = await this.#context.list(principal, PAGE, cursor)
      for (const session of page.sessions) if (isRanked(session)) all.set(session.id, session)
      cursor = page.cursor
    } while (cursor !== undefined)
    return [...all.values()]
  }
}

/** Returns `false` for a session of which it is not settled yet that it stays. */
function isRanked (session: Snapshot): boolean {
  return rankOf(session) !== UNRANKED
}

function rankOf ({ times: { rank, authenticatedAt } }: Snapshot): number {
  return rank ?? authenticatedAt
}
