import type { Directory, Live } from './backend/backend.js'
import { SessionError } from './errors.js'
import { beginLife } from './life.js'
import type { Scheme } from './scheme.js'
import type { StartOptions } from './session.js'
import { mint } from './token.js'
import { watch, type WatchOptions } from './watch.js'

/** A session that was begun without a request. */
export interface IssuedSession {
  readonly id: string
  /** `name=value`, as a client sends it in its `Cookie` header. It is the credential: treat it like a password. */
  readonly cookie: string
  /** The `Set-Cookie` line that hands it to a browser. */
  readonly setCookie: string
}

/** A live session as the store has it. Instants in epoch milliseconds. */
export interface SessionInfo<T extends object = Record<string, any>> {
  readonly id: string
  readonly principal: string | undefined
  readonly data: T
  readonly createdAt: number
  readonly authenticatedAt: number
  readonly expiresAt: number
}

/** The sessions of a scheme beyond a single request, as `app.session` (or `app.<scheme>`) gives it. */
export interface SessionManager<T extends object = Record<string, any>> {
  /** Begins a session without a request: for tests, and for a sign-in on the server. @throws `FST_SESSION_INVALID_DATA` */
  issue (data: T, options?: StartOptions): Promise<IssuedSession>
  /**
   * The live session with an id, `undefined` when it is over. It does not count as activity unless `touch` says so: for
   * whatever a person does without an HTTP request, such as a message through a WebSocket.
   */
  find (id: string, options?: { touch?: boolean | undefined }): Promise<SessionInfo<T> | undefined>
  /**
   * Resolves `true` when the session is over: signed out, revoked, expired, or renewed under another id. `false` when
   * `signal` aborts before that. It tells whoever holds a connection open: a WebSocket, an event stream. See `WatchOptions`.
   */
  watch (id: string, options: WatchOptions): Promise<boolean>
  /** The live sessions of a principal, the youngest login first. */
  list (principal: string): Promise<ReadonlyArray<SessionInfo<T>>>
  /**
   * Ends a session, final for requests under way too: whatever they save is dropped. Resolves whether it was alive. One that
   * was renewed is found by the id it had before for some minutes.
   */
  revoke (id: string): Promise<boolean>
  /**
   * Ends all sessions of a principal, all but `except` (an id; renewed meanwhile, it has another one, and ends). Resolves how
   * many there were.
   */
  revokeAll (principal: string, options?: { except?: string | undefined }): Promise<number>
}

export function createManager (scheme: Scheme): SessionManager {
  const { backend, codec, settings, line, cookie, reportOn } = scheme
  return Object.freeze({
    async issue (data: object, options: StartOptions = {}) {
      const life = beginLife(settings, options, settings.now())
      const { live, value } = await backend.commit({ kind: 'create', reason: 'issue', ticket: mint(), life, content: codec.prepare(codec.admit(data)) }, reportOn())
      const { id } = live as Live
      return { id, cookie: `${cookie.name}=${value}`, setCookie: line(value as string, life) }
    },
    async find (id: string, { touch }: { touch?: boolean | undefined } = {}) {
      const live = await directory(scheme, 'find').find(id, touch)
      return live && info(live)
    },
    async watch (id: string, options: WatchOptions) {
      const { find } = directory(scheme, 'watch')
      return await watch(() => find(id), settings, options)
    },
    async list (principal: string) {
      const found = await directory(scheme, 'list').list(text(principal))
      return found.map(info).sort((a, b) => b.authenticatedAt - a.authenticatedAt)
    },
    async revoke (id: string) {
      return await directory(scheme, 'revoke').revoke(id)
    },
    async revokeAll (principal: string, { except }: { except?: string | undefined } = {}) {
      return await directory(scheme, 'revokeAll').revokeAll(text(principal), except)
    }
  })
}

function directory ({ name, backend, settings }: Scheme, method: string): Directory {
  if (backend.directory === undefined) {
    throw new SessionError('FST_SESSION_OPTIONS', `app.${name}.${method}() needs a store: sealed cookies are nowhere but in the browsers. Use a store, or end them through the option verify and a generation number per user.`)
  }
  if ((method === 'list' || method === 'revokeAll') && settings.principal === undefined) {
    throw new SessionError('FST_SESSION_OPTIONS', `app.${name}.${method}() needs the option principal, which says whom a session belongs to: principal: (data) => data.userId`)
  }
  return backend.directory
}

// What is no text is nobody, and to answer so would let them believe that they are signed out.
function text (principal: unknown): string {
  if (typeof principal === 'string') return principal
  throw new SessionError('FST_SESSION_OPTIONS', `a principal is text, as the option principal gives it, and not ${typeof principal}: write String(...)`)
}

function info ({ id, principal, data, life: { createdAt, authenticatedAt }, expiresAt }: Live): SessionInfo {
  return { id, principal, data, createdAt, authenticatedAt, expiresAt }
}
