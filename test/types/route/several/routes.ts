// Several sessions in one app: each follows what `security` says of its own scheme.
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import { type AbsentSession, type AnySession, type LiveSession, optional, required } from 'fastify-openapi-session'

const Visitor = Type.Object({ userId: Type.String() })
const Staff = Type.Object({ name: Type.String() })
type Visitor = Static<typeof Visitor>
type Staff = Static<typeof Staff>
interface Employee { readonly number: number }

declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor, 'staff-area': typeof Staff }
  interface SessionUsers { 'staff-area': Employee }
  interface SessionRoles { 'staff-area': 'boss' }
}

const boss = required('staff-area', 'boss')

export function routes (app: FastifyInstance): void {
  app.get('/', { schema: { security: [{ session: [] }] } }, async (request) => {
    expectTypeOf(request.session).toEqualTypeOf<LiveSession<Visitor>>()
    expectTypeOf(request.session.user).toBeAny()
    // @ts-expect-error the route declares no session of the staff
    return request['staff-area'].data
  })
  app.get('/', { schema: { security: boss } }, async (request) => {
    expectTypeOf(request['staff-area']).toEqualTypeOf<LiveSession<Staff, Employee>>()
    // @ts-expect-error the route declares no session of visitors
    return request.session.data
  })
  app.get('/', { schema: { security: [{ session: [], 'staff-area': ['boss'] }] } }, async (request) => {
    return request.session.data.userId + request['staff-area'].user.number.toFixed()
  })
  app.get('/', { schema: { security: [{ session: [] }, { 'staff-area': [] }] } }, async (request) => {
    expectTypeOf(request.session).toEqualTypeOf<AnySession<'session'>>()
    expectTypeOf(request['staff-area']).toEqualTypeOf<LiveSession<Staff, Employee | undefined> | AbsentSession<Staff>>()
    if (request['staff-area'].exists) return request['staff-area'].data.name
    return request.session.exists ? request.session.data.userId : ''
  })
  app.get('/', { schema: { security: [{ session: [], 'staff-area': [] }, { session: [] }] } }, async (request) => {
    // @ts-expect-error one of the alternatives goes without the staff
    String(request['staff-area'].data)
    return request.session.data.userId
  })
  // Roles of visitors are not declared, so any name is one.
  app.get('/', { schema: { security: [{ session: ['anything'] }] } }, async () => '')
  app.get('/', { schema: { security: optional('session', 'anything') } }, async () => '')
  // @ts-expect-error no role has this name
  app.get('/', { schema: { security: [{ 'staff-area': ['bos'] }] } }, async () => '')
  // @ts-expect-error no scheme has this name
  app.get('/', { schema: { security: [{ staff: [] }] } }, async () => '')
  // @ts-expect-error no role has this name
  required('staff-area', 'bos')
}
