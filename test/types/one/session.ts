// One session, typed by an augmentation, beside @fastify/swagger and the TypeBox type provider.
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {} from '@fastify/swagger'
import { type Static, Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import sessionPlugin, {
  type IssuedSession, type LiveSession, MemoryStore, type SchemeName, type SessionData, SessionError, type SessionErrorCode, type SessionEvent,
  type SessionInfo, type SessionManager, type SessionOptions, type SessionPage, type SessionPluginOptions, sessionPlugin as named
} from 'fastify-openapi-session'

const Visitor = Type.Object({
  userId: Type.String(),
  roles: Type.Array(Type.String(), { default: [] }),
  theme: Type.Optional(Type.Union([Type.Literal('dark'), Type.Literal('light')])),
  deep: Type.Object({ list: Type.Array(Type.Object({ n: Type.Integer() })) })
})
type Visitor = Static<typeof Visitor>

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
}

const deep = { list: [{ n: 1 }] }

expectTypeOf<SchemeName>().toEqualTypeOf<'session'>()
expectTypeOf<SessionData<'session'>>().toEqualTypeOf<Visitor>()
expectTypeOf(named).toEqualTypeOf(sessionPlugin)

export async function routes (app: FastifyInstance): Promise<void> {
  app.post('/members', { schema: { security: [{ session: [] }] } }, async (request) => {
    const { session } = request
    expectTypeOf(session).toEqualTypeOf<LiveSession<Visitor>>()
    expectTypeOf(session.data).toEqualTypeOf<Visitor>()
    expectTypeOf(session.exists).toEqualTypeOf<true>()
    expectTypeOf(session.id).toEqualTypeOf<string>()
    expectTypeOf(session.createdAt).toEqualTypeOf<number>()
    expectTypeOf(session.authenticatedAt).toEqualTypeOf<number>()
    expectTypeOf(session.expiresAt).toEqualTypeOf<number>()
    expectTypeOf(session.get('userId')).toEqualTypeOf<string | undefined>()
    expectTypeOf(session.get('theme')).toEqualTypeOf<'dark' | 'light' | undefined>()
    expectTypeOf(session.get('deep')).toEqualTypeOf<Visitor['deep'] | undefined>()

    session.data.deep.list.push({ n: 2 })
    session.data.theme = 'dark'
    session.set('theme', 'light')
    session.unset('theme')
    session.start({ userId: 'ada', roles: [], deep })
    session.start({ userId: 'ada', roles: [], deep }, { persistent: true, absoluteTimeout: 60, idleTimeout: 60 })
    session.renew()
    session.destroy()
    expectTypeOf(await session.regenerate(['userId', 'deep'])).toEqualTypeOf<void>()
    expectTypeOf(await session.regenerate()).toEqualTypeOf<void>()
    expectTypeOf(await session.commit()).toEqualTypeOf<string | undefined>()
    expectTypeOf(await session.update((data) => { data.roles.push('x') })).toEqualTypeOf<Visitor>()
    await session.update((data) => ({ ...data, userId: 'x' }))
    await session.update(async (data) => { expectTypeOf(data).toEqualTypeOf<Visitor>() })

    // @ts-expect-error 'usrId' is not in the schema
    String(session.data.usrId)
    // @ts-expect-error userId is text
    session.data.userId = 1
    // @ts-expect-error theme is one of two
    session.data.theme = 'blue'
    // @ts-expect-error n is a number
    session.data.deep.list.push({ n: '2' })
    // @ts-expect-error data are changed, not replaced
    session.data = { userId: 'ada', roles: [], deep }
    // @ts-expect-error no such key
    session.get('usrId')
    // @ts-expect-error no such key
    session.set('usrId', 'ada')
    // @ts-expect-error of another key
    session.set('userId', ['ada'])
    // @ts-expect-error no such key
    session.unset('usrId')
    // @ts-expect-error no such key
    void session.regenerate(['usrId'])
    // @ts-expect-error not all of them
    session.start({ roles: [] })
    // @ts-expect-error seconds are a number
    session.start({ userId: 'ada', roles: [], deep }, { absoluteTimeout: '60' })
    // @ts-expect-error no such option
    session.start({ userId: 'ada', roles: [], deep }, { maxAge: 60 })
    // @ts-expect-error what it returns has to fit
    void session.update(() => ({ userId: 1 }))
    // @ts-expect-error read only
    session.exists = true
    // @ts-expect-error there is no such scheme
    String(request.admin)
    return { ok: true }
  })

  app.get('/me', { schema: { security: [{ session: ['admin'] }, { bearer: ['read'] }] }, config: { session: { touch: false, maxAge: 300 } } }, async (request) => {
    return request.session.exists ? request.session.data.userId : ''
  })
  // @ts-expect-error true or false
  app.get('/touch', { config: { session: { touch: 1 } } }, async () => '')
  // @ts-expect-error a list of lists of names
  app.get('/security', { schema: { security: [{ session: true }] } }, async () => '')
  // @ts-expect-error a list
  app.get('/list', { schema: { security: { session: [] } } }, async () => '')
}

