import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import createError from '@fastify/error'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { optional, required, sessionPlugin, type DeclaredRequirement, type SessionOptions } from 'fastify-openapi-session'

export const Account = Type.Object({
  user: Type.Optional(Type.String()),
  roles: Type.Array(Type.String(), { default: [] })
})

declare module 'fastify-openapi-session' {
  interface SessionSchemas {
    account: typeof Account
    staff: typeof Account
  }
}

/** The options of the session plugin that go with the API. */
export const account = {
  scheme: 'account',
  principal: ({ user }: Static<typeof Account>) => user,
  roles: ({ roles }: Static<typeof Account>) => roles
} as const

export const ada = { username: 'ada', password: 'engine-1843' }
export const grace = { username: 'grace', password: 'nanosecond-1952' }
const roles = new Map([['ada', ['admin', 'editor']], ['grace', ['editor']]])
const passwords = new Map([ada, grace].map(({ username, password }) => [username, password]))

export const Wrong = createError('SHOP_WRONG', 'Unknown user name or wrong password.', 401)

export const Credentials = Type.Object({
  username: Type.String({ description: 'ada or grace' }),
  password: Type.String({ format: 'password' })
})

/** Checks a password and starts the session `scheme`. */
export function signIn (request: FastifyRequest, body: unknown, scheme: 'account' | 'staff' = 'account'): object {
  const { username, password } = body as Static<typeof Credentials>
  if (password !== passwords.get(username)) throw new Wrong()
  const data = { user: username, roles: roles.get(username) ?? [] }
  request[scheme].start(data)
  return data
}

// Asking who is signed in is no sign of life.
export const quiet = { session: { touch: false } }

/** A route to sign in, one to ask and one to sign out, and some to try what it is good for. */
export async function api (app: FastifyInstance): Promise<void> {
  const operation = <const Security extends readonly DeclaredRequirement[]>(operationId: string, security: Security, body?: TSchema) =>
    ({ operationId, security, tags: ['shop'], ...(body && { body }) })
  const answer = async (): Promise<object> => ({ ok: true })
  app.post('/login', { schema: operation('login', [{}, { account: [] }], Credentials) }, async (request) => signIn(request, request.body))
  app.get('/me', { config: quiet, schema: operation('status', required('account')) }, async (request) => request.account.data)
  app.post('/logout', { schema: operation('logout', optional('account')) }, endSession)
  app.get('/orders', { schema: operation('orders', required('account')) }, answer)
  app.get('/report', { schema: operation('report', required('account', 'admin')) }, answer)
  app.get('/news', { schema: operation('news', [{}, { account: [] }]) }, answer)
  app.get('/open', { schema: { operationId: 'open', tags: ['shop'] } }, answer)
}

/** The API of a second session, to stand beside the first. */
export async function staffApi (app: FastifyInstance): Promise<void> {
  const staff = required('staff')
  const answer = async (): Promise<object> => ({ ok: true })
  app.post('/staff/login', { schema: { operationId: 'staffLogin', security: [{}, ...staff], body: Credentials } }, async (request) => signIn(request, request.body, 'staff'))
  app.get('/staff/me', { config: quiet, schema: { operationId: 'staffStatus', security: staff } }, async (request) => request.staff.data)
  app.post('/staff/logout', { schema: { operationId: 'staffLogout', security: staff } }, async (request, reply) => {
    request.staff.destroy()
    return reply.code(204).send()
  })
  app.get('/stock', { schema: { operationId: 'stock', security: staff } }, answer)
  app.get('/both', { schema: { operationId: 'both', security: [{ staff: [], account: [] }] } }, answer)
}

/** Both sessions; `openapi` names the operations of the second. */
export function twoSessions (openapi: NonNullable<SessionOptions<'staff'>['openapi']>) {
  return {
    plugins: async (app: FastifyInstance) => app.register(sessionPlugin, {
      ...account, schema: Account, scheme: 'staff', cookie: { name: '__Host-staff' }, openapi
    }),
    routes: async (app: FastifyInstance) => {
      await app.register(api, { prefix: '/api' })
      await app.register(staffApi)
    }
  }
}

export function endSession (request: FastifyRequest, reply: FastifyReply): FastifyReply {
  request.account.destroy()
  return reply.code(204).send()
}
