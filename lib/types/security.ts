import type { SchemeName } from '../options/types.js'

/**
 * The roles of each session scheme, and the scopes of each other security scheme. Augment it like `SessionSchemas`:
 * `{ session: 'admin' | 'clerk', bearer: string }`. A scheme or role with another name then does not compile in a route's
 * `security`. TypeScript does not keep the names in a list if the route has explicit type arguments (`app.get<{ Params: ... }>`), or if
 * its options are typed as `RouteOptions`. Write `required('session', 'admin')` there.
 */
export interface SessionRoles {}

type IsOpen = keyof SessionRoles extends never ? true : false

/** The names that `security` may contain: any, or those that are declared in `SessionSchemas` and `SessionRoles`. */
export type SecurityScheme = IsOpen extends true ? string : SchemeName | Exclude<keyof SessionRoles, SchemeName>

/** The roles or scopes that may be required of a scheme. */
export type RoleOf<Name> = Name extends keyof SessionRoles ? SessionRoles[Name] & string : string

/** One alternative of `security`, as far as it is declared. */
export type DeclaredRequirement = { readonly [Name in SecurityScheme]?: readonly RoleOf<Name>[] }

/** Checks `security` against `SessionRoles`, by an index signature: the property itself has the type of @fastify/swagger. */
export type CheckedSchema = IsOpen extends true ? {} : { [key: `securit${string}`]: readonly DeclaredRequirement[] | undefined }

type Requirement<Name extends string, Roles> = { readonly [Key in Name]: Roles }
type Roles<Name> = ReadonlyArray<RoleOf<Name>>

type DefaultScheme = 'session' extends SecurityScheme ? 'session' : never

/**
 * Returns a `security` list that requires a scheme, by default `session`, with all roles named: `required('session', 'admin')`
 * is `[{ session: ['admin'] }]`. Routes that share the list keep its exact type.
 */
export function required<const Name extends SecurityScheme = DefaultScheme, const Named extends Roles<Name> = []> (
  scheme: Name = 'session' as Name, ...roles: Named
): readonly [Requirement<Name, Named>] {
  return [{ [scheme]: roles } as unknown as Requirement<Name, Named>]
}

/** Returns a `security` list that loads a session and lets every request in: `optional()` is `[{ session: [] }, {}]`. */
export function optional<const Name extends SecurityScheme = DefaultScheme, const Named extends Roles<Name> = []> (
  scheme: Name = 'session' as Name, ...roles: Named
): readonly [Requirement<Name, Named>, {}] {
  return [...required(scheme, ...roles), {}]
}
