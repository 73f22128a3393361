import { isUnsafe } from '../security/origin.js'
import type { SecurityRequirement } from '../security/requirement.js'
import type { DocumentedScheme } from './scheme.js'

/** What the plugin itself may answer on an operation, instead of the operation. */
export interface Answers {
  /** 401: no live session. */
  readonly required: boolean
  /** 403: there is a session, but a role or another scheme that is required together with it is missing. */
  readonly forbidden: boolean
  /** 403: sent by a page of another origin. */
  readonly crossOrigin: boolean
  /** 503: the store cannot be asked. */
  readonly unavailable: boolean
}

/**
 * Reads off an operation's `security` what can be answered: no more than can happen, and no less.
 * @param sessions - the session schemes that `security` names
 */
export function answersOf (security: readonly SecurityRequirement[], method: string, sessions: readonly DocumentedScheme[]): Answers {
  const names = new Set(sessions.map(({ name }) => name))
  const optional = security.some((requirement) => Object.keys(requirement).length === 0)
  return {
    required: !optional,
    forbidden: security.some((requirement) => canForbid(requirement, security, names)),
    crossOrigin: isUnsafe(method) && sessions.some(({ crossOrigin }) => crossOrigin),
    unavailable: sessions.some(({ persistentStore }) => persistentStore)
  }
}

/** Whether a live session can fall short of `requirement`, and of every other alternative too. */
function canForbid (requirement: SecurityRequirement, security: readonly SecurityRequirement[], names: ReadonlySet<string>): boolean {
  const sessions = Object.keys(requirement).filter((name) => names.has(name))
  // Conditions are asked in the order they are written, sessions before other schemes: all up to the failing one are live.
  const fallsShort = sessions.map((name, index) => requirement[name]?.length ? sessions.slice(0, index + 1) : [])
  if (sessions.length < Object.keys(requirement).length) fallsShort.push(sessions)
  const isEnough = (live: readonly string[]): boolean => security.some((alternative) =>
    Object.entries(alternative).every(([name, roles]) => live.includes(name) && roles.length === 0))
  return fallsShort.some((live) => live.length > 0 && !isEnough(live))
}
