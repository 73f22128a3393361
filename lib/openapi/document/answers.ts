import { SAFE_METHODS } from '../../routing/cross-origin.js'
import { compileRequirement, type Condition, type Requirement, type SecurityRequirement } from '../../routing/requirement.js'
import type { DocumentedScheme } from './scheme.js'

/** Which responses of the plugin itself an operation may give in place of its own. */
export interface Answers {
  /** 401: there is no live session. */
  readonly required: boolean
  /** 403: there is a session, but it lacks a role, or another scheme that is required together with it does not hold. */
  readonly forbidden: boolean
  /** 403: a page of another origin sent the request. */
  readonly crossOrigin: boolean
  /** 503: the store does not work. */
  readonly unavailable: boolean
}

/** Stands for the verifier of a scheme that is known from the document alone. */
const unknown = (): boolean => false

/** Compiles a `security` list of a document, as those of the routes are compiled. */
export function requirementOf (security: readonly SecurityRequirement[] = [], isSession: (scheme: string) => boolean): Requirement {
  return compileRequirement(security, (scheme) => isSession(scheme) ? 'session' : unknown)
}

/**
 * Returns the responses that follow from a requirement: all that can happen, and nothing else.
 * @param schemes - the session schemes that the requirement names
 */
export function answersOf (
  { alternatives }: Requirement, method: string, schemes: ReadonlyArray<Pick<DocumentedScheme, 'crossOrigin' | 'persistentStore'>>
): Answers {
  return {
    required: alternatives.length > 0 && alternatives.every((conditions) => conditions.length > 0),
    forbidden: alternatives.some((conditions) => canForbid(conditions, alternatives)),
    crossOrigin: !SAFE_METHODS.has(method) && schemes.some(({ crossOrigin }) => crossOrigin),
    unavailable: schemes.some(({ persistentStore }) => persistentStore)
  }
}

/** Returns whether a live session can fall short of one alternative, and of every other alternative as well. */
function canForbid (conditions: readonly Condition[], alternatives: Requirement['alternatives']): boolean {
  const sessions = conditions.filter(({ verifier }) => verifier === undefined)
  // Conditions are asked in their order: when one fails, those before it have a live session, and a session that lacks a role is live too.
  const fallsShort = sessions.map(({ scopes }, index) => scopes.length > 0 ? sessions.slice(0, index + 1) : [])
  if (sessions.length < conditions.length) fallsShort.push(sessions)
  const isEnough = (live: readonly Condition[]): boolean => alternatives.some((alternative) =>
    alternative.every(({ scheme, scopes }) => scopes.length === 0 && live.some((condition) => condition.scheme === scheme)))
  return fallsShort.some((live) => live.length > 0 && !isEnough(live))
}
