// The session of a request follows the route's own `security`, in every form that Fastify has to declare a route.
import Fastify, { type FastifyInstance, type FastifyRequest, type RouteHandlerMethod, type RouteOptions, type RouteShorthandOptions } from 'fastify'
import { type Static, Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import sessionPlugin, {
  type AbsentSession, type AnySession, type LiveSession, optional, type OptionalSession, required, type SecuredRequest, type Session, type UndeclaredSession
} from 'fastify-openapi-session'

const Visitor = Type.Object({ userId: Type.String(), theme: Type.Optional(Type.String()) })
type Visitor = Static<typeof Visitor>
interface User { readonly id: string, readonly name: string }

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
  interface SessionUsers { session: User }
  interface SessionRoles { session: 'admin' | 'clerk', bearer: 'read' | 'write', key: string }
}

type Live = LiveSession<Visitor, User>
type Found = LiveSession<Visitor, User | undefined>
type Absent = AbsentSession<Visitor>

const signedIn = required('session')
const admin = required('session', 'admin')
const anyone = optional('session')

expectTypeOf<AnySession>().toEqualTypeOf<Found | Absent>()
expectTypeOf<OptionalSession>().toEqualTypeOf<Found | Absent>()

export function requiredSession (app: FastifyInstance): void {
  app.get('/', { schema: { security: [{ session: [] }] } }, async (request) => {
    expectTypeOf(request.session).toEqualTypeOf<Live>()
    expectTypeOf(request.session.exists).toEqualTypeOf<true>()
    expectTypeOf(request.session.data).toEqualTypeOf<Visitor>()
    expectTypeOf(request.session.user).toEqualTypeOf<User>()
    // @ts-expect-error no key of the schema has this name
    String(request.session.data.usrId)
    // @ts-expect-error no property of the user has this name
    String(request.session.user.nmae)
    return request.session.data.userId
  })
  app.get('/', { schema: { security: [{ session: ['admin', 'clerk'] }] } }, async ({ session }) => session.user.name)
  app.get('/', { schema: { security: [{ session: ['admin'] }, { session: ['clerk'] }] } }, async ({ session }) => session.user.name)
  app.get('/', { schema: { security: [{ session: [], bearer: ['read'] }] } }, async ({ session }) => session.user.name)
  app.get('/', { schema: { security: [{ session: [] }, { session: [], bearer: [] }] } }, async ({ session }) => session.user.name)
  app.get('/', { schema: { security: signedIn } }, async ({ session }) => session.user.name)
  app.get('/', { schema: { security: admin } }, async ({ session }) => session.user.name)
  app.get('/', { schema: { security: [...signedIn] } }, async ({ session }) => session.user.name)
  // A list without a helper and without `as const` keeps the names of its schemes.
  const list = [{ session: [] }]
  app.get('/', { schema: { security: list } }, async ({ session }) => session.user.name)
}

export function optionalSession (app: FastifyInstance): void {
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => {
    expectTypeOf(session).toEqualTypeOf<Found | Absent>()
    expectTypeOf(session.user).toEqualTypeOf<User | undefined>()
    expectTypeOf(session.get('theme')).toEqualTypeOf<string | undefined>()
    session.set('theme', 'dark')
    session.unset('theme')
    session.start({ userId: 'ada' })
    await session.regenerate(['theme'])
    session.destroy()
    expectTypeOf(await session.commit()).toEqualTypeOf<string | undefined>()
    // @ts-expect-error there may be no session
    String(session.data)
    // @ts-expect-error there may be no session
    String(session.id)
    // @ts-expect-error there may be no session
    session.renew()
    // @ts-expect-error there may be no session
    void session.update(() => {})
    // @ts-expect-error there may be no user
    String(session.user.name)
    if (!session.exists) {
      expectTypeOf(session).toEqualTypeOf<Absent>()
      expectTypeOf(session.user).toEqualTypeOf<undefined>()
      return ''
    }
    expectTypeOf(session).toEqualTypeOf<Found>()
    return session.data.userId
  })
  // Where there is a user, there is a session.
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async (request) => {
    if (request.session.user === undefined) return ''
    return request.session.user.name + request.session.data.userId
  })
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => session.user ? session.user.name + session.id : '')
  app.get('/', { schema: { security: [{}, { session: [] }] } }, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<Found | Absent>() })
  app.get('/', { schema: { security: [{ session: [] }, { bearer: [] }] } }, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<Found | Absent>() })
  app.get('/', { schema: { security: [{ session: ['admin'] }, { bearer: ['read'], key: [] }] } }, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<Found | Absent>() })
  app.get('/', { schema: { security: anyone } }, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<Found | Absent>() })
  app.get('/', { schema: { security: [...required('session', 'admin'), ...required('bearer', 'read')] } }, async ({ session }) => {
    expectTypeOf(session).toEqualTypeOf<Found | Absent>()
  })
  const either = [...signedIn, ...required('bearer')]
  app.get('/', { schema: { security: either } }, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<Found | Absent>() })
}

