import type { FastifyRequest } from 'fastify'
import { chain, rescue } from '../awaitable.js'
import type { Snapshot } from '../backend/backend.js'
import { type Report, traced, tracing } from '../events/events.js'
import { findOldSession, type PendingAdoption } from '../migration/adoption.js'
import type { Scheme } from '../options/scheme.js'
import { freezeJson } from '../session/json.js'
import { hasIdled, IDLED } from '../session/times.js'
import type { Awaitable } from '../store/store.js'
import { type LoadedAs, warnOfDuplicate } from './diagnostics.js'

/** The session of a request, as it was loaded. */
export interface Found {
  readonly scheme: Scheme
  readonly loaded: LoadedAs
  readonly snapshot: Snapshot | undefined
  /** The result of the option `user`. */
  readonly user: unknown
  /** The adoption to complete when a cookie can be sent. */
  readonly adoption: PendingAdoption | undefined
  /** The `Set-Cookie` headers to send, whatever the handler does. */
  readonly cookieHeaders: readonly string[]
  /** The `Set-Cookie` header that expires the former cookie. Sent when a new cookie replaces it or the session ends. */
  readonly former: string | undefined
  /** The error of the load, if `loaded` is `failed`. */
  readonly error: unknown
}

const NO_HEADERS: readonly string[] = Object.freeze([])

export function foundAs (
  loaded: LoadedAs, scheme: Scheme, snapshot?: Snapshot, { user, adoption, cookieHeaders = NO_HEADERS, former, error }: Partial<Found> = {}
): Found {
  return { scheme, loaded, snapshot, user, adoption, cookieHeaders, former, error }
}

/** Returns whether the response may depend on the session. The cookie of a new one keeps its response out of shared caches, too. */
export function isSeen ({ snapshot, loaded }: Found): boolean { return snapshot !== undefined || loaded === 'refused' }

/** Loads the session of a request by its cookie. With `touch`, the request counts as activity. Never fails: see `Found.error`. */
export function loadSession (scheme: Scheme, request: FastifyRequest, touch: boolean): Awaitable<Found> {
  return rescue(() => findSession(scheme, request, touch), (error) => foundAs('failed', scheme, undefined, { error }))
}

/** Finds the session of the first cookie that the request has. @throws `FST_SESSION_STORE`, or what `verify` and `user` throw */
function findSession (scheme: Scheme, request: FastifyRequest, touch: boolean): Awaitable<Found> {
  const report: Report = (event, of) => { scheme.reportOn(request)(event, of) }
  const { cookie: { candidates }, backend } = scheme
  for (const { name, former } of candidates) {
    const value = cookieValue(request.headers.cookie, name)
    if (value === undefined) continue
    if (value === DUPLICATE) {
      report({ type: 'rejected', reason: 'duplicate-cookie' })
      if (former === undefined) warnOfDuplicate(request, scheme)
      const cookieHeaders = candidates.flatMap((other) => other.name === name && other.former !== undefined ? [other.former] : [])
      return foundAs('duplicate-cookie', scheme, undefined, { cookieHeaders })
    }
    const load = (): Awaitable<Snapshot | undefined> => backend.load(value, touch, report, name)
    return chain(tracing.hasSubscribers ? traced('load', scheme.name, request, load) : load(), (snapshot) => {
      const found = foundAs(snapshot === undefined ? 'ended' : 'live', scheme, snapshot)
      return verified(request, former === undefined ? found : movedFrom(former, value, found), report)
    })
  }
  return adoptedSession(scheme, request, report)
}

/** Moves a session from a former cookie to the current one. */
function movedFrom (former: string, value: string, found: Found): Found {
  const { scheme, snapshot } = found
  if (snapshot === undefined) return { ...found, former, cookieHeaders: [former] }
  // A sealed cookie opens only under its own name. It is sealed again under the current name before the response.
  const cookieHeaders = scheme.stored === undefined ? NO_HEADERS : [scheme.cookie.write(value, snapshot.times), former]
  return { ...found, former, cookieHeaders }
}

