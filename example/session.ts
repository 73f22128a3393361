import type { FastifyRequest } from 'fastify'
import { type Static, Type } from '@sinclair/typebox'
import { deviceName } from './device.js'
import { type User, userById } from './users.js'

/**
 * What the shop remembers of a visitor. Guests have a cart and no `userId`; nothing is stored for them before they put
 * something into it. Every field has a default or is optional, so data stored by an older version still fits.
 */
export const Visitor = Type.Object({
  userId: Type.Optional(Type.String()),
  /** The browser that signed in, for the list of sessions. */
  device: Type.Optional(Type.String()),
  /** Tea id to how many. */
  cart: Type.Record(Type.String(), Type.Integer({ minimum: 1, maximum: 99 }), { default: {} }),
  /** Shown once, on the next page. */
  flash: Type.Optional(Type.String())
})

export type Visitor = Static<typeof Visitor>

// From here on request.session and app.session are typed, everywhere in the app.
declare module 'fastify-openapi-session' {
  interface SessionSchemas {
    session: typeof Visitor
  }
}

// The three things a route can ask for. These lists are the whole access control of the example, and its documentation.
export const anyone = [{ session: [] }, {}] as const
export const signedIn = [{ session: [] }] as const
export const admin = [{ session: ['admin'] }] as const

/** Who is signed in; `undefined` for guests. */
export function currentUser (request: FastifyRequest): User | undefined {
  return userById(request.session.data.userId)
}

/** Who is signed in, on routes that only let signed-in people through. */
export function theUser (request: FastifyRequest): User {
  const user = currentUser(request)
  if (user === undefined) throw new Error(`${request.routeOptions.url} needs security: signedIn`)
  return user
}

/** Starts a session for `user` in place of the guest's: a new token, the same cart. */
export function signIn (request: FastifyRequest, user: User, flash?: string): void {
  const { userId, cart } = request.session.data
  request.session.start({
    userId: user.id,
    device: deviceName(request.headers['user-agent']),
    // Not the cart of somebody else who was signed in here before.
    cart: userId === undefined || userId === user.id ? cart : {},
    ...(flash !== undefined && { flash })
  })
}

/** One of a user's sessions, as pages and API show it. */
export interface SessionInfo {
  readonly id: string
  readonly device: string
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly current: boolean
}

/** The sessions of the signed-in user, the one of this request first, then the youngest login. */
export async function listSessions (request: FastifyRequest): Promise<SessionInfo[]> {
  const sessions = await request.server.session.list(theUser(request).id)
  return sessions
    .map(({ id, data, createdAt, expiresAt }) => ({
      id,
      device: data.device ?? 'Unknown program',
      createdAt: new Date(createdAt),
      expiresAt: new Date(expiresAt),
      current: id === request.session.id
    }))
    .sort((a, b) => Number(b.current) - Number(a.current))
}

/** Ends one session of the signed-in user. `false` when the user has no session of this id, even if somebody else does. */
export async function endSession (request: FastifyRequest, id: string): Promise<boolean> {
  const found = await request.server.session.find(id)
  if (found === undefined || found.principal !== theUser(request).id) return false
  if (id === request.session.id) request.session.destroy()
  else await request.server.session.revoke(id)
  return true
}