export function noSession (app: FastifyInstance): void {
  app.get('/', { schema: { security: [] } }, async (request) => {
    expectTypeOf(request.session.exists).toEqualTypeOf<false>()
    expectTypeOf(request.session.user).toEqualTypeOf<undefined>()
    expectTypeOf(request.session.get('userId')).toEqualTypeOf<undefined>()
    // @ts-expect-error the route declares no session
    request.session.start({ userId: 'ada' })
    // @ts-expect-error the route declares no session
    request.session.set('theme', 'dark')
    // @ts-expect-error the route declares no session
    request.session.unset('theme')
    // @ts-expect-error the route declares no session
    request.session.destroy()
    // @ts-expect-error the route declares no session
    void request.session.regenerate()
    // @ts-expect-error the route declares no session
    void request.session.commit()
    // @ts-expect-error the route declares no session
    request.session.renew()
    // @ts-expect-error the route declares no session
    void request.session.update(() => {})
    // @ts-expect-error the route declares no session
    String(request.session.id)
    // Errors of the compiler, and editors, show what to write.
    expectTypeOf(request.session).toEqualTypeOf<UndeclaredSession<'Add security: [{ session: [] }] to the schema of this route'>>()
    // @ts-expect-error the route declares no session
    return request.session.data
  })
  // @ts-expect-error the route declares another scheme
  app.get('/', { schema: { security: [{ bearer: [] }] } }, async ({ session }) => session.data)
  // @ts-expect-error the route lets every request in, without a session
  app.get('/', { schema: { security: [{}] } }, async ({ session }) => session.data)
  // @ts-expect-error the schema has no security
  app.get('/', { schema: { body: Visitor } }, async ({ session }) => session.data)
  // @ts-expect-error the schema has no security
  app.get('/', { schema: {} }, async ({ session }) => session.data)
  // @ts-expect-error the route has no schema
  app.get('/', async ({ session }) => session.data)
  // @ts-expect-error the route has no schema
  app.get('/', async ({ session }) => { session.destroy() })
  // @ts-expect-error the route has no schema
  app.get<{ Params: { id: string } }>('/', async ({ session }) => { session.destroy() })
  // @ts-expect-error options without a schema: the types do not know the route, and it may have no session
  app.get('/', { logLevel: 'warn' }, async ({ session }) => session.data)
}

export function undeclaredNames (app: FastifyInstance): void {
  // @ts-expect-error no scheme has this name
  app.get('/', { schema: { security: [{ sesion: [] }] } }, async () => '')
  // @ts-expect-error no scheme has this name, beside one that is declared
  app.get('/', { schema: { security: [{ session: [], bearr: [] }] } }, async ({ session }) => session.data)
  // @ts-expect-error no scheme has this name, in another alternative
  app.get('/', { schema: { security: [{ session: [] }, { session: [], bearr: [] }] } }, async ({ session }) => session.exists)
  app.get('/', { schema: { security: [{ session: [], bearer: [] }, { key: [] }, {}] } }, async ({ session }) => session.exists)
  // @ts-expect-error no scheme has this name
  app.get('/', { schema: { security: [{ session: [] }, { bearr: [] }] } }, async () => '')
  // @ts-expect-error no role has this name
  app.get('/', { schema: { security: [{ session: ['admn'] }] } }, async () => '')
  // @ts-expect-error no role has this name
  app.get('/', { schema: { security: [{ session: ['admin', 'cleric'] }] } }, async () => '')
  // @ts-expect-error a role of another scheme
  app.get('/', { schema: { security: [{ session: ['read'] }] } }, async () => '')
  // @ts-expect-error no scope has this name
  app.get('/', { schema: { security: [{ session: [] }, { bearer: ['raed'] }] } }, async () => '')
  // @ts-expect-error no role has this name
  app.route({ method: 'GET', url: '/', schema: { security: [{ session: ['admn'] }] }, handler: async () => '' })
  // @ts-expect-error no role has this name
  app.get('/', { schema: { security: [{ session: ['admn'] }] }, handler: async () => '' })
  // @ts-expect-error the requirement of a scheme is a list
  app.get('/', { schema: { security: [{ session: true }] } }, async () => '')
  // @ts-expect-error security is a list
  app.get('/', { schema: { security: { session: [] } } }, async () => '')
  // @ts-expect-error no scheme has this name
  required('sesion')
  // @ts-expect-error no role has this name
  required('session', 'admn')
  // @ts-expect-error no scope has this name
  required('bearer', 'admin')
  // @ts-expect-error no scheme has this name
  optional('sesion')
  app.get('/', { schema: { security: [{ key: ['anything'] }] } }, async () => '')
}

