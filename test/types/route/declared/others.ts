// Beside plugins that change the types of routes and of requests.
import type { FastifyInstance } from 'fastify'
import type {} from '@fastify/cookie'
import type {} from '@fastify/helmet'
import type {} from '@fastify/rate-limit'
import type {} from '@fastify/websocket'
import { expectTypeOf } from 'expect-type'
import { required } from 'fastify-openapi-session'

const signedIn = required('session')

export function websockets (app: FastifyInstance): void {
  app.get('/', { websocket: true, schema: { security: signedIn } }, (socket, request) => {
    socket.send(request.session.user.name)
  })
  // Their types do not keep the names of roles in a list: a helper does.
  app.get('/', { websocket: true, schema: { security: required('session', 'admin') } }, (socket, request) => {
    socket.send(request.session.user.name)
  })
  // @ts-expect-error no scheme has this name
  app.get('/', { websocket: true, schema: { security: [{ sesion: [] }] } }, () => {})
  app.get('/', { websocket: true }, (socket, request) => {
    socket.send('hello')
    expectTypeOf(request.session.exists).toEqualTypeOf<boolean>()
  })
  app.route({
    method: 'GET',
    url: '/',
    schema: { security: signedIn },
    handler: async ({ session }) => session.user.name,
    wsHandler: (socket, request) => { socket.send(request.session.user.name) }
  })
}

export function rateLimits (app: FastifyInstance): void {
  app.get('/', { schema: { security: signedIn }, config: { rateLimit: { max: 1 } }, preHandler: app.rateLimit() }, async ({ session }) => session.user.name)
}
