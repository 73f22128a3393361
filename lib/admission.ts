import type { FastifyRequest } from 'fastify'
import type { Report } from './backend/backend.js'
import { schemeRequired, sessionRequired } from './challenge.js'
import { SessionError } from './errors.js'
import type { Plan, Registry } from './registry.js'
import type { RequestSession } from './request-session.js'
import type { Scheme } from './scheme.js'
import { type Condition, judge, MET, type Verdict } from './security/requirement.js'

/** A session that a route declares, as it was found in a request. */
export interface Candidate {
  readonly scheme: Scheme
  readonly report: Report
  readonly session?: RequestSession | undefined
}

/**
 * Holds what a route requires against the sessions of a request and what its verifiers say.
 * @throws `FST_SESSION_REQUIRED` (401), `FST_SESSION_FORBIDDEN` (403), or what a verifier throws
 */
export async function requireAdmission (
  request: FastifyRequest, { requirement, maxAge }: Plan, registry: Registry, candidates: readonly Candidate[]
): Promise<void> {
  const verdict = await judge(requirement, ({ scheme, scopes, foreign }) => {
    if (foreign) return askVerifier(registry, scheme, request, scopes)
    return askSession(candidates.find((candidate) => candidate.scheme.name === scheme) as Candidate, scopes, maxAge)
  })
  if (verdict.kind !== 'met') refuse(verdict, candidates)
}

async function askVerifier (registry: Registry, scheme: string, request: FastifyRequest, scopes: Condition['scopes']): Promise<Verdict> {
  const holds = await registry.verifier(scheme)?.(request, scopes)
  return holds ? MET : { kind: 'unauthenticated', scheme, why: `The security scheme "${scheme}" is not satisfied.` }
}

function askSession ({ scheme, session }: Candidate, scopes: Condition['scopes'], maxAge: number | undefined): Verdict {
  const { name, settings: { principal, roles, now } } = scheme
  const live = session?.live
  if (live === undefined || (principal !== undefined && live.principal === undefined)) {
    return { kind: 'unauthenticated', scheme: name, why: `This needs a live session "${name}". Sign in.` }
  }
  if (maxAge !== undefined && now() - live.life.authenticatedAt > maxAge * 1000) {
    return { kind: 'unauthenticated', scheme: name, why: `This needs a sign-in within the last ${maxAge} seconds. Sign in again.`, maxAge }
  }
  const held = scopes.length > 0 ? listOf(roles?.(live.data)) : undefined
  const missing = scopes.filter((role) => !held?.includes(role))
  return missing.length === 0 ? MET : { kind: 'forbidden', scheme: name, why: `This needs the role ${missing.map((role) => `"${role}"`).join(' and ')}.` }
}

// A single role given as text is no list of its letters.
function listOf (roles: unknown): readonly unknown[] {
  if (Array.isArray(roles)) return roles
  throw new SessionError('FST_SESSION_INVALID_DATA', `The option roles gave ${roles === null ? 'null' : typeof roles} instead of a list: return [] where there are none.`)
}

function refuse ({ kind, why, scheme, maxAge }: Exclude<Verdict, { kind: 'met' }>, candidates: readonly Candidate[]): never {
  const asked = candidates.find((candidate) => candidate.scheme.name === scheme) ?? candidates[0]
  asked?.report({ type: 'rejected', reason: kind, detail: why })
  if (kind === 'forbidden') throw new SessionError('FST_SESSION_FORBIDDEN', why)
  throw asked === undefined ? schemeRequired(scheme, why) : sessionRequired(asked.scheme.cookie.name, why, maxAge)
}
