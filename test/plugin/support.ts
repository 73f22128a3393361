import type { FastifyInstance } from 'fastify'
import type { Session, SessionData, SessionOptions } from 'fastify-openapi-session'
import { Type } from '@sinclair/typebox'
import type { Test } from 'tap'
import { openWorld, type ServerOptions, type World } from '../support/harness.js'

/** The data of most tests: a visitor, who may be a guest. */
export const Visitor = Type.Object({
  userId: Type.Optional(Type.String()),
  roles: Type.Array(Type.String(), { default: [] }),
  cart: Type.Record(Type.String(), Type.Integer(), { default: {} }),
  a: Type.Optional(Type.Integer()),
  b: Type.Optional(Type.Integer())
})

/** The data of a second session in the same app. */
export const Admin = Type.Object({
  name: Type.String(),
  level: Type.Integer({ default: 1 })
})

declare module 'fastify-openapi-session' {
  interface SessionSchemas {
    session: typeof Visitor
    admin: typeof Admin
  }
  interface SessionGuests {
    session: true
  }
}

/** A session with all of its members, whatever the route declares. */
export type VisitorSession = Session<SessionData<'session'>>

/** Returns `request.session` for what its type does not allow there: a use that has to fail, or one that only this test knows to work. */
export function anySession (request: { readonly session: unknown }): VisitorSession {
  return request.session as VisitorSession
}

export type Options = Omit<SessionOptions<'session'>, 'scheme'>

/** Creates an app whose sessions are visitors'. */
export async function setUp (t: Test, options: Options = {}, server: ServerOptions = {}): Promise<World> {
  return await openWorld(t, { schema: Visitor, ...options } as SessionOptions<string, any>, { level: 'trace', ...server })
}

/** Signs the client of an app in. Returns its Cookie header. Forgets the calls and events of the login. */
export async function signIn ({ app, client, store, events }: World, data: SessionData<'session'>): Promise<string> {
  const { cookie, setCookie } = await (app as FastifyInstance).session.issue(data)
  client.jar.take(setCookie)
  store.take()
  events.length = 0
  return cookie
}