export function forms (app: FastifyInstance): void {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/',
    schema: { security: [{ session: [] }] },
    onRequest: async (request) => { expectTypeOf(request.session).toEqualTypeOf<Live>() },
    preHandler: [async (request) => { expectTypeOf(request.session).toEqualTypeOf<Live>() }, (request, reply, done) => { String(request.session.user.name); done() }],
    onSend: async (request, reply, payload) => { expectTypeOf(request.session).toEqualTypeOf<Live>(); return payload },
    onResponse: async (request) => { expectTypeOf(request.session).toEqualTypeOf<Live>() },
    errorHandler: (error, request) => { expectTypeOf(request.session).toEqualTypeOf<Live>(); throw error },
    handler: async (request) => request.session.user.name
  })
  app.post('/', { schema: { security: [{ session: [] }] }, handler: async (request) => request.session.user.name })
  app.post('/', { schema: { security: signedIn }, preHandler: async ({ session }) => { String(session.user.name) } }, async ({ session }) => session.user.name)
  app.post('/', { schema: { security: [] }, preHandler: async ({ session }) => {
    // @ts-expect-error the route declares no session
    String(session.data)
  } }, async () => '')
  app.post('/', { schema: { security: signedIn }, config: { session: { touch: false } } }, function (request) {
    return this.session.revoke(request.session.id)
  })
  // @ts-expect-error touch is true or false
  app.get('/', { schema: { security: signedIn }, config: { session: { touch: 1 } } }, async () => '')
  void app.register(async (child) => {
    child.get('/', { schema: { security: signedIn } }, async ({ session }) => session.user.name)
  })
}

// Explicit type arguments take part of the inference away: the third of them is the schema.
export function explicitTypes (app: FastifyInstance): void {
  interface Route { Params: { id: string } }
  app.get<Route>('/:id', { schema: { security: [{ session: [] }] } }, async (request) => {
    expectTypeOf(request.params.id).toEqualTypeOf<string>()
    expectTypeOf(request.session).toEqualTypeOf<Found | Absent>()
  })
  app.get<Route, unknown, { security: typeof signedIn }>('/:id', { schema: { security: signedIn } }, async (request) => request.params.id + request.session.user.name)
  const named = async (request: SecuredRequest<typeof signedIn, Route>): Promise<string> => request.params.id + request.session.user.name
  app.get<Route, unknown, { security: typeof signedIn }>('/:id', { schema: { security: signedIn } }, named)
  // @ts-expect-error the schema lets requests in without a session
  app.get<Route, unknown, { security: typeof signedIn }>('/:id', { schema: { security: anyone } }, named)
  app.get<Route>('/:id', { schema: { security: required('session', 'admin') } }, async () => '')
  // @ts-expect-error no scheme has this name
  app.get<Route>('/:id', { schema: { security: [{ sesion: [] }] } }, async () => '')
  // @ts-expect-error no role has this name
  app.get<Route>('/:id', { schema: { security: [{ session: ['admn'] }] } }, async () => '')
  const shared: RouteShorthandOptions = { schema: { security: [{ session: [] }, {}] } }
  app.get('/', shared, async ({ session }) => { expectTypeOf(session).toEqualTypeOf<Found | Absent>() })
  const route: RouteOptions = { method: 'GET', url: '/', schema: { security: signedIn }, handler: async ({ session }) => { expectTypeOf(session).toEqualTypeOf<Found | Absent>() } }
  app.route(route)
}

