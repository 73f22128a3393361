import type { FastifyRequest, FastifySchema, RawRequestDefaultExpression, RawServerDefault, RouteGenericInterface } from 'fastify'
import type { SchemeName, SessionData, SessionDefaults, SessionInput, SessionUser } from '../options/types.js'
import type { AbsentSession, BlankSession, LiveSession, UndeclaredSession } from '../session/session.js'
import type { SecurityScheme } from './security.js'

/**
 * The schemes whose schema has a default for every key: without a session, `data` are these defaults. Augment it like
 * `SessionSchemas`: `{ session: true }`. Only TypeBox needs it: it does not keep defaults in its types.
 */
export interface SessionGuests {}

/** The sessions of a request on a route with this schema, by scheme. */
export type RouteSessions<Schema> = { readonly [Name in SchemeName]: RouteSession<Name, Kinds<Name>, Schema> }

/** The session types of a scheme. They stand in for its name, since TypeScript takes seconds to compute them for any name. */
interface Kinds<Name extends SchemeName> {
  readonly live: LiveSession<SessionData<Name>, SessionUser<Name>, SessionInput<Name>>
  readonly optional: OptionalSession<Name>
  readonly any: AnySession<Name>
  readonly undeclared: UndeclaredSession<`Add security: [{ ${Name}: [] }] to the schema of this route`>
}

type AnyKinds = Record<keyof Kinds<SchemeName>, unknown>

/**
 * A session as the `security` of the schema declares it, or the default. Without `Required`, TypeScript before 5.9 would compare
 * requests by their schemas, and refuse to pass the request of a route to a function that takes any `FastifyRequest`.
 */
type RouteSession<Name extends SchemeName, Of extends AnyKinds, Schema> =
  Required<Schema> extends { security: infer Security } ? SessionBy<Name, Of, Security>
    : 0 extends 1 & Schema ? Of['any']
      : SessionDefaults extends { security: infer Security } ? SessionBy<Name, Of, Security>
        : Of['undeclared']

/** A session as a `security` list declares it. A `FastifyRequest` by itself has no exact list, and may be of any route. */
type SessionBy<Name extends SchemeName, Of extends AnyKinds, Security> =
  Security extends readonly unknown[]
    ? [Misspelt<Security[number]>] extends [never] ? SessionIf<Of, Requires<Name, Security[number]>> : NoScheme<Misspelt<Security[number]>>
    : Of['any']

/** The undeclared names in a `security` list, if `SessionRoles` declares any: TypeScript accepts them beside declared ones. */
type Misspelt<Alternative> =
  Alternative extends unknown ? string extends keyof Alternative ? never : Exclude<keyof Alternative, SecurityScheme> : never

/** The session where `security` names a scheme that is not declared. It has no member that can be used. */
type NoScheme<Name> = Record<`The security scheme "${Name & string}" is not declared in SessionRoles`, never>

type SessionIf<Of extends AnyKinds, Answer> =
  [Answer] extends ['no'] ? Of['undeclared']
    : [Answer] extends ['yes'] ? Of['live']
      : 'unknown' extends Answer ? Of['any']
        : Of['optional']

/** For each alternative of a `security` list: `yes` if it requires the session, `no` if not, or `unknown`. */
type Requires<Name extends string, Alternative> =
  Alternative extends unknown
    ? string extends keyof Alternative ? 'unknown'
      : Alternative extends { readonly [Key in Name]: readonly unknown[] } ? 'yes'
        // TypeScript adds `session?: undefined` to {} in a list that was not declared as constant.
        : Name extends keyof Alternative ? Alternative[Name] extends undefined ? 'no' : 'unknown'
          : 'no'
    : never

/** The user of a session that is not required may be absent: such a session can belong to a guest. */
type Found<Name extends SchemeName> = LiveSession<SessionData<Name>, SessionUser<Name> | undefined, SessionInput<Name>>

/** `request.session` of a request whose route is not known. `exists` tells whether there is a session. */
export type AnySession<Name extends SchemeName = SchemeName> = Found<Name> | AbsentSession<SessionData<Name>, SessionInput<Name>>

/** `request.session` where the session is one of several alternatives. `exists` tells whether there is a session. */
export type OptionalSession<Name extends SchemeName = SchemeName> = Found<Name> | (
  {} extends (Name extends keyof SessionGuests ? {} : SessionInput<Name>) ? BlankSession<SessionData<Name>, SessionInput<Name>>
    : AbsentSession<SessionData<Name>, SessionInput<Name>>)

/**
 * A request of a route with this `security`, for handlers and helpers: `SecuredRequest<typeof signedIn>`. TypeScript before 5.6
 * would infer a schema from it, and forget that of the route: from `any` it infers none.
 */
export type SecuredRequest<
  Security extends NonNullable<FastifySchema['security']>,
  RouteGeneric extends RouteGenericInterface = RouteGenericInterface
> = FastifyRequest<RouteGeneric, RawServerDefault, RawRequestDefaultExpression, any> & RouteSessions<{ security: Security }>

/** The schema of a route that was declared without options. */
export type NoSchema = Pick<FastifySchema, 'body' | 'querystring' | 'params' | 'headers' | 'response'>
