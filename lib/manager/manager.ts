import { setTimeout as sleep } from 'node:timers/promises'
import type { Snapshot } from '../backend/backend.js'
import type { StoredBackend } from '../backend/stored.js'
import { must, refuseUnknown, timerMilliseconds } from '../errors.js'
import type { Scheme } from '../options/scheme.js'
import { cookieValue, DUPLICATE } from '../request/load.js'
import { mintCredential } from '../session/credential.js'
import { copyJson } from '../session/json.js'
import type { StartOptions } from '../session/session.js'
import { beginTimes } from '../session/times.js'

/** A session that `issue` created. */
export interface IssuedSession {
  readonly id: string
  /** `name=value`, as a client sends it in its `Cookie` header. It contains the secret: treat it like a password. */
  readonly cookie: string
  /** The `Set-Cookie` header that gives the cookie to a browser. */
  readonly setCookie: string
}

/** A live session as it is stored. Instants in epoch milliseconds. */
export interface SessionInfo<T extends object = Record<string, unknown>> {
  readonly id: string
  readonly principal: string | undefined
  readonly data: T
  readonly createdAt: number
  readonly authenticatedAt: number
  readonly expiresAt: number
}

/** One page of a principal's sessions. */
export interface SessionPage<T extends object = Record<string, unknown>> {
  /** The latest login of the page comes first. */
  readonly sessions: ReadonlyArray<SessionInfo<T>>
  /** Requests the next page; `undefined` on the last page. */
  readonly cursor: string | undefined
}

/** Options of `watch`. */
export interface WatchOptions {
  /** Ends the watch: abort it when the connection closes. The watch also ends when the app begins to close. */
  readonly signal?: AbortSignal | undefined
  /** Seconds between two polls of the store, which do not count as activity. An end is noticed within this time. Default 10. */
  readonly every?: number | undefined
}

/** Manages the sessions of a scheme outside of requests: `app.session` (or `app.<scheme>`). */
export interface SessionManager<T extends object = Record<string, unknown>, Input extends object = T> {
  /** Begins a session without a request: for tests, and for a sign-in on the server. @throws `FST_SESSION_INVALID_DATA` */
  issue (data: Input, options?: StartOptions): Promise<IssuedSession>
  /** Returns the live session with an id, `undefined` if it has ended. `touch` moves its idle deadline, as a request does. */
  find (id: string, options?: { touch?: boolean | undefined }): Promise<SessionInfo<T> | undefined>
  /**
   * Reads, changes and writes the data of a session as one step, at any time. `fn` changes the copy that it gets, or returns new
   * data. `fn` runs again on a conflict, so it should do nothing else. Does not move the idle deadline. Returns the data as stored.
   * @throws `FST_SESSION_REQUIRED` if the session has ended, `FST_SESSION_INVALID_DATA`
   */
  update (id: string, fn: (data: T) => T | void | Promise<T | void>): Promise<T>
  /**
   * Returns the live session of a `Cookie` header, for servers without a Fastify request, such as socket.io and `ws`. Moves the
   * idle deadline, as a request does. Does not check the `Origin` header, and does not call the options `verify` and `user`.
   */
  fromCookie (header: string | undefined): Promise<SessionInfo<T> | undefined>
  /** Waits until the session has ended, and returns `true`; `false` if `signal` aborts or the app closes first. */
  watch (id: string, options?: WatchOptions): Promise<boolean>
  /** Returns a page of about `limit` (default 100) live sessions of a principal. `cursor` is that of the previous page. */
  list (principal: string, options?: { limit?: number | undefined, cursor?: string | undefined }): Promise<SessionPage<T>>
  /** Ends a session. Concurrent requests cannot save it again. Returns true if it was live. */
  revoke (id: string): Promise<boolean>
  /** Ends all sessions of a principal, but not the one with the id `except`. Returns how many ended. */
  revokeAll (principal: string, options?: { except?: string | undefined }): Promise<number>
  /** Ends all sessions of the scheme, including those of guests. A session that begins during the call may stay. */
  revokeEverything (): Promise<void>
}

/** Returns the manager of a scheme. `closing` aborts when the app begins to close. */
export function createManager (scheme: Scheme, closing: AbortSignal): SessionManager {
  const { backend, codec, settings, cookie, reportOn } = scheme
  const watches = new Set<AbortController>()
  closing.addEventListener('abort', () => { for (const watch of watches) watch.abort() })
  return Object.freeze<SessionManager<any>>({
    async issue (data, options = {}) {
      const times = beginTimes(settings, options, settings.now())
      const session = { credential: mintCredential(), times, content: codec.accept(data), reason: 'issue' } as const
      const { snapshot: { id }, value = '' } = await backend.create(session, reportOn())
      return { id, cookie: `${cookie.name}=${value}`, setCookie: cookie.write(value, times) }
    },
    async fromCookie (header) {
      for (const { name } of cookie.candidates) {
        const value = cookieValue(header, name)
        if (value === undefined) continue
        const found = value === DUPLICATE ? undefined : await backend.load(value, true, reportOn(), name)
        return found && info(found)
      }
      return undefined
    },
    async watch (id, options = {}) {
      const found = storedFor(scheme, 'watch', options, ['signal', 'every'])
      // Each watch has its own signal. In one for all, each watch would leave a reference behind.
      const stop = new AbortController()
      if (closing.aborted) stop.abort()
      watches.add(stop)
      return await watch(found, id, settings, stop.signal, options).finally(() => { watches.delete(stop) })
    },
    ...methodsOfStores(scheme)
  })
}

