import type { FastifyBaseLogger } from 'fastify'
import type { Change } from './backend/backend.js'

/** How a session came into a request. */
export type LoadedAs = 'live' | 'adopted' | 'no-cookie' | 'duplicate-cookie' | 'over' | 'refused-by-verify' | 'cross-origin' | 'failed'

/** What became of one session in one request, for the line that explains it. */
export interface Account {
  readonly scheme: string
  readonly cookie: string
  readonly loaded: LoadedAs
  /** What there was to store; `undefined` when nobody asked, since nobody touched the session. */
  readonly stored: Change['kind'] | 'failed' | undefined
  readonly setCookie: boolean
  readonly statusCode: number
}

const NOT_LOADED: Readonly<Record<Exclude<LoadedAs, 'live' | 'adopted'>, string>> = {
  'no-cookie': 'the request brought no such cookie',
  'duplicate-cookie': 'the request brought the cookie twice, so one of them may be forged',
  over: 'the cookie is that of no live session: it expired, was signed out, or is none of ours',
  'refused-by-verify': 'the option verify refused it',
  'cross-origin': 'a page of another origin sent the request',
  failed: 'it could not be read'
}

/** Whether such lines are wanted: what pino would leave out is not worth composing. Other loggers decide for themselves. */
export function explains (log: FastifyBaseLogger): boolean {
  return (log as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled?.('debug') !== false
}

/**
 * One structured debug line for each session of a request: whether it was loaded, stored, and its cookie set, and why not.
 * The question that users of sessions ask most is why a browser has no cookie; this line answers it.
 */
export function explain (log: FastifyBaseLogger, account: Account): void {
  const { loaded, stored = 'none', setCookie } = account
  const why = [loaded in NOT_LOADED && `not loaded: ${NOT_LOADED[loaded as keyof typeof NOT_LOADED]}`, setCookie ? 'cookie set' : `cookie not set: ${whyNot(account)}`]
  log.debug({ session: { ...account, stored } }, `session "${account.scheme}" ${why.filter(Boolean).join('; ')}`)
}

function whyNot ({ loaded, stored, statusCode }: Account): string {
  if (stored === 'failed') return 'the session could not be stored'
  if (stored === 'update' || stored === 'refresh') return 'the session has it already, and was stored under it'
  if (stored === 'create' || stored === 'renew' || stored === 'replace') return 'the session ended while the request was under way'
  if (statusCode >= 500) return 'an answer of 500 and more stores nothing'
  return loaded === 'live' ? 'the session did not change' : 'nothing was put into a session'
}
