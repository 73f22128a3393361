import type { Committed, Live, Report } from './backend/backend.js'
import { inTime } from './backend/in-time.js'
import { cookieValues } from './cookie.js'
import { SessionError } from './errors.js'
import { beginLife } from './life.js'
import type { Prepared } from './record.js'
import type { Scheme } from './scheme.js'
import { idOf } from './token.js'

/** A session of another session plugin, found by its cookie. */
export interface Predecessor {
  /** What becomes the data of the session here; `undefined` when it is not to be adopted. */
  readonly data: unknown
  /** Ends it where it was kept. */
  forget (): Promise<void>
}

/**
 * Where people's sessions were before this plugin, so that nobody is signed out by the move; given as the option `adopt` for
 * as long as old sessions can be alive. `adoptExpressSessions` of `fastify-openapi-session/express` makes one.
 */
export interface Adoption {
  readonly cookieName: string
  /** Path and domain that the old cookie was set with, to make browsers forget it. Default `/` and none. */
  readonly path?: string | undefined
  readonly domain?: string | undefined
  /**
   * The token of the session that takes the place of the one with this cookie value: always the same one for the same
   * value, and not to be guessed from it. `undefined` when the value is forged or no such cookie.
   */
  successor (value: string): string | undefined
  /** The old session, `undefined` when there is none any more. Rejects when its store is out of order. */
  find (value: string): Promise<Predecessor | undefined>
}

export interface Adopted {
  readonly live: Live
  /** `Set-Cookie` lines: the new cookie, and the end of the old one. */
  readonly lines: readonly [own: string, old: string]
  /** Ends the old session, if it is there. Nobody may get the token before that. */
  readonly forget: (() => Promise<void>) | undefined
}

/**
 * How long, in milliseconds, the old cookie leads to the new session: a page's parallel requests all went out with it, and
 * only one of them can be the first.
 */
const GRACE = 10_000

/** Adopts the session of another plugin that a request brings. @throws `FST_SESSION_STORE` */
export async function adopt (
  scheme: Scheme, adoption: Adoption, header: string | undefined, report: Report
): Promise<Adopted | undefined> {
  const { storeTimeout } = scheme.settings
  const [value, another] = cookieValues(header, adoption.cookieName)
  if (value === undefined || another !== undefined) return undefined
  const token = adoption.successor(value)
  if (token === undefined) {
    report({ type: 'rejected', reason: 'malformed-cookie' })
    return undefined
  }
  const old = await inTime(() => adoption.find(value), storeTimeout)
  const content = old && admit(scheme, old.data, report)
  const { live, value: sealed, outrun } = content === undefined ? await recent(scheme, token) : await begin(scheme, token, content, report)
  // It came in before and ended here, while nobody could hand out a cookie: now it ends where it was kept.
  if (old !== undefined && outrun) await end(scheme, old)
  if (live === undefined) return undefined
  return {
    live,
    lines: [scheme.line(sealed ?? token, live.life), scheme.forgetAdopted as string],
    forget: old && (async () => { await end(scheme, old) })
  }
}

/** Ends an old session, where it was kept. @throws `FST_SESSION_STORE` */
async function end ({ settings: { storeTimeout }, backend }: Scheme, old: Predecessor): Promise<void> {
  const forget = async (): Promise<void> => { await inTime(() => old.forget(), storeTimeout) }
  if (backend.directory !== undefined) return await forget()
  // Of a sealed cookie nothing is stored that requests beside this one could find, so for a moment they find what this one
  // found. Where it cannot be ended then, it ends by itself as it would have.
  setTimeout(() => { forget().catch(() => {}) }, GRACE).unref()
}

function admit ({ codec }: Scheme, data: unknown, report: Report): Prepared | undefined {
  if (data === undefined) return undefined
  try {
    return codec.prepare(codec.admit(data))
  } catch (error) {
    report({ type: 'discarded', reason: 'unfit', detail: (error as Error).message })
    return undefined
  }
}

async function begin ({ settings, backend }: Scheme, token: string, content: Prepared, report: Report): Promise<Committed> {
  const life = beginLife(settings, {}, settings.now())
  return await backend.adopt({ kind: 'create', reason: 'adopted', ticket: { token, id: idOf(token) }, life, content }, report)
}

/** The session that another request with the same cookie has begun, as long as such requests may be under way. */
async function recent ({ backend, settings }: Scheme, token: string): Promise<Committed> {
  const loaded = await backend.load(token, false, () => {})
  const live = loaded.kind === 'live' ? loaded.live : undefined
  return { live: settings.now() - (live?.life.adopted ?? -Infinity) < GRACE ? live : undefined }
}

/** The option `adopt`, checked. @throws `FST_SESSION_OPTIONS` */
export function readAdoption (adoption: Adoption | undefined): Adoption | undefined {
  if (adoption === undefined || (typeof adoption?.successor === 'function' && typeof adoption.find === 'function' && typeof adoption.cookieName === 'string')) return adoption
  throw new SessionError('FST_SESSION_OPTIONS', 'adopt must be what adoptExpressSessions({ ... }) of fastify-openapi-session/express gives')
}