export async function manager (app: FastifyInstance): Promise<void> {
  expectTypeOf(app.session).toEqualTypeOf<SessionManager<Visitor>>()
  const issued = await app.session.issue({ userId: 'ada', roles: [], deep }, { persistent: true })
  expectTypeOf(issued).toEqualTypeOf<IssuedSession>()
  expectTypeOf(await app.session.list('ada')).toEqualTypeOf<SessionPage<Visitor>>()
  expectTypeOf((await app.session.list('ada', { limit: 10 })).sessions).toEqualTypeOf<ReadonlyArray<SessionInfo<Visitor>>>()
  expectTypeOf(await app.session.find('id')).toEqualTypeOf<SessionInfo<Visitor> | undefined>()
  expectTypeOf(await app.session.revoke('id')).toEqualTypeOf<boolean>()
  expectTypeOf(await app.session.revokeAll('ada')).toEqualTypeOf<number>()
  expectTypeOf(await app.session.revokeAll('ada', { except: 'id' })).toEqualTypeOf<number>()
  // @ts-expect-error not all of them
  await app.session.issue({ userId: 'ada' })
  // @ts-expect-error an id, not a session
  await app.session.revoke(issued)
  // @ts-expect-error read only
  app.session = app.session
}

export async function options (app: FastifyInstance): Promise<void> {
  await app.register(sessionPlugin, { schema: Visitor })
  await app.register(sessionPlugin, { prefix: '/x', logLevel: 'warn', schema: Visitor })
  await app.register(sessionPlugin, {
    scheme: 'session',
    schema: Visitor,
    store: new MemoryStore({ maxSessions: 10 }),
    cookie: { name: 'sid', path: '/', domain: 'example.com', sameSite: 'strict', secure: true, partitioned: true, persistent: true },
    idleTimeout: 60,
    absoluteTimeout: 600,
    storeTimeout: 1,
    maxSize: 4096,
    maxPerPrincipal: 5,
    principal: (data) => { expectTypeOf(data).toEqualTypeOf<Visitor>(); return data.userId },
    roles: (data) => { expectTypeOf(data).toEqualTypeOf<Visitor>(); return data.roles },
    verify: async (data, request) => {
      expectTypeOf(data).toEqualTypeOf<Visitor>()
      expectTypeOf(request).toEqualTypeOf<FastifyRequest>()
      return true
    },
    migrate: (data) => { expectTypeOf(data).toEqualTypeOf<unknown>(); return data },
    security: [{ session: [] }],
    verifiers: {
      bearer: (request, scopes) => {
        expectTypeOf(request).toEqualTypeOf<FastifyRequest>()
        expectTypeOf(scopes).toEqualTypeOf<readonly string[]>()
        return true
      }
    },
    crossOrigin: { trusted: ['https://shop.example'] },
    openapi: { description: 'Sign in', login: 'login', status: 'status', logout: 'logout', decorator: 'docs' },
    onEvent: (event, request) => {
      expectTypeOf(event).toEqualTypeOf<SessionEvent>()
      expectTypeOf(request).toEqualTypeOf<FastifyRequest | undefined>()
    },
    now: () => 0
  })
  await app.register(sessionPlugin, { schema: Visitor, crossOrigin: false, verify: (data) => data.roles.length > 0 })

  // @ts-expect-error 'usrId' is not in the schema
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.usrId })
  // @ts-expect-error a principal is text
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.deep.list.length })
  // @ts-expect-error roles are a list
  await app.register(sessionPlugin, { schema: Visitor, roles: (data) => data.userId })
  // @ts-expect-error true or false
  await app.register(sessionPlugin, { schema: Visitor, verify: (data) => data.userId })
  // @ts-expect-error not the schema that is declared for the scheme
  await app.register(sessionPlugin, { schema: Type.Object({ userId: Type.Integer() }) })
  // @ts-expect-error no such scheme
  await app.register(sessionPlugin, { scheme: 'admin' })
  // @ts-expect-error no such option
  await app.register(sessionPlugin, { schema: Visitor, idleTimeOut: 5 })
  // @ts-expect-error seconds are a number
  await app.register(sessionPlugin, { schema: Visitor, idleTimeout: '30m' })
  // @ts-expect-error lower case
  await app.register(sessionPlugin, { schema: Visitor, cookie: { sameSite: 'Lax' } })
  // @ts-expect-error it always is
  await app.register(sessionPlugin, { schema: Visitor, cookie: { httpOnly: false } })
  // @ts-expect-error a store has methods
  await app.register(sessionPlugin, { schema: Visitor, store: new Map() })
  // @ts-expect-error off is false, on needs nothing
  await app.register(sessionPlugin, { schema: Visitor, crossOrigin: true })
}

