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
  /** Where sessions live; in memory when absent. */
  readonly store?: SessionStore
  /** `false` for development over plain HTTP in browsers that refuse Secure cookies there. */
  readonly secureCookie?: boolean
  /** Attempts to sign in, a minute and address. */
  readonly loginAttempts?: number
  readonly logger?: FastifyServerOptions['logger']
  /** The clock of the sessions, epoch milliseconds; tests bring their own. */
  readonly now?: () => number
}

/** The shop, ready to listen or to be injected into. */
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
    // An account that was deleted is signed out everywhere, at its next request.
    user: ({ userId }) => userById(userId) ?? null,
    roles: (_data, user) => user.roles,
    openapi: { login: 'login', status: 'status', logout: 'logout' }
  })
  // Its own default upgrades requests to https, which Safari does on localhost too.
  const staticCSP = "default-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
  await app.register(swaggerUi, sessionUi({ routePrefix: '/docs', staticCSP }))

  await registerViews(app)
  await app.register(serveStatic, { root: join(import.meta.dirname, 'public'), prefix: '/assets/' })
  // One count for the form and the API, or guessing would go twice as fast.
  const loginLimit = app.rateLimit({ max: loginAttempts, timeWindow: '1 minute' })
  await app.register(api, { prefix: '/api', loginLimit })
  await app.register(pages, { loginLimit })
  app.setNotFoundHandler(async (request, reply) => {
    if (!request.url.startsWith('/api/')) return await errorPage(reply, 404)
    return reply.code(404).send({ statusCode: 404, error: 'Not Found', message: `${request.method} ${request.url} is not part of this API` })
  })
  return app
}

/** Headers that keep pages out of frames and other people's scripts out of pages, and a brake on guessing passwords. */
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
    // Not "no-referrer": with it browsers send "Origin: null" along with our own forms.
    referrerPolicy: { policy: 'same-origin' }
  })
  await app.register(rateLimit, { global: false })
}
