import type { FastifyRequest } from 'fastify'
import { chain } from '../awaitable.js'
import type { Snapshot } from '../backend/backend.js'
import type { Report } from '../events/events.js'
import { traced } from '../events/trace.js'
import { findPredecessor, PendingAdoption } from '../migration/adoption.js'
import type { Scheme } from '../options/scheme.js'
import { freezeJson } from '../session/json.js'
import type { Awaitable } from '../store/store.js'
import { cookieValue, DUPLICATE } from './cookie-header.js'
import type { LoadedAs } from './diagnostics.js'

/** The result of looking up the session of a request's cookie. */
export interface Found {
  readonly loaded: LoadedAs
  readonly snapshot?: Snapshot
  /** The result of the option `user`. */
  readonly user?: unknown
  /** The adoption to complete when a cookie can be sent. */
  readonly adoption?: PendingAdoption
  /** The `Set-Cookie` headers to send, whatever the handler does. */
  readonly lines?: readonly string[]
}

type FoundSession = Found & { readonly snapshot: Snapshot }

const NO_COOKIE: Found = Object.freeze({ loaded: 'no-cookie' })
const ENDED: Found = Object.freeze({ loaded: 'ended' })

/**
 * Finds the session of a request by its cookie. With `touch` the request counts as activity.
 * @throws `FST_SESSION_STORE`, or what the options `verify` and `user` throw
 */
export function findSession (scheme: Scheme, request: FastifyRequest, touch: boolean, report: Report): Awaitable<Found> {
  const { previous } = scheme.cookie
  const value = cookieValue(request.headers.cookie, scheme.cookie.name)
  if (value === DUPLICATE) {
    report({ type: 'rejected', reason: 'duplicate-cookie' })
    return { loaded: 'duplicate-cookie', lines: previous.filter(({ name }) => name === scheme.cookie.name).map(({ expire }) => expire) }
  }
  if (value === undefined || value === '') {
    return chain(previousSession(scheme, request, touch, report), (found) => found ?? adoptedSession(scheme, request, report))
  }
  const loaded = traced('load', scheme.name, request, () => scheme.backend.load(value, touch, report))
  return chain(loaded, (snapshot) => snapshot === undefined ? ENDED : verified(scheme, request, { loaded: 'live', snapshot }, report))
}

/** Finds the session of a former cookie, and moves it to the current one. */
function previousSession (scheme: Scheme, request: FastifyRequest, touch: boolean, report: Report): Awaitable<Found> | undefined {
  for (const { name, expire } of scheme.cookie.previous) {
    const value = cookieValue(request.headers.cookie, name)
    if (value === undefined || value === '' || value === DUPLICATE) continue
    return chain(scheme.backend.load(value, touch, report, name), (snapshot) => snapshot === undefined
      ? { loaded: 'ended', lines: [expire] }
      : verified(scheme, request, { loaded: 'live', snapshot, lines: [scheme.line(value, snapshot.times), expire] }, report))
  }
  return undefined
}

/**
 * Reads a session again that a request loaded some time ago.
 * @throws `FST_SESSION_STORE`, or what the options `verify` and `user` throw
 */
export function findAgain (scheme: Scheme, request: FastifyRequest, before: Snapshot, report: Report): Awaitable<Found> {
  const { directory } = scheme.backend
  const found = directory === undefined ? openAgain(scheme, request, report) ?? before : directory.find(before.id)
  return chain(found, (snapshot): Awaitable<Found> => {
    // After a renewal the cookie of this request opens nothing: it must not get what the session may do since then.
    if (snapshot !== undefined && snapshot.secretHash === before.secretHash) return verified(scheme, request, { loaded: 'live', snapshot }, report)
    if (snapshot !== undefined) report({ type: 'rejected', reason: 'stale-secret' }, snapshot)
    return ENDED
  })
}

/** Opens the sealed cookie of a request, under its current name or a former one. */
function openAgain ({ backend, cookie }: Scheme, request: FastifyRequest, report: Report): Awaitable<Snapshot | undefined> {
  for (const { name } of [cookie, ...cookie.previous]) {
    const value = cookieValue(request.headers.cookie, name)
    if (typeof value === 'string' && value !== '') return backend.load(value, false, report, name)
  }
  return undefined
}

function adoptedSession (scheme: Scheme, request: FastifyRequest, report: Report): Awaitable<Found> {
  const { adopt } = scheme.settings
  const value = adopt && cookieValue(request.headers.cookie, adopt.cookieName)
  if (adopt === undefined || value === undefined || value === DUPLICATE) return NO_COOKIE
  return chain(findPredecessor(scheme, adopt, value, report), (found): Awaitable<Found> => {
    if (found === undefined) return NO_COOKIE
    if (!(found instanceof PendingAdoption)) return verified(scheme, request, { loaded: 'adopted', snapshot: found }, report)
    return verified(scheme, request, { loaded: 'adopted', snapshot: found.snapshot, adoption: found }, report)
  })
}

/** Asks the options `verify` and `user`. */
function verified (scheme: Scheme, request: FastifyRequest, found: FoundSession, report: Report): Awaitable<Found> {
  const { verify, user, principal } = scheme.settings
  const { snapshot } = found
  if ((verify === undefined && user === undefined) || (principal !== undefined && snapshot.principal === undefined)) return found
  const data = freezeJson(snapshot.data)
  return chain(verify === undefined ? true : verify(data, request), (holds): Awaitable<Found> => {
    if (!holds) return refused(scheme, found, report)
    if (user === undefined) return found
    return chain(user(data, request), (user: unknown) => user == null ? refused(scheme, found, report) : { ...found, user })
  })
}

/**
 * Ends a session that was refused, if it is still as it was judged. If another request changed it in between (its password,
 * for example), this request gets its 401 with the cookie untouched, and the next one asks again.
 */
function refused ({ backend, cookie, expireAdopted }: Scheme, { snapshot, adoption }: FoundSession, report: Report): Awaitable<Found> {
  if (adoption !== undefined) return chain(adoption.forget(), () => ({ loaded: 'refused', lines: [expireAdopted as string] }))
  return chain(backend.endUnchanged(snapshot, 'verify', report), (ended) => ended ? { loaded: 'refused', lines: [cookie.expire()] } : ENDED)
}
