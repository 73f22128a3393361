import type { FastifyRequest } from 'fastify'
import { must } from '../errors.js'
import { isObject } from '../session/json.js'

/** One alternative of an operation's `security`: every scheme in it must hold (OpenAPI 3.1, Security Requirement Object). */
export type SecurityRequirement = Readonly<Record<string, readonly string[]>>

/** Returns true if a request satisfies a security scheme that is not a session, with all required scopes. */
export type Verifier = (request: FastifyRequest, scopes: readonly string[]) => boolean | Promise<boolean>

/** One scheme that an alternative requires. */
export interface Condition {
  readonly scheme: string
  /** Role names for a session. For another scheme, its verifier interprets them. */
  readonly scopes: readonly string[]
  /** The verifier of the scheme; `undefined` for a session. */
  readonly verifier: Verifier | undefined
}

/** The compiled `security` of a route. Enforcement, the OpenAPI document and `documentMatrix` use it. */
export interface Requirement {
  /** One alternative must hold with all its conditions. Conditions on sessions come first, so they are checked before verifiers. */
  readonly alternatives: ReadonlyArray<readonly Condition[]>
  /** The session schemes that `security` names, in its order. All of them are loaded. */
  readonly sessions: readonly string[]
}

/**
 * Compiles a `security` list into frozen copies. Later changes of the list do not change what is enforced.
 * @param verifierOf - returns the verifier of a scheme, `undefined` for a session. Throws if the scheme cannot be enforced.
 * @throws `FST_SESSION_OPTIONS`; the caller adds the name of the route
 */
export function compileRequirement (
  security: unknown, verifierOf: (scheme: string, scopes: readonly string[]) => Verifier | undefined
): Requirement {
  must(Array.isArray(security), '`security` must be a list of requirements, such as [{ session: [] }]')
  const alternatives = Array.from(security as readonly unknown[], (requirement) => {
    const isPlain = isObject(requirement) && [Object.prototype, null].includes(Object.getPrototypeOf(requirement) as null)
    must(isPlain, 'each alternative of `security` must be a plain object such as { session: [] }')
    const conditions = Reflect.ownKeys(requirement).map((scheme): Condition => {
      // A requirement with hidden keys would read as {}, which lets every request in.
      const isOrdinary = typeof scheme === 'string' && Object.prototype.propertyIsEnumerable.call(requirement, scheme)
      must(isOrdinary, `each key in an alternative of \`security\` must be an ordinary, enumerable property, and ${String(scheme)} is not`)
      const found = requirement[scheme]
      must(Array.isArray(found) && found.every((scope) => typeof scope === 'string'), `the requirement of "${scheme}" must be a list of names: write { ${scheme}: [] } if there are none`)
      const scopes: readonly string[] = Object.freeze([...found])
      return Object.freeze({ scheme, scopes, verifier: verifierOf(scheme, scopes) })
    })
    return Object.freeze(conditions.toSorted((a, b) => Number(isSession(b)) - Number(isSession(a))))
  })
  const sessions = alternatives.flat().filter(isSession).map(({ scheme }) => scheme)
  return Object.freeze({ alternatives: Object.freeze(alternatives), sessions: Object.freeze([...new Set(sessions)]) })
}

export function isSession ({ verifier }: Condition): boolean { return verifier === undefined }
