import type { FastifyRequest } from 'fastify'
import { chain, findFirst } from '../awaitable.js'
import type { Snapshot } from '../backend/backend.js'
import { authenticationRequired, type Challenge, forbidden, invalidData, nearest, type SessionError } from '../errors.js'
import type { Scheme } from '../options/scheme.js'
import { freezeJson } from '../session/json.js'
import type { Awaitable } from '../store/store.js'
import { isSession } from './requirement.js'
import type { Plan } from './route.js'

/** A session that a route declares, as it was loaded for a request. */
export interface Candidate { readonly scheme: Scheme, readonly snapshot: Snapshot | undefined, readonly user: unknown }

/** The reason why a condition does not hold: a 401 with this challenge, or a 403. `why` is a sentence that says what is lacking. */
interface Failure extends Challenge { readonly kind: 'unauthenticated' | 'forbidden', readonly why: string }

/**
 * Checks the requirement of a route against the sessions of a request and the verifiers of other schemes: the alternatives in their
 * order, until all conditions of one hold. Returns a promise only if a verifier or the option `roles` does.
 * @param failures - one for each alternative that was checked and does not hold
 * @throws `FST_SESSION_REQUIRED` (401), `FST_SESSION_FORBIDDEN` (403), or what a verifier throws
 */
export function authorize (request: FastifyRequest, plan: Plan, sessions: readonly Candidate[], failures: Failure[] = []): Awaitable<void> {
  const { alternatives } = plan.requirement
  // A list without alternatives requires nothing.
  if (alternatives.length === 0) return undefined
  const conditions = alternatives[failures.length]
  if (conditions === undefined) throw refusal(request, sessions, failures)
  const failed = findFirst(conditions, ({ scheme, scopes, verifier }): Awaitable<Failure | undefined> => {
    for (const found of sessions) if (verifier === undefined && found.scheme.name === scheme) return checkSession(found, scopes, plan)
    // If a session holds and another scheme does not, a 401 would make the user sign in again, which would not help.
    const kind = verifier !== undefined && conditions.some(isSession) ? 'forbidden' : 'unauthenticated'
    const why = `The security scheme "${scheme}" is not satisfied.`
    return chain(verifier?.(request, scopes), (holds) => holds ? undefined : { kind, scheme, cookieName: undefined, why })
  })
  return chain(failed, (failure) => failure && authorize(request, plan, sessions, [...failures, failure]))
}

/** Returns the error for a request of which no alternative holds. */
function refusal (request: FastifyRequest, sessions: readonly Candidate[], failures: readonly Failure[]): SessionError {
  // If both apply, the response is 403 and not 401, because signing in again would not add a role.
  const worst = (failures.find(({ kind }) => kind === 'forbidden') ?? failures[0]) as Failure
  const reporting = sessions.find(({ scheme }) => scheme.name === worst.scheme) ?? sessions[0]
  reporting?.scheme.reportOn(request)({ type: 'rejected', reason: worst.kind, detail: worst.why })
  if (worst.kind === 'forbidden') return forbidden(worst.why)
  return authenticationRequired([...new Map(failures.map((failure) => [failure.scheme, failure])).values()])
}

const failureOf = ({ name, cookie }: Scheme, why: string, kind: Failure['kind'] = 'unauthenticated', maxAge?: number): Failure =>
  ({ kind, scheme: name, cookieName: cookie.name, why, maxAge })

function checkSession ({ scheme, snapshot, user }: Candidate, scopes: readonly string[], { maxAge }: Plan): Awaitable<Failure | undefined> {
  const { name, settings: { principal, roles, now } } = scheme
  if (snapshot === undefined) return failureOf(scheme, `there is no live session "${name}"`)
  if (principal !== undefined && snapshot.principal === undefined) return failureOf(scheme, `the session "${name}" belongs to a guest: the option principal returned nothing`)
  if (maxAge !== undefined && now() - snapshot.times.authenticatedAt > maxAge * 1000) return failureOf(scheme, `the login is older than ${maxAge} seconds`, 'unauthenticated', maxAge)
  if (scopes.length === 0) return undefined
  return chain(roles?.(freezeJson(snapshot.data), user), (held: unknown) => {
    if (!Array.isArray(held)) throw invalidData(`The option roles returned ${held === null ? 'null' : typeof held} instead of a list: return [] if there are no roles.`)
    const missing = scopes.filter((role) => !held.includes(role))
    if (missing.length === 0) return undefined
    // `security` may misspell a role of the session.
    const [meant] = missing.flatMap((role) => nearest(role, held.filter((name) => typeof name === 'string')) ?? [])
    return failureOf(scheme, `The role ${missing.map((role) => `"${role}"`).join(' and ')} is required.${meant === undefined ? '' : ` Did you mean "${meant}"?`}`, 'forbidden')
  })
}
