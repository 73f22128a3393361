import type { Report } from '../events/events.js'
import type { Awaitable } from '../store/store.js'
import { conflict } from '../errors.js'
import { UNRANKED } from '../session/times.js'
import type { Backend, Saved, Snapshot } from './backend.js'
import type { StoredSessions } from './reading.js'

/** The default limit. It applies only if the store counts sessions. */
const DEFAULT_LIMIT = 100
/** How many sessions a page of the principal's list holds. */
const PAGE = 500
/** How many times to try to end a session that concurrent requests change. Such changes must not keep it alive. */
const MAX_TRIES = 100

interface Sessions extends Pick<StoredSessions, 'list'>, Pick<Backend, 'endUnchanged'> {
  /** Gives a session another rank. Returns `undefined` if the session has ended. */
  rank (session: Snapshot, rank: number): Awaitable<Snapshot | undefined>
}

/**
 * Applies the option `maxPerPrincipal` after a login: ends the sessions of the oldest logins above the limit. A failure is reported
 * and not thrown: the session is stored, so its cookie must be sent.
 */
export function keepLimit (sessions: Sessions, limit: number | undefined, created: Saved, report: Report): Awaitable<Saved> {
  const { snapshot, count = 0 } = created
  const mayBeOver = count === true ? limit !== undefined : count > (limit ?? DEFAULT_LIMIT)
  if (snapshot.principal === undefined || (!mayBeOver && rankOf(snapshot) !== UNRANKED)) return created
  return trim(sessions, limit ?? DEFAULT_LIMIT, snapshot, report).then((snapshot) => ({ ...created, snapshot }), (error: unknown) => {
    report({ type: 'failed', reason: 'limit', detail: (error as Error).message }, snapshot)
    return created
  })
}

/** Ends the oldest sessions if there are more than `most`, and gives an adopted session its rank. */
async function trim (sessions: Sessions, most: number, created: Snapshot, report: Report): Promise<Snapshot> {
  const others = (await latestFirst(sessions, created)).filter(({ id }) => id !== created.id)
  const isOver = others.length >= most
  // This login counts as the latest, even if the clocks of other processes are ahead.
  const rank = Math.max(isOver ? rankOf(others[0] as Snapshot) + 1 : 0, created.times.authenticatedAt)
  const own = rank === rankOf(created) ? created : await sessions.rank(created, rank)
  if (own === undefined || (own === created && !isOver)) return created
  for (let tries = 0; tries <= MAX_TRIES; tries++) {
    let ended = true
    // Reads the list again, because it must be newer than the rank.
    for (const surplus of (await latestFirst(sessions, created)).slice(most)) ended = await sessions.endUnchanged(surplus, 'limit', report) && ended
    if (ended) return own
  }
  throw conflict()
}

/** Returns the sessions of the same principal, without those that are being adopted and may not stay. */
async function latestFirst (sessions: Sessions, { principal }: Snapshot): Promise<Snapshot[]> {
  const all = new Map<string, Snapshot>()
  let cursor: string | undefined
  do {
    const page = await sessions.list(principal as string, PAGE, cursor)
    for (const session of page.sessions) if (rankOf(session) !== UNRANKED) all.set(session.id, session)
    cursor = page.cursor
  } while (cursor !== undefined)
  return [...all.values()].sort((a, b) => rankOf(b) - rankOf(a) || (a.id < b.id ? -1 : 1))
}

function rankOf ({ times: { rank, authenticatedAt } }: Snapshot): number { return rank ?? authenticatedAt }