/** Returns the methods that find a session without its cookie, except `watch`. */
function methodsOfStores (scheme: Scheme): Omit<SessionManager<any>, 'issue' | 'fromCookie' | 'watch'> {
  const { name, backend, codec, settings, reportOn, requiredError } = scheme
  return {
    async find (id, options = {}) {
      const found = await storedFor(scheme, 'find', options, ['touch']).find(id, options.touch)
      return found && info(found)
    },
    async update (id, fn) {
      const base = await storedFor(scheme, 'update').find(id)
      const compute = async (now: Snapshot) => ({ ...await codec.update(now, fn), expiresAt: now.expiresAt })
      const saved = base && await backend.save(base, compute, reportOn())
      if (saved === undefined) throw requiredError()
      return copyJson(saved.snapshot.data)
    },
    async list (principal, options = {}) {
      const { limit = 100, cursor: from } = options
      const found = storedForPrincipal(principal, scheme, 'list', options, ['limit', 'cursor'])
      must(Number.isInteger(limit) && limit > 0, 'limit must be a whole number, 1 or more')
      const { sessions, cursor } = await found.list(principal, limit, from)
      return { sessions: sessions.map(info).sort((a, b) => b.authenticatedAt - a.authenticatedAt), cursor }
    },
    revoke: async (id) => await storedFor(scheme, 'revoke').revoke(id),
    async revokeAll (principal, options = {}) {
      return await storedForPrincipal(principal, scheme, 'revokeAll', options, ['except']).revokeAll(principal, options.except)
    },
    async revokeEverything () {
      const { revokeEverything } = storedFor(scheme, 'revokeEverything')
      must(revokeEverything !== undefined, `app.${name}.revokeEverything() needs a store with the method clear(): add clear() to the store, as docs/write-a-store.md shows, or use RedisStore or SqlStore`)
      must(settings.adopt === undefined, `app.${name}.revokeEverything() does not end the old sessions of the other plugin, which would be adopted again: remove the option adopt first`)
      await revokeEverything()
    }
  }
}

/** Returns the stored backend for a method with options. @throws `FST_SESSION_OPTIONS` if there is none, or an option is not `known` */
function storedFor ({ name, stored }: Scheme, method: string, options: object = {}, known: readonly string[] = []): StoredBackend {
  refuseUnknown(options, known, `option * of ${method}()`)
  const advice = method === 'revokeEverything' ? 'replace all keys, which ends all sessions' : 'end sessions with the option verify and a generation number for each user'
  must(stored !== undefined, `app.${name}.${method}() needs a store: sealed cookies exist only in browsers. Use a store, or ${advice}.`)
  return stored
}

/** Returns the stored backend for a method with a principal. @throws also if the scheme has no principals, or the value cannot be one */
function storedForPrincipal (principal: unknown, scheme: Scheme, method: string, options: object, known: readonly string[]): StoredBackend {
  const found = storedFor(scheme, method, options, known)
  must(scheme.settings.principal !== undefined, `app.${scheme.name}.${method}() needs the option principal, which says whom a session belongs to: principal: (data) => data.userId`)
  // To find no sessions would look like a sign-out.
  must(typeof principal === 'string', `a principal is text, as the option principal returns it, and not ${typeof principal}: write String(...)`)
  return found
}

function info ({ id, principal, data, times: { createdAt, authenticatedAt }, expiresAt }: Snapshot): SessionInfo {
  return { id, principal, data: copyJson(data), createdAt, authenticatedAt, expiresAt }
}

/** Polls the store. Resolves `true` when the session has ended, `false` if a signal aborts first. */
async function watch (
  stored: StoredBackend, id: string, { now, idleTimeout }: Scheme['settings'], closing: AbortSignal, { signal: own, every = 10 }: WatchOptions
): Promise<boolean> {
  const interval = timerMilliseconds('every', every) as number
  const signal = own === undefined ? closing : AbortSignal.any([own, closing])
  let expiresAt = now() + idleTimeout
  while (!signal.aborted) {
    try {
      const session = await stored.find(id)
      if (session === undefined) return !signal.aborted
      expiresAt = session.expiresAt
    } catch {
      // If the store does not work, the session counts as live until its last known expiry.
      if (expiresAt <= now()) return true
    }
    // The poll alone must not keep the process alive.
    await sleep(Math.max(0, Math.min(interval, expiresAt - now())), undefined, { signal, ref: false }).catch(() => {})
  }
  return false
}
