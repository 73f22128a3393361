import type { Scheme } from '../../options/scheme.js'
import { SAFE_METHODS } from '../../routing/cross-origin.js'
import { compileRequirement, type Condition, isSession, type Requirement, type SecurityRequirement } from '../../routing/requirement.js'

/** The errors that a document describes, in this order. */
const CODES = ['FST_SESSION_REQUIRED', 'FST_SESSION_FORBIDDEN', 'FST_SESSION_CROSS_ORIGIN', 'FST_SESSION_STORE'] as const
export type DocumentedCode = typeof CODES[number]

/** Replaces the verifier of another scheme. A document does not have the verifiers. */
const unknown = (): boolean => false

/** Compiles a `security` list of a document. */
export function requirementOf (security: readonly SecurityRequirement[] = [], isOurs: (scheme: string) => boolean): Requirement {
  return compileRequirement(security, (scheme) => isOurs(scheme) ? undefined : unknown)
}

/** Returns the errors that requests of an operation can get. `schemes` are the session schemes of its requirement. */
export function errorsOf ({ alternatives }: Requirement, method: string, schemes: readonly Scheme[]): DocumentedCode[] {
  const isPossible: Record<DocumentedCode, boolean> = {
    FST_SESSION_REQUIRED: alternatives.length > 0 && alternatives.every((conditions) => conditions.length > 0),
    FST_SESSION_FORBIDDEN: alternatives.some((conditions) => canForbid(conditions, alternatives)),
    FST_SESSION_CROSS_ORIGIN: !SAFE_METHODS.has(method) && schemes.some(({ settings }) => settings.trustedOrigins !== undefined),
    FST_SESSION_STORE: schemes.some(({ backend, settings: { adopt } }) => backend.directory !== undefined || adopt !== undefined)
  }
  return CODES.filter((code) => isPossible[code])
}

/** Returns true if a request with a live session can fail all alternatives. */
function canForbid (conditions: readonly Condition[], alternatives: Requirement['alternatives']): boolean {
  const sessions = conditions.filter(isSession)
  // Conditions are checked in order. When one fails, the sessions before it are live. A session that lacks a role is live too.
  const fallsShort = sessions.map(({ scopes }, index) => scopes.length > 0 ? sessions.slice(0, index + 1) : [])
  if (sessions.length < conditions.length) fallsShort.push(sessions)
  const isEnough = (live: readonly Condition[]): boolean => alternatives.some((alternative) =>
    alternative.every(({ scheme, scopes }) => scopes.length === 0 && live.some((condition) => condition.scheme === scheme)))
  return fallsShort.some((live) => live.length > 0 && !isEnough(live))
}