function helper (request: FastifyRequest): string {
  expectTypeOf(request.session).toEqualTypeOf<Found | Absent>()
  return request.session.exists ? request.session.data.userId : ''
}
function nameOf (session: LiveSession<Visitor, User>): string { return session.user.name }
function login (session: OptionalSession): void { session.start({ userId: 'ada' }) }
function theUser (request: SecuredRequest<typeof signedIn>): string { return request.session.user.name }
function guest (request: SecuredRequest<typeof anyone>): string { return request.session.user?.name ?? '' }
const handler: RouteHandlerMethod = async (request) => helper(request)
const hook = async (request: FastifyRequest): Promise<void> => { helper(request) }
const whoAmI = async (request: SecuredRequest<typeof signedIn>): Promise<string> => request.session.user.name

// Handlers and helpers that take any request work with every route; those that need a session, with the routes that have it.
export function helpers (app: FastifyInstance): void {
  app.get('/', { schema: { security: signedIn }, preHandler: hook }, async (request) => helper(request) + theUser(request) + guest(request) + nameOf(request.session))
  app.get('/', { schema: { security: admin } }, async (request) => helper(request) + theUser(request) + guest(request))
  app.get('/', { schema: { security: anyone }, preHandler: [hook] }, async (request) => {
    login(request.session)
    return helper(request) + guest(request)
  })
  app.get('/', { schema: { security: [] }, onRequest: hook }, async (request) => helper(request))
  app.get('/', { schema: { body: {} } }, async (request) => helper(request))
  app.get('/', async (request) => helper(request))
  app.get('/', handler)
  app.get('/', { schema: { security: [] } }, handler)
  app.get('/', { schema: { security: signedIn } }, handler)
  app.get('/', { schema: { security: anyone }, handler })
  app.route({ method: 'GET', url: '/', schema: { security: signedIn }, handler })
  app.get('/', { schema: { security: signedIn } }, whoAmI)
  app.get('/', { schema: { security: admin } }, whoAmI)
  // @ts-expect-error the handler needs a session, and the route lets requests in without
  app.get('/', { schema: { security: anyone } }, whoAmI)
  // @ts-expect-error the handler needs a session, and the route has none
  app.get('/', { schema: { security: [] } }, whoAmI)
  // @ts-expect-error the handler needs a session, and the route has none
  app.get('/', whoAmI)
  // @ts-expect-error the helper needs a session, and there may be none
  app.get('/', { schema: { security: anyone } }, async (request) => theUser(request))
  // @ts-expect-error the helper needs a session, and the route has none
  app.get('/', { schema: { security: [] } }, async (request) => theUser(request))
  app.addHook('preHandler', hook)
  app.addHook('onRequest', async (request) => {
    expectTypeOf(request.session).toEqualTypeOf<Found | Absent>()
    // @ts-expect-error there may be no session
    String(request.session.data)
    return request.session.user?.name
  })
  app.setErrorHandler((error, request) => { helper(request) })
  app.setNotFoundHandler(async (request) => { helper(request) })
}

// A FastifyRequest with loose type arguments is a request of a route that is not known.
export function loose (request: FastifyRequest<any, any, any, any>): void {
  expectTypeOf(request.session).toEqualTypeOf<Found | Absent>()
}

export async function options (app: FastifyInstance): Promise<void> {
  await app.register(sessionPlugin, {
    schema: Visitor,
    principal: (data) => data.userId,
    user: async (data) => data.userId === '' ? null : { id: data.userId, name: 'Ada' },
    roles: (data, user) => { expectTypeOf(user).toEqualTypeOf<User>(); return [user.name] },
    security: [{ session: [] }],
    verifiers: { bearer: (request) => helper(request) === '' }
  })
  await app.register(sessionPlugin, { schema: Visitor, user: () => null })
  // @ts-expect-error a user has a name
  await app.register(sessionPlugin, { schema: Visitor, user: (data) => ({ id: data.userId }) })
}

// What every session has can be asked for without the request.
export const anyLive: Session<Visitor, User> = {} as unknown as Live

export const app = Fastify()
app.get('/', { schema: { security: signedIn } }, async ({ session }) => session.user.name)
