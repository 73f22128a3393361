import type { FastifyRequest } from 'fastify'
import { chain } from '../awaitable.js'
import type { Snapshot } from '../backend/backend.js'
import { authenticationRequired, type Challenge, forbidden, invalidData } from '../errors.js'
import { nearest } from '../nearest.js'
import type { Scheme } from '../options/scheme.js'
import { freezeJson } from '../session/json.js'
import type { Awaitable } from '../store/store.js'
import { type Condition, isSession } from './requirement.js'
import type { Plan } from './route.js'

/** A session that a route declares, as it was loaded for a request. */
export interface Candidate {
  readonly scheme: Scheme
  readonly snapshot: Snapshot | undefined
  readonly user: unknown
}

/** The reason why a condition does not hold. `unauthenticated` becomes a 401, and `forbidden` a 403. */
interface Failure {
  readonly kind: 'unauthenticated' | 'forbidden'
  readonly scheme: string
  /** A sentence that says what the session lacks. */
  readonly why: string
  /** The largest age of the login, in seconds, if the login is too old. */
  readonly maxAge?: number | undefined
}

/**
 * Checks the requirement of a route against the sessions of a request and the verifiers of other schemes. Returns a promise only
 * if a verifier or the option `roles` does.
 * @throws `FST_SESSION_REQUIRED` (401), `FST_SESSION_FORBIDDEN` (403), or what a verifier throws
 */
export function authorize (request: FastifyRequest, plan: Plan, candidates: readonly Candidate[]): Awaitable<void> {
  return tryAlternative({ request, plan, candidates }, 0, undefined)
}

interface Case {
  readonly request: FastifyRequest
  readonly plan: Plan
  readonly candidates: readonly Candidate[]
}

/** Tries the alternatives from `index` on, after the earlier ones failed. */
function tryAlternative (of: Case, index: number, failures: readonly Failure[] | undefined): Awaitable<void> {
  const alternative = of.plan.requirement.alternatives[index]
  if (alternative === undefined) return failures && refuse(failures, of)
  const failure = findFailure(of, alternative, 0)
  if (failure === undefined) return undefined
  return chain(failure, (failure) => failure && tryAlternative(of, index + 1, [...failures ?? [], failure]))
}

/** Returns the failure of the first condition from `index` on that does not hold, `undefined` if all hold. */
function findFailure (of: Case, conditions: readonly Condition[], index: number): Awaitable<Failure | undefined> {
  const condition = conditions[index]
  if (condition === undefined) return undefined
  const failure = check(of, condition)
  if (failure === undefined) return findFailure(of, conditions, index + 1)
  return chain(failure, (failure) => {
    if (failure === undefined) return findFailure(of, conditions, index + 1)
    // The session holds and another scheme does not. A 401 would make the user sign in again, which would not help.
    const isSignedIn = !isSession(condition) && isSession(conditions[0] as Condition)
    return isSignedIn ? { ...failure, kind: 'forbidden' } : failure
  })
}

function check ({ request, plan, candidates }: Case, { verifier, scopes, scheme }: Condition): Awaitable<Failure | undefined> {
  for (const candidate of verifier === undefined ? candidates : []) {
    if (candidate.scheme.name === scheme) return checkSession(candidate, scopes, plan.maxAge)
  }
  return chain(verifier?.(request, scopes), (holds) => holds ? undefined : unauthenticated(scheme, `The security scheme "${scheme}" is not satisfied.`))
}

function unauthenticated (scheme: string, why: string, maxAge?: number): Failure {
  return { kind: 'unauthenticated', scheme, why, maxAge }
}

function checkSession (
  { scheme, snapshot, user }: Candidate, scopes: readonly string[], maxAge: number | undefined
): Awaitable<Failure | undefined> {
  const { name, settings: { principal, roles, now } } = scheme
  if (snapshot === undefined) return unauthenticated(name, `there is no live session "${name}"`)
  if (principal !== undefined && snapshot.principal === undefined) return unauthenticated(name, `the session "${name}" belongs to a guest: the option principal returned nothing`)
  if (maxAge !== undefined && now() - snapshot.times.authenticatedAt > maxAge * 1000) return unauthenticated(name, `the login is older than ${maxAge} seconds`, maxAge)
  if (scopes.length === 0) return undefined
  return chain(roles?.(freezeJson(snapshot.data), user), (held: unknown) => {
    if (!Array.isArray(held)) {
      throw invalidData(`The option roles returned ${held === null ? 'null' : typeof held} instead of a list: return [] if there are no roles.`)
    }
    const missing = scopes.filter((role) => !held.includes(role))
    return missing.length === 0 ? undefined : { kind: 'forbidden', scheme: name, why: lacking(missing, held) }
  })
}

/**
 * Returns a sentence about missing roles. Suggests a role of the session with a similar name, because `security` may misspell it.
 */
function lacking (missing: readonly string[], held: readonly unknown[]): string {
  const names = held.filter((role) => typeof role === 'string')
  const meant = missing.map((role) => nearest(role, names)).find((role) => role !== undefined)
  return `The role ${missing.map((role) => `"${role}"`).join(' and ')} is required.${meant === undefined ? '' : ` Did you mean "${meant}"?`}`
}

/** Throws the error. If both apply, throws 403 and not 401, because signing in again would not add a role. */
function refuse (failures: readonly Failure[], { request, candidates }: Case): never {
  const worst = failures.find(({ kind }) => kind === 'forbidden') ?? failures[0]
  const reporting = candidates.find(({ scheme }) => scheme.name === worst?.scheme) ?? candidates[0]
  if (worst !== undefined) reporting?.scheme.reportOn(request)({ type: 'rejected', reason: worst.kind, detail: worst.why })
  if (worst?.kind === 'forbidden') throw forbidden(worst.why)
  const challenges = new Map(failures.map(({ scheme, maxAge }): [string, Challenge] => {
    const session = candidates.find((candidate) => candidate.scheme.name === scheme)
    return [scheme, { scheme, cookieName: session?.scheme.cookie.name, maxAge }]
  }))
  throw authenticationRequired([...challenges.values()])
}
