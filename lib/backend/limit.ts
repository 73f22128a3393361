import type { Report } from '../events/events.js'
import type { Awaitable } from '../store/store.js'
import { conflict } from '../errors.js'
import { UNRANKED } from '../session/times.js'
import type { Backend, Directory, Saved, Snapshot } from './backend.js'

/** The default limit. It applies only if the store counts sessions. */
const DEFAULT_LIMIT = 100
/** How many sessions a page of the principal's list holds. */
const PAGE = 500
/** How many times to try to end a session that concurrent requests change. Such changes must not keep it alive. */
const MAX_TRIES = 100

interface Sessions extends Pick<Directory, 'list'>, Pick<Backend, 'endUnchanged'> {
  /** Gives a session another rank. Returns `undefined` if the session has ended. */
  rank (session: Snapshot, rank: number): Awaitable<Snapshot | undefined>
}

/** The option `maxPerPrincipal`: a login above the limit ends the sessions of the oldest logins. */
export class Limit {
  readonly #sessions: Sessions
  readonly #chosen: number | undefined
  readonly #most: number

  constructor (sessions: Sessions, chosen: number | undefined) {
    this.#sessions = sessions
    this.#chosen = chosen
    this.#most = chosen ?? DEFAULT_LIMIT
  }

  /** Enforces the limit after a login. A failure is reported and not thrown: the session is stored, so its cookie must be sent. */
  keep (created: Saved, report: Report): Awaitable<Saved> {
    const { snapshot, snapshot: { principal }, count = 0 } = created
    const mayBeOver = count === true ? this.#chosen !== undefined : count > this.#most
    if (principal === undefined || (!mayBeOver && rankOf(snapshot) !== UNRANKED)) return created
    return this.#trim(snapshot, principal, report).then((snapshot) => ({ ...created, snapshot }), (error: unknown) => {
      report({ type: 'failed', reason: 'limit', detail: (error as Error).message }, snapshot)
      return created
    })
  }

  /** Ends the oldest sessions if there are too many, and gives an adopted session its rank. */
  async #trim (created: Snapshot, principal: string, report: Report): Promise<Snapshot> {
    const others = (await this.#latestFirst(principal)).filter(({ id }) => id !== created.id)
    const isOver = others.length >= this.#most
    // This login counts as the latest, even if the clocks of other processes are ahead.
    const rank = Math.max(isOver ? rankOf(others[0] as Snapshot) + 1 : 0, created.times.authenticatedAt)
    const own = rank === rankOf(created) ? created : await this.#sessions.rank(created, rank)
    if (own === undefined || (own === created && !isOver)) return created
    for (let tries = 0; !await this.#endSurplus(principal, report); tries++) if (tries === MAX_TRIES) throw conflict()
    return own
  }

  /** Ends the surplus, by a list that was read after the rank was written. Returns `false` if another request changed a session. */
  async #endSurplus (principal: string, report: Report): Promise<boolean> {
    let ended = true
    for (const surplus of (await this.#latestFirst(principal)).slice(this.#most)) ended = await this.#sessions.endUnchanged(surplus, 'limit', report) && ended
    return ended
  }

  /** Returns the sessions of a principal, without those that are being adopted and may not stay. */
  async #latestFirst (principal: string): Promise<Snapshot[]> {
    const all = new Map<string, Snapshot>()
    let cursor: string | undefined
    do {
      const page = await this.#sessions.list(principal, PAGE, cursor)
      for (const session of page.sessions) if (rankOf(session) !== UNRANKED) all.set(session.id, session)
      cursor = page.cursor
    } while (cursor !== undefined)
    return [...all.values()].sort((a, b) => rankOf(b) - rankOf(a) || (a.id < b.id ? -1 : 1))
  }
}

function rankOf ({ times: { rank, authenticatedAt } }: Snapshot): number { return rank ?? authenticatedAt }
