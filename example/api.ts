import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { preHandlerAsyncHookHandler } from 'fastify'
import { Type } from '@sinclair/typebox'
import { admin, anyone, endSession, listSessions, signedIn, signIn } from './session.js'
import { allUsers, checkPassword, type User } from './users.js'

const WrongCredentials = createError('SHOP_WRONG_CREDENTIALS', 'Unknown user name or wrong password.', 401)
const UnknownSession = createError('SHOP_UNKNOWN_SESSION', 'You have no session of this id.', 404)

/** Returns the 401 of a failed login. Every 401 names a way to authenticate (RFC 9110, 15.5.2). */
function wrongCredentials (): Error {
  return Object.assign(new WrongCredentials(), { headers: { 'www-authenticate': 'Cookie form-action="/login"' } })
}

const Problem = Type.Object({
  statusCode: Type.Integer(),
  code: Type.Optional(Type.String()),
  error: Type.String(),
  message: Type.String()
}, { description: 'What went wrong' })

const Credentials = Type.Object({
  username: Type.String({ maxLength: 100, description: 'ada (an admin) or grace' }),
  password: Type.String({ maxLength: 200, format: 'password', description: 'difference-engine-1843 or nanosecond-1952' })
})

const Profile = Type.Object({
  id: Type.String(),
  username: Type.String(),
  name: Type.String(),
  roles: Type.Array(Type.String())
}, { description: 'An account' })

const SessionItem = Type.Object({
  id: Type.String({ description: 'Names the session in this API. It signs no client in' }),
  device: Type.String(),
  remembered: Type.Boolean({ description: 'True if the user asked to stay signed in' }),
  createdAt: Type.String({ format: 'date-time' }),
  expiresAt: Type.String({ format: 'date-time', description: 'Unless it is used before' }),
  current: Type.Boolean({ description: 'True for the session of this request' })
}, { description: 'A place where you are signed in' })

const Nothing = (description: string) => Type.Null({ description })

function profile ({ id, username, name, roles }: User) {
  return { id, username, name, roles: [...roles] }
}

interface ApiOptions {
  /** Limits how often a client may try to sign in. */
  readonly loginLimit: preHandlerAsyncHookHandler
}

/** Adds the JSON API under /api. It has the session, the users and the rules of the pages. */
export const api: FastifyPluginAsyncTypebox<ApiOptions> = async (app, { loginLimit }) => {
  app.post('/login', {
    preHandler: loginLimit,
    schema: {
      operationId: 'login',
      summary: 'Sign in',
      tags: ['session'],
      security: anyone,
      body: Credentials,
      response: { 200: Profile, 400: Problem, 401: Problem, 429: Problem }
    }
  }, async (request) => {
    const user = await checkPassword(request.body.username, request.body.password)
    if (user === undefined) throw wrongCredentials()
    signIn(request, user)
    return profile(user)
  })

  app.get('/me', {
    // This request does not count as activity. A page that polls does not keep an idle session alive.
    config: { session: { touch: false } },
    schema: { operationId: 'status', summary: 'Who is signed in', tags: ['session'], security: signedIn, response: { 200: Profile } }
  }, async (request) => profile(request.session.user))

  app.post('/logout', {
    schema: {
      operationId: 'logout',
      summary: 'Sign out',
      tags: ['session'],
      security: anyone,
      response: { 204: Nothing('Signed out, or never signed in') }
    }
  }, async (request, reply) => {
    request.session.destroy()
    return reply.code(204).send(null)
  })

  app.get('/sessions', {
    schema: {
      operationId: 'listSessions',
      summary: 'Where you are signed in',
      tags: ['sessions'],
      security: signedIn,
      response: { 200: Type.Array(SessionItem) }
    }
  }, async (request) => {
    const sessions = await listSessions(request)
    return sessions.map((item) => ({ ...item, createdAt: item.createdAt.toISOString(), expiresAt: item.expiresAt.toISOString() }))
  })

  app.delete('/sessions/:id', {
    schema: {
      operationId: 'endSession',
      summary: 'Sign out somewhere else',
      tags: ['sessions'],
      security: signedIn,
      params: Type.Object({ id: Type.String({ maxLength: 100 }) }),
      response: { 204: Nothing('That session has ended'), 400: Problem, 404: Problem }
    }
  }, async (request, reply) => {
    if (!await endSession(request, request.params.id)) throw new UnknownSession()
    return reply.code(204).send(null)
  })

  app.get('/users', {
    schema: {
      operationId: 'listUsers',
      summary: 'Every account',
      description: 'For admins.',
      tags: ['users'],
      security: admin,
      response: { 200: Type.Array(Profile) }
    }
  }, async () => allUsers().map(profile))
}
