// Several sessions in one app, the default name among them, without @fastify/swagger.
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import sessionPlugin, { type LiveSession, type SchemeName, type SessionManager } from 'fastify-openapi-session'

const Visitor = Type.Object({ userId: Type.Optional(Type.String()), cart: Type.Array(Type.String(), { default: [] }) })
const Staff = Type.Object({ name: Type.String(), rights: Type.Array(Type.String()) })
const Partner = Type.Object({ company: Type.Integer() })
type Visitor = Static<typeof Visitor>
type Staff = Static<typeof Staff>

declare module 'fastify-openapi-session' {
  interface SessionSchemas {
    session: typeof Visitor
    staff: typeof Staff
    'partner-api': typeof Partner
  }
}

expectTypeOf<SchemeName>().toEqualTypeOf<'session' | 'staff' | 'partner-api'>()

export async function options (app: FastifyInstance): Promise<void> {
  await app.register(sessionPlugin, {
    schema: Visitor,
    principal: (data) => { expectTypeOf(data).toEqualTypeOf<Visitor>(); return data.userId },
    roles: (data) => { expectTypeOf(data).toEqualTypeOf<Visitor>(); return [] },
    verify: (data) => { expectTypeOf(data).toEqualTypeOf<Visitor>(); return true },
    migrate: (data) => { expectTypeOf(data).toEqualTypeOf<unknown>(); return data }
  })
  await app.register(sessionPlugin, {
    scheme: 'staff',
    schema: Staff,
    principal: (data) => { expectTypeOf(data).toEqualTypeOf<Staff>(); return data.name },
    roles: (data) => { expectTypeOf(data).toEqualTypeOf<Staff>(); return data.rights },
    verify: async (data, request) => { expectTypeOf(data).toEqualTypeOf<Staff>(); return request.url === data.name },
    migrate: (data) => { expectTypeOf(data).toEqualTypeOf<unknown>(); return data }
  })
  await app.register(sessionPlugin, { scheme: 'partner-api', schema: Partner, principal: (data) => String(data.company.toFixed()) })
  await app.register(sessionPlugin, { scheme: 'session', schema: Visitor, principal: (data) => data.userId })

  // @ts-expect-error that is the visitor's
  await app.register(sessionPlugin, { scheme: 'staff', schema: Visitor })
  // @ts-expect-error that is the staff's
  await app.register(sessionPlugin, { schema: Staff })
  // @ts-expect-error the staff have no userId
  await app.register(sessionPlugin, { scheme: 'staff', schema: Staff, principal: (data) => data.userId })
  // @ts-expect-error the visitor has no name
  await app.register(sessionPlugin, { schema: Visitor, principal: (data) => data.name })
  // @ts-expect-error no such scheme
  await app.register(sessionPlugin, { scheme: 'stuff', schema: Staff })
}

export async function use (app: FastifyInstance): Promise<void> {
  expectTypeOf(app.session).toEqualTypeOf<SessionManager<Visitor>>()
  expectTypeOf(app.staff).toEqualTypeOf<SessionManager<Staff>>()
  expectTypeOf(app['partner-api']).toEqualTypeOf<SessionManager<{ company: number }>>()
  app.get('/', { schema: { security: [{ session: [], staff: ['boss'], 'partner-api': [] }] } }, async (request) => {
    expectTypeOf(request.session).toEqualTypeOf<LiveSession<Visitor>>()
    expectTypeOf(request.staff).toEqualTypeOf<LiveSession<Staff>>()
    expectTypeOf(request['partner-api'].data.company).toEqualTypeOf<number>()
    // @ts-expect-error of the other session
    request.staff.set('cart', [])
    return {}
  })
}
