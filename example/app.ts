import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { SessionStore } from 'fastify-openapi-session'
import sessionPlugin from 'fastify-openapi-session'
import { sessionUi } from 'fastify-openapi-session/swagger-ui'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import serveStatic from '@fastify/static'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { api } from './api.js'
import { pages } from './pages.js'
import { errorPage, registerViews } from './render.js'
import { Visitor } from './session.js'
import { userById } from './users.js'

export interface ExampleOptions {
  /** Default: in memory. */
  readonly store?: SessionStore
  /** `false` for development in Safari, which refuses Secure cookies over plain HTTP. Default `true`. */
  readonly secureCookie?: boolean
  /** Attempts to sign in, for each address and minute. Default 10. */
  readonly loginAttempts?: number
  readonly logger?: FastifyServerOptions['logger']
  /** The clock of the sessions, in epoch milliseconds. Tests have their own. */
  readonly now?: () => number
}

/** Builds the shop. The result can listen, and tests can inject requests. */
export async function buildApp (options: ExampleOptions = {}): Promise<FastifyInstance> {
  const { store, secureCookie = true, loginAttempts = 10, logger = false, now = Date.now } = options
  const app = Fastify({ logger })

  await registerDefences(app)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Leaf & Kettle', version: '1.0.0', description: 'The API of a small tea shop, on the session of its pages.' },
      tags: [
        { name: 'session', description: 'Signing in and out' },
        { name: 'sessions', description: 'The places where you are signed in' },
        { name: 'users', description: 'Accounts, for admins' }
      ]
    }
  })
  await app.register(sessionPlugin, {
    schema: Visitor,
    ...(store !== undefined && { store }),
    ...(!secureCookie && { cookie: { secure: false } }),
    now,
    principal: ({ userId }) => userId,
    // The next request of a deleted account ends its session.
    user: ({ userId }) => userById(userId) ?? null,
    roles: (_data, user) => user.roles,
    openapi: { login: 'login', status: 'status', logout: 'logout' }
  })
  // The default policy of @fastify/swagger-ui upgrades requests to https. Safari does so on localhost, too.
  const staticCSP = "default-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
  await app.register(swaggerUi, sessionUi({ routePrefix: '/docs', staticCSP }))

  await registerViews(app)
  await app.register(serveStatic, { root: join(import.meta.dirname, 'public'), prefix: '/assets/' })
  // The form and the API share one count. Two counts would allow twice as many guesses.
  const loginLimit = app.rateLimit({ max: loginAttempts, timeWindow: '1 minute' })
  await app.register(api, { prefix: '/api', loginLimit })
  await app.register(pages, { loginLimit })
  app.setNotFoundHandler(async (request, reply) => {
    if (!request.url.startsWith('/api/')) return await errorPage(reply, 404)
    return reply.code(404).send({ statusCode: 404, error: 'Not Found', message: `${request.method} ${request.url} is not part of this API` })
  })
  return app
}

/** Adds headers that forbid frames and foreign scripts, and a limit for login attempts. */
async function registerDefences (app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"]
      }
    },
    // With "no-referrer", browsers send "Origin: null" with the forms of this app, and the plugin would refuse them.
    referrerPolicy: { policy: 'same-origin' }
  })
  await app.register(rateLimit, { global: false })
}
