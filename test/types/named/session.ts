// One session, and not by the default name.
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import sessionPlugin, { type LiveSession, type SchemeName, type SessionManager } from 'fastify-openapi-session'

const Staff = Type.Object({ name: Type.String() })
type Staff = Static<typeof Staff>

declare module 'fastify-openapi-session' {
  interface SessionSchemas { staff: typeof Staff }
}

expectTypeOf<SchemeName>().toEqualTypeOf<'staff'>()

export async function use (app: FastifyInstance): Promise<void> {
  await app.register(sessionPlugin, { scheme: 'staff', schema: Staff, principal: (data) => data.name, verify: (data) => data.name !== '' })
  // @ts-expect-error the name has to be given, for the default one is not declared
  await app.register(sessionPlugin, { schema: Staff })
  expectTypeOf(app.staff).toEqualTypeOf<SessionManager<Staff>>()
  // @ts-expect-error there is no such session
  String(app.session)
  app.get('/', { schema: { security: [{ staff: [] }] } }, async (request) => {
    expectTypeOf(request.staff).toEqualTypeOf<LiveSession<Staff>>()
    // @ts-expect-error there is no such session
    return request.session
  })
}
