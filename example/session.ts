import { optional, required, type SecuredRequest } from 'fastify-openapi-session'
import { type Static, Type } from '@sinclair/typebox'
import { deviceName } from './device.js'
import type { User } from './users.js'

/**
 * The data of a session. A guest has a cart and no `userId`. Nothing is stored for a guest before the first tea is in the cart.
 * Every field has a default or is optional, so that data of an older version still fit.
 */
export const Visitor = Type.Object({
  userId: Type.Optional(Type.String()),
  /** The browser that signed in, for the list of sessions. */
  device: Type.Optional(Type.String()),
  /** The user asked to stay signed in. */
  remembered: Type.Optional(Type.Boolean()),
  /** Tea id to how many. */
  cart: Type.Record(Type.String(), Type.Integer({ minimum: 1, maximum: 99 }), { default: {} }),
  /** Shown once, on the next page. */
  flash: Type.Optional(Type.String())
})

export type Visitor = Static<typeof Visitor>

// Types request.session and app.session in the whole app.
declare module 'fastify-openapi-session' {
  interface SessionSchemas { session: typeof Visitor }
  interface SessionUsers { session: User }
  interface SessionRoles { session: 'admin' }
  /** Without a session, `data` are the defaults of the schema. */
  interface SessionGuests { session: true }
}

// What a route can require. These three lists are the whole access control of the example, and its documentation.
export const anyone = optional('session')
export const signedIn = required('session')
export const admin = required('session', 'admin')

type VisitorRequest = SecuredRequest<typeof anyone>
type UserRequest = SecuredRequest<typeof signedIn>

/** Options of `start` for a user who asked to stay signed in: 30 days, also without a visit. */
const REMEMBERED = { persistent: true, absoluteTimeout: 30 * 24 * 60 * 60 }

/** Starts a session for `user` in place of the guest's, with the same cart. */
export function signIn (request: VisitorRequest, user: User, options: { flash?: string, remember?: boolean } = {}): void {
  const { flash, remember = false } = options
  const { userId, cart } = request.session.data
  request.session.start({
    userId: user.id,
    device: deviceName(request.headers['user-agent']),
    // A cart of another user is not taken over.
    cart: userId === undefined || userId === user.id ? cart : {},
    ...(remember && { remembered: true }),
    ...(flash !== undefined && { flash })
  }, remember ? REMEMBERED : {})
}

/** A session of a user, as pages and API show it. */
export interface SessionInfo {
  readonly id: string
  readonly device: string
  readonly remembered: boolean
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly current: boolean
}

/** Returns the sessions of the signed-in user, the one of this request first, then the latest login. */
export async function listSessions (request: UserRequest): Promise<SessionInfo[]> {
  const { sessions } = await request.server.session.list(request.session.user.id)
  return sessions
    .map(({ id, data, createdAt, expiresAt }) => ({
      id,
      device: data.device ?? 'Unknown program',
      remembered: data.remembered ?? false,
      createdAt: new Date(createdAt),
      expiresAt: new Date(expiresAt),
      current: id === request.session.id
    }))
    .sort((a, b) => Number(b.current) - Number(a.current))
}

/** Ends one session of the signed-in user. Returns `false` if this user has no session with the id. */
export async function endSession (request: UserRequest, id: string): Promise<boolean> {
  const found = await request.server.session.find(id)
  if (found === undefined || found.principal !== request.session.user.id) return false
  if (id === request.session.id) request.session.destroy()
  else await request.server.session.revoke(id)
  return true
}
