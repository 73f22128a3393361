import type { FastifyRequest } from 'fastify'
import { chain } from '../awaitable.js'
import type { Snapshot } from '../backend/backend.js'
import { authenticationRequired, type Challenge, forbidden, invalidData } from '../errors.js'
import type { Report } from '../events/events.js'
import type { Scheme } from '../options/scheme.js'
import type { Awaitable } from '../store/store.js'
import type { Condition } from './requirement.js'
import type { Plan } from './route.js'

/** A session that a route declares, as it was found in a request. */
export interface Candidate {
  readonly scheme: Scheme
  readonly report: Report
  readonly snapshot: Snapshot | undefined
  readonly user: unknown
}

/** Why a condition does not hold: `unauthenticated` becomes a 401, `forbidden` a 403. */
interface Failure {
  readonly kind: 'unauthenticated' | 'forbidden'
  readonly scheme: string
  /** What the session lacks, as a sentence. */
  readonly why: string
  /** Seconds: a login within that time would do. */
  readonly maxAge?: number
}

/**
 * Checks what a route requires against the sessions of a request and the verifiers of other schemes. Asynchronous only where
 * a verifier or the option `roles` is.
 * @throws `FST_SESSION_REQUIRED` (401), `FST_SESSION_FORBIDDEN` (403), or what a verifier throws
 */
export function authorize (request: FastifyRequest, plan: Plan, candidates: readonly Candidate[]): Awaitable<void> {
  const { alternatives } = plan.requirement
  const ask = (condition: Condition): Awaitable<Failure | undefined> => condition.verifier === undefined
    ? askSession(candidates.find(({ scheme }) => scheme.name === condition.scheme) as Candidate, condition, plan.maxAge)
    : chain(condition.verifier(request, condition.scopes), (holds) => holds ? undefined : unsatisfied(condition))
  const failures: Failure[] = []
  const next = (index: number): Awaitable<void> => {
    const alternative = alternatives[index]
    if (alternative === undefined) return failures.length === 0 ? undefined : refuse(failures, candidates)
    return chain(askAll(alternative, ask, 0), (failure) => {
      if (failure === undefined) return undefined
      failures.push(failure)
      return next(index + 1)
    })
  }
  return next(0)
}

/** Returns why the first condition that does not hold does not. */
function askAll (
  conditions: readonly Condition[], ask: (condition: Condition) => Awaitable<Failure | undefined>, index: number
): Awaitable<Failure | undefined> {
  const condition = conditions[index]
  if (condition === undefined) return undefined
  return chain(ask(condition), (failure) => {
    if (failure === undefined) return askAll(conditions, ask, index + 1)
    // The session holds and another scheme is missing: a 401 would send the user to sign in again, in vain.
    const isSignedIn = condition.verifier !== undefined && conditions[0]?.verifier === undefined
    return isSignedIn ? { ...failure, kind: 'forbidden' } : failure
  })
}

function askSession (
  { scheme, snapshot, user }: Candidate, { scopes }: Condition, maxAge: number | undefined
): Awaitable<Failure | undefined> {
  const { name, settings: { principal, roles, now } } = scheme
  if (snapshot === undefined || (principal !== undefined && snapshot.principal === undefined)) {
    return { kind: 'unauthenticated', scheme: name, why: `there is no live session "${name}"` }
  }
  if (maxAge !== undefined && now() - snapshot.times.authenticatedAt > maxAge * 1000) {
    return { kind: 'unauthenticated', scheme: name, why: `the login is older than ${maxAge} seconds`, maxAge }
  }
  if (scopes.length === 0) return undefined
  return chain(roles?.(snapshot.data, user), (held: unknown) => {
    if (!Array.isArray(held)) {
      throw invalidData(`The option roles returned ${held === null ? 'null' : typeof held} instead of a list: return [] if there are no roles.`)
    }
    const missing = scopes.filter((role) => !held.includes(role)).map((role) => `"${role}"`)
    return missing.length === 0 ? undefined : { kind: 'forbidden', scheme: name, why: `The role ${missing.join(' and ')} is required.` }
  })
}

function unsatisfied ({ scheme }: Condition): Failure {
  return { kind: 'unauthenticated', scheme, why: `The security scheme "${scheme}" is not satisfied.` }
}

/** A 403 goes before a 401: a live session that lacks a role gains nothing by signing in again. */
function refuse (failures: readonly Failure[], candidates: readonly Candidate[]): never {
  const worst = failures.find(({ kind }) => kind === 'forbidden') ?? failures[0]
  const reporting = candidates.find(({ scheme }) => scheme.name === worst?.scheme) ?? candidates[0]
  if (worst !== undefined) reporting?.report({ type: 'rejected', reason: worst.kind, detail: worst.why })
  if (worst?.kind === 'forbidden') throw forbidden(worst.why)
  const challenges = new Map(failures.map(({ scheme, maxAge }): [string, Challenge] => {
    const session = candidates.find((candidate) => candidate.scheme.name === scheme)
    return [scheme, { scheme, cookieName: session?.scheme.cookie.name, maxAge }]
  }))
  throw authenticationRequired([...challenges.values()])
}