/** Reads a session again after its load. Version 0 is not adopted yet. @throws `FST_SESSION_STORE`, or what `verify` and `user` throw */
export function findAgain (scheme: Scheme, request: FastifyRequest, before: Snapshot, report: Report): Awaitable<Found> {
  if (before.version === 0) return adoptedSession(scheme, request, report)
  return chain(scheme.backend.reload(before), (snapshot): Awaitable<Found> => {
    // After a renewal, the cookie of this request is invalid. The request must not get rights that the session was given since.
    if (snapshot !== undefined && snapshot.secretHash === before.secretHash) return verified(request, foundAs('live', scheme, snapshot), report)
    if (snapshot !== undefined) report({ type: 'rejected', reason: 'stale-secret' }, snapshot)
    else if (hasIdled(before, scheme.settings.now())) report({ type: 'expired', ...IDLED }, before)
    return foundAs('ended', scheme)
  })
}

function adoptedSession (scheme: Scheme, request: FastifyRequest, report: Report): Awaitable<Found> {
  const { settings: { adopt }, expireAdopted: former } = scheme
  const value = adopt && cookieValue(request.headers.cookie, adopt.cookieName)
  if (adopt === undefined || value === undefined) return foundAs('no-cookie', scheme)
  if (value === DUPLICATE) return report({ type: 'rejected', reason: 'duplicate-cookie' }) ?? foundAs('duplicate-cookie', scheme)
  return chain(findOldSession(scheme, adopt, value, report), (found) => found === undefined
    ? foundAs('not-adopted', scheme)
    : verified(request, foundAs('adopted', scheme, found.snapshot, { adoption: found.adoption, former }), report))
}

/** Calls the options `verify` and `user`, and adds the user. Ends the session if one of them refuses it. */
function verified (request: FastifyRequest, found: Found, report: Report): Awaitable<Found> {
  const { scheme, snapshot } = found
  const { verify, user, principal } = scheme.settings
  const isGuest = principal !== undefined && snapshot?.principal === undefined
  if (snapshot === undefined || isGuest || (verify === undefined && user === undefined)) return found
  const data = freezeJson(snapshot.data)
  return chain(verify === undefined ? true : verify(data, request), (holds): Awaitable<Found> => {
    if (!holds) return refused(found, snapshot, report)
    if (user === undefined) return found
    return chain(user(data, request), (user: unknown) => user == null ? refused(found, snapshot, report) : { ...found, user })
  })
}

/** Ends a refused session, unless it has changed since (a new password): this request gets 401, and the next one asks again. */
function refused ({ scheme, adoption, former }: Found, snapshot: Snapshot, report: Report): Awaitable<Found> {
  const { backend, cookie } = scheme
  const ended = adoption === undefined ? backend.endUnchanged(snapshot, 'verify', report) : adoption.forget()
  const cookieHeaders = [adoption === undefined ? cookie.expire : undefined, former].filter((header) => header !== undefined)
  return chain(ended, (ended) => ended ? foundAs('refused', scheme, undefined, { cookieHeaders }) : foundAs('ended', scheme))
}

/** The result for a cookie that a request has twice. One may be forged (RFC 6265bis, 8.6), so neither is used. */
export const DUPLICATE = Symbol('duplicate cookie')

/** Returns a value of a Cookie header, `undefined` if absent or empty. Not decoded: credentials are not encoded. */
export function cookieValue (header: string | undefined, name: string): string | typeof DUPLICATE | undefined {
  if (header === undefined) return undefined
  let found: string | undefined
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + 1)) {
    const end = at + name.length
    let before = at - 1
    while (before >= 0 && (header[before] === ' ' || header[before] === '\t')) before--
    if (header[end] !== '=' || (before >= 0 && header[before] !== ';')) continue
    const stop = header.indexOf(';', end)
    if (found !== undefined) return DUPLICATE
    found = header.slice(end + 1, stop === -1 ? undefined : stop).trim()
  }
  return found === '' ? undefined : found
}
