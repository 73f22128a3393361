import { callInTime, chain } from '../awaitable.js'
import type { Report } from '../events/events.js'
import { isSessionId } from '../session/credential.js'
import type { Awaitable, SessionRecord, SessionStore } from '../store/store.js'
import type { Claim, Directory, Saved, Snapshot } from './backend.js'

/** A call on many sessions works in batches. It may take this many times the limit of a single call. */
const BULK_FACTOR = 30

interface Context {
  readonly store: SessionStore
  /** Milliseconds. */
  readonly storeTimeout: number
  readonly now: () => number
  readonly report: Report
}

/** The parts of the backend that the directory needs. */
interface Reading {
  readonly read: (id: string, record: SessionRecord) => Snapshot | undefined
  readonly touch: (session: Snapshot) => Awaitable<Snapshot>
  readonly limit: (created: Saved, report: Report) => Awaitable<Saved>
}

export function storedDirectory (
  { store, storeTimeout, now, report }: Context, { read, touch, limit }: Reading
): Directory {
  const inTime = <T>(call: () => Awaitable<T>): Awaitable<T> => callInTime(call, storeTimeout)
  const live = (id: string, record: SessionRecord | undefined): Snapshot | undefined =>
    record === undefined || record.expiresAt <= now() ? undefined : read(id, record)
  return {
    find (id, isActivity = false) {
      if (!isSessionId(id)) return undefined
      return chain(inTime(() => store.read(id)), (record) => {
        const session = live(id, record)
        return session !== undefined && isActivity ? touch(session) : session
      })
    },
    async list (principal, limit, cursor) {
      const page = await inTime(() => store.list(principal, { limit, cursor }))
      const sessions = page.sessions.map(({ id, record }) => live(id, record)).filter((session) => session !== undefined)
      return { sessions, cursor: page.cursor }
    },
    async revoke (id) {
      const deleted = isSessionId(id) && await inTime(() => store.delete(id))
      if (deleted) report({ type: 'destroyed', reason: 'revoke', id })
      return deleted
    },
    async revokeAll (principal, except) {
      const count = await callInTime(() => store.deleteAll(principal, except), storeTimeout * BULK_FACTOR)
      if (count > 0) report({ type: 'destroyed', reason: 'revoke', principal, detail: `${count} sessions` })
      return count
    },
    revokeEverything: store.clear && (async () => {
      await callInTime(() => store.clear?.(), storeTimeout * BULK_FACTOR)
      report({ type: 'destroyed', reason: 'revoke', detail: 'all sessions' })
    }),
    claim (key, id, until) {
      const payload = JSON.stringify({ claim: id, since: now() })
      return chain(inTime(() => store.create(key, { payload, version: 1, expiresAt: until })), (created) => created !== false)
    },
    claimed: (key) => chain(inTime(() => store.read(key)), (record) => record && claimIn(record)),
    unclaim: (key) => chain(inTime(() => store.delete(key)), () => {}),
    limit
  }
}

function claimIn ({ payload }: SessionRecord): Claim | undefined {
  const [, id, since] = /^\{"claim":"([\w-]+)","since":(\d+)\}$/.exec(payload) ?? []
  return id === undefined ? undefined : { id, since: Number(since) }
}
