import { hash } from 'node:crypto'
import { callInTime, chain, rescue } from '../awaitable.js'
import type { NewSession, Saved, Snapshot } from '../backend/backend.js'
import type { Claim } from '../backend/reading.js'
import type { StoredBackend } from '../backend/stored.js'
import { SessionError } from '../errors.js'
import type { Report } from '../events/events.js'
import type { Scheme } from '../options/scheme.js'
import type { Adoption } from '../options/types.js'
import { hashSecret, mintCredential } from '../session/credential.js'
import { beginTimes, expiryOf, UNRANKED } from '../session/times.js'

/** Milliseconds in which the old cookie leads to the new session. Of the parallel requests of a page, the first adopts it. */
const GRACE = 10_000
const SILENT: Report = () => {}

/**
 * Finds the session of another plugin by its cookie value, and its adoption, if no request has adopted it. An adopted session is
 * never adopted again, even if the new session has ended. @throws `FST_SESSION_STORE`
 */
export async function findOldSession (
  scheme: Scheme, adoption: Adoption<unknown>, value: string, report: Report
): Promise<{ readonly snapshot: Snapshot, readonly adoption?: PendingAdoption } | undefined> {
  const { name, codec, stored, settings, settings: { now, storeTimeout } } = scheme
  const cookie = `the cookie "${adoption.cookieName}"`
  try {
    // All spellings of a percent-encoded value count as one. Other text stays as it is.
    const id = adoption.identify(await rescue(() => decodeURIComponent(value), () => value))
    if (id === undefined) return report({ type: 'rejected', reason: 'malformed-cookie', detail: `the signature of ${cookie} does not verify: check the secret in the option adopt` })
    // The order matters. A session is claimed before it ends. So if it was live and then has no claim, it is not adopted yet.
    const old = await callInTime(() => adoption.find(id), storeTimeout)
    const end = old == null ? 0 : adoption.expiresAt?.(old) ?? Infinity
    const key = hash('sha256', `adopted:${name}:${old == null ? id : adoption.id?.(old, id) ?? id}`, 'base64url')
    const claim = await stored?.claimed(key)
    if (stored !== undefined && claim !== undefined) return await claimedSession(stored, claim, now())
    if (end <= now()) return report({ type: 'expired', reason: 'absent', detail: `${cookie} leads to no live session: if it should, check the store or the key in the option adopt` })
    const data = await (adoption.data === undefined ? old : adoption.data(old))
    if (data === undefined) return undefined
    const authenticatedAt = Math.min(instant(adoption.authenticatedAt?.(old)), now())
    const times = { ...beginTimes(settings, {}, now()), authenticatedAt, rank: UNRANKED }
    const credential = mintCredential()
    const content = codec.accept(data)
    const secretHash = hashSecret(credential.secret)
    const forget = async () => await chain(callInTime(() => adoption.forget?.(id), storeTimeout), () => true as const)
    return {
      snapshot: { id: credential.id, version: 0, expiresAt: expiryOf(times, settings, now()), times, secretHash, ...content },
      adoption: pending(scheme, { credential, times, content, reason: 'adopted' }, key, Math.max(instant(end), times.deadline), forget)
    }
  } catch (error) {
    if (error instanceof SessionError && error.code === 'FST_SESSION_STORE') throw error
    // The app's functions must not keep the user from signing in. The message of their errors may hold data.
    const detail = error instanceof SessionError ? error.message : `reading it threw ${error instanceof Error ? error.name : typeof error}`
    return report({ type: 'discarded', reason: 'unfit', detail })
  }
}

/** The adoption of one session, to complete when a cookie can be sent. */
export type PendingAdoption = ReturnType<typeof pending>

/** `key` names the claim of the old session, which lasts until `until`. */
function pending ({ backend, stored, settings }: Scheme, session: NewSession, key: string, until: number, forget: () => Promise<true>) {
  const { id } = session.credential
  /** Claims the old session and ends it. Returns `false` if another request has claimed it. */
  const claim = async (stored: StoredBackend, saved: Snapshot): Promise<boolean> => {
    try {
      return await stored.claim(key, id, until) && await forget()
    } catch (error) {
      // Delete the new session and the claim, so that the next request can adopt the old session. Keep the claim if a concurrent
      // request has ended the new session (a logout), or if the claim is that of another request. A failed call may have written it.
      const wasLive = await backend.end(saved, 'replaced', SILENT)
      if (wasLive && (await stored.claimed(key))?.id === id) await stored.unclaim(key)
      throw error
    }
  }
  return {
    /** Ends the old session. @throws `FST_SESSION_STORE` */
    forget,
    /**
     * Stores the session and ends the old one. If a concurrent request did that first, returns its session, without a cookie, or
     * `undefined` if that session has ended. @throws `FST_SESSION_STORE`, with the old session still in place
     */
    async complete (report: Report): Promise<Saved | undefined> {
      const saved = await backend.create(session, SILENT)
      // With a sealed cookie, parallel requests cannot find the new session. The old one serves them a moment longer.
      if (stored === undefined) setTimeout(() => { void forget().catch(() => {}) }, GRACE).unref()
      else if (!await claim(stored, saved.snapshot)) {
        await backend.end(saved.snapshot, 'replaced', SILENT)
        return await claimedSession(stored, await stored.claimed(key), settings.now())
      }
      report({ type: 'created', reason: 'adopted' }, saved.snapshot)
      return await (stored?.limit(saved, report) ?? saved)
    }
  }
}

/** Returns the session that a claim leads to, `undefined` once `GRACE` has passed. */
async function claimedSession (stored: StoredBackend, claim: Claim | undefined, now: number) {
  const snapshot = claim === undefined || now - claim.since >= GRACE ? undefined : await stored.find(claim.id)
  return snapshot && { snapshot }
}

/** Returns an instant in whole milliseconds that every store can keep, 0 if it is unknown or an invalid date. */
function instant (at = 0): number { return Number.isFinite(at) ? Math.min(Math.max(0, Math.ceil(at)), Number.MAX_SAFE_INTEGER) : 0 }
