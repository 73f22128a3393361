/** One alternative of an operation's `security`: every scheme in it must hold (OpenAPI 3.1, Security Requirement Object). */
export type SecurityRequirement = Readonly<Record<string, readonly string[]>>

/** A route's `security` made ready: the alternatives, of which one must hold, and the session schemes they speak of. */
export interface Requirement {
  readonly alternatives: ReadonlyArray<readonly Condition[]>
  /** The session schemes that are named anywhere: these are loaded. */
  readonly sessions: readonly string[]
}

export interface Condition {
  readonly scheme: string
  /** Role names for a session scheme, whatever its verifier takes them for with a foreign one. */
  readonly scopes: readonly string[]
  readonly foreign: boolean
}

/** `met`, or what to answer: `unauthenticated` is a 401, `forbidden` a 403. */
export type Verdict = { readonly kind: 'met' } | {
  readonly kind: 'unauthenticated' | 'forbidden'
  readonly why: string
  /** The scheme that is missing, too old, or lacks a role. */
  readonly scheme: string
  /** Seconds: a younger login than the one there is would do. */
  readonly maxAge?: number
}

/** Whether one condition holds; a promise only where somebody else has to be asked. */
type Ask = (condition: Condition) => Verdict | Promise<Verdict>

export const MET: Verdict = Object.freeze({ kind: 'met' })

/**
 * Reads a `security` list once, so that a request only has to ask.
 * @throws `Error` with a sentence that says what to write; the caller names the route
 */
export function compileRequirement (
  security: unknown, isSession: (scheme: string) => boolean, isForeign: (scheme: string) => boolean
): Requirement {
  if (!Array.isArray(security)) throw new Error('`security` must be a list of requirements, such as [{ session: [] }]')
  const alternatives = security.map((requirement: unknown) => conditions(requirement, isSession, isForeign))
  const named = alternatives.flat().filter(({ foreign }) => !foreign).map(({ scheme }) => scheme)
  return Object.freeze({ alternatives, sessions: [...new Set(named)] })
}

function conditions (requirement: unknown, isSession: (scheme: string) => boolean, isForeign: (scheme: string) => boolean): Condition[] {
  // A requirement that hides in a prototype would read as {}, which lets everybody in.
  if (typeof requirement !== 'object' || requirement === null || ![Object.prototype, null].includes(Object.getPrototypeOf(requirement) as null)) {
    throw new Error('each alternative of `security` must be a plain object such as { session: [] }')
  }
  const found = Object.entries(requirement).map(([scheme, scopes]: [string, unknown]) => {
    if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string')) {
      throw new Error(`the requirement of "${scheme}" must be a list of names: write { ${scheme}: [] } where there are none`)
    }
    const foreign = !isSession(scheme)
    if (foreign && !isForeign(scheme)) {
      throw new Error(`nobody verifies the security scheme "${scheme}": register a session with that name, or give the plugin verifiers: { ${JSON.stringify(scheme)}: (request, scopes) => boolean }`)
    }
    return { scheme, scopes, foreign }
  })
  // What is already loaded is asked before anybody else has to be.
  return found.sort((a, b) => Number(a.foreign) - Number(b.foreign))
}

/**
 * The verdict on a request: `met` when one alternative holds in all its conditions. Otherwise a 403 goes before a 401:
 * who holds a live session but lacks a role gains nothing by signing in again.
 */
export async function judge ({ alternatives }: Requirement, ask: Ask): Promise<Verdict> {
  if (alternatives.length === 0) return MET
  let worst: Verdict | undefined
  for (const alternative of alternatives) {
    const asked = judgeAll(alternative, ask)
    const verdict = asked instanceof Promise ? await asked : asked
    if (verdict.kind === 'met') return verdict
    if (worst === undefined || (worst.kind === 'unauthenticated' && verdict.kind === 'forbidden')) worst = verdict
  }
  return worst as Verdict
}

// The sessions of a request are there, and stand first: where nobody else is asked, nothing has to be awaited.
function judgeAll (conditions: readonly Condition[], ask: Ask): Verdict | Promise<Verdict> {
  for (const [index, condition] of conditions.entries()) {
    const verdict = ask(condition)
    if (verdict instanceof Promise) return judgeRest(verdict, conditions.slice(index + 1), index > 0, ask)
    if (verdict.kind !== 'met') return verdict
  }
  return MET
}

async function judgeRest (first: Promise<Verdict>, conditions: readonly Condition[], sessionHolds: boolean, ask: Ask): Promise<Verdict> {
  let verdict = await first
  for (const condition of conditions) {
    if (verdict.kind !== 'met') break
    verdict = await ask(condition)
  }
  // The person is known, so that this other thing is missing: a 401 would send them to sign in, in vain.
  return verdict.kind !== 'met' && sessionHolds ? { ...verdict, kind: 'forbidden' } : verdict
}