export function typeProvider (): void {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  void app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.userId })
  const Body = Type.Object({ name: Type.String() })
  app.post('/', { schema: { security: [{ session: [] }], body: Body, response: { 200: Type.Object({ id: Type.String() }) } } }, async (request) => {
    expectTypeOf(request.body).toEqualTypeOf<{ name: string }>()
    expectTypeOf(request.session.data).toEqualTypeOf<Visitor>()
    return { id: request.session.data.userId }
  })
  // @ts-expect-error the response has an id
  app.get('/wrong', { schema: { security: [{ session: [] }], response: { 200: Type.Object({ id: Type.String() }) } } }, async () => ({ no: 1 }))
  expectTypeOf(app.session).toEqualTypeOf<SessionManager<Visitor>>()
}

export function errors (error: unknown): void {
  if (!(error instanceof SessionError)) return
  expectTypeOf(error.code).toEqualTypeOf<SessionErrorCode>()
  expectTypeOf(error.statusCode).toEqualTypeOf<number>()
  // @ts-expect-error no such code
  String(error.code === 'FST_SESSION_NONE')
}

export function events (event: SessionEvent): void {
  if (event.type === 'created') expectTypeOf(event.reason).toEqualTypeOf<'start' | 'first-write' | 'issue' | 'adopted'>()
  if (event.type === 'expired') expectTypeOf(event.reason).toEqualTypeOf<'absolute' | 'absent' | 'idle-during-request'>()
}

// Options can be put together on their own.
export const shared: SessionOptions<'session'> = { schema: Visitor, principal: (data) => data.userId }
export const all: SessionPluginOptions = { ...shared, idleTimeout: 5 }

// Fastify's own ways to register keep their types beside the plugin's.
export async function others (app: FastifyInstance): Promise<void> {
  const loose: any = {}
  await app.register(async (instance, given) => {
    expectTypeOf(instance).toEqualTypeOf<FastifyInstance>()
    expectTypeOf(given).not.toEqualTypeOf<SessionPluginOptions>()
  })
  await app.register(async (instance, given) => {
    expectTypeOf(instance).toEqualTypeOf<FastifyInstance>()
    expectTypeOf(given).not.toEqualTypeOf<SessionPluginOptions>()
  }, loose)
  await app.register(async (instance, given: { depth: number }) => { expectTypeOf(given.depth).toEqualTypeOf<number>() }, { depth: 5 })
  void app.register((instance, given, done) => { done() }, { prefix: '/x' })
  // @ts-expect-error depth is a number
  await app.register(async (instance, given: { depth: number }) => { String(given) }, { depth: '5' })
  await app.register(sessionPlugin, () => ({ schema: Visitor }))
  await app.register(sessionPlugin)
}
