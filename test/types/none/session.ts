// Nothing declared: everything works, and the data are any object's. Without @fastify/swagger, whose types declare `security` too.
import type { FastifyInstance } from 'fastify'
import { Type } from '@sinclair/typebox'
import { expectTypeOf } from 'expect-type'
import sessionPlugin, { type LiveSession, type SchemeName, type SessionManager } from 'fastify-openapi-session'

expectTypeOf<SchemeName>().toEqualTypeOf<'session'>()

export async function use (app: FastifyInstance): Promise<void> {
  await app.register(sessionPlugin)
  await app.register(sessionPlugin, {})
  await app.register(sessionPlugin, { schema: Type.Object({ userId: Type.String() }), principal: (data) => String(data['userId']) })
  expectTypeOf(app.session).toEqualTypeOf<SessionManager>()
  app.get('/', { schema: { security: [{ session: [] }] } }, async (request) => {
    expectTypeOf(request.session).toEqualTypeOf<LiveSession>()
    expectTypeOf(request.session.get('anything')).toBeUnknown()
    request.session.set('anything', { goes: 1 })
    request.session.start({ userId: 'ada' })
    request.session.data['anything'] = 1
    // @ts-expect-error an object, whatever is in it
    request.session.start('ada')
    return {}
  })
  // @ts-expect-error no such option
  await app.register(sessionPlugin, { shceme: 'x' })
  // @ts-expect-error a list of lists of names
  app.get('/security', { schema: { security: [{ session: true }] } }, async () => '')
}
