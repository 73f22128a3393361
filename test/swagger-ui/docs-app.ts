import type { Test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import swagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import swaggerUi, { type FastifySwaggerUiOptions } from '@fastify/swagger-ui'
import newest5 from 'swagger-ui-5-newest'
import oldest5 from 'swagger-ui-5-oldest'
import oldest6 from 'swagger-ui-6-oldest'
import { sessionPlugin, type SessionOptions } from 'fastify-openapi-session'
import { sessionUi, type SessionUiOptions } from 'fastify-openapi-session/swagger-ui'
import { createClock } from 'fastify-openapi-session/testing'
import { everything } from '../support/everything.js'
import { Account, account, api } from './docs-api.js'

/** Every Swagger UI that the package promises to work with, by the plugin that brings it. The short form tries the newest. */
export const versions = {
  ...(everything && { 'oldest 5': oldest5, 'newest 5': newest5, 'oldest 6': oldest6 }),
  'newest 6': swaggerUi
} as Record<string, typeof swaggerUi>

/**
 * The oldest and the newest of them, each with one version of OpenAPI: what readers can do is tried over both. Those between
 * are in story.test.ts and keyboard.test.ts, which go through every hook. The short form tries the newest.
 */
export const ends = [
  { name: 'oldest 5, OpenAPI 3.0', plugin: oldest5 as unknown as typeof swaggerUi, openapi: '3.0.3' },
  { name: 'newest 6, OpenAPI 3.1', plugin: swaggerUi, openapi: '3.1.0' }
].slice(everything ? 0 : 1) as ReadonlyArray<{ readonly name: string, readonly plugin: typeof swaggerUi, readonly openapi: '3.0.3' | '3.1.0' }>

/** Returns a function for the page. Its own text would be that of the tool that compiled this file. */
export const inBrowser = (text: string) => Object.assign(() => ({}), { toString: () => text })

export interface DocsOptions {
  /** Version of the OpenAPI document. */
  openapi?: '3.0.3' | '3.1.0'
  /** More of the document. */
  document?: NonNullable<FastifyDynamicSwaggerOptions['openapi']>
  /** Which @fastify/swagger-ui. */
  plugin?: typeof swaggerUi
  ui?: FastifySwaggerUiOptions
  settings?: SessionUiOptions
  /** Other options of the session plugin. */
  session?: Partial<SessionOptions<'account'>>
  /** Other plugins, before the session's. */
  plugins?: (app: FastifyInstance) => Promise<unknown>
  /** In place of the API under /api. */
  routes?: (app: FastifyInstance) => void | Promise<void>
  /** The `name` of `ends`, which says nothing to the app. */
  name?: string
}

/** A request as the server saw it. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly cookie: string | undefined
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: unknown
  readonly status: number
  readonly setCookie: string | undefined
}

/** An API with its documentation, listening, on a clock that the test owns. */
export async function docsApp (t: Test, options: DocsOptions = {}) {
  const { openapi = '3.1.0', document, plugin = swaggerUi, ui, settings, session, plugins, routes } = options
  const app = Fastify({ forceCloseConnections: true })
  const clock = createClock()
  const seen: Seen[] = []
  app.addHook('onResponse', async ({ method, url, headers, body }, reply) => {
    seen.push({ method, url, headers, body, cookie: headers.cookie, status: reply.statusCode, setCookie: reply.getHeader('set-cookie')?.toString() })
  })
  await app.register(swagger, { openapi: { openapi, info: { title: 'Shop', version: '1.0.0' }, ...document } })
  await plugins?.(app)
  await app.register(sessionPlugin, {
    ...account,
    schema: Account,
    openapi: { login: 'login', status: 'status', logout: 'logout' },
    now: clock.now,
    ...session
  })
  await app.register(plugin, sessionUi({ routePrefix: '/docs', ...ui }, settings))
  await app.register(async (app) => routes === undefined ? await api(app) : await routes(app), routes === undefined ? { prefix: '/api' } : {})
  t.teardown(() => app.close())
  return { app, clock, url: await listening(app), seen, calls: (path: string) => seen.filter(({ url }) => url.startsWith(path)) }
}

/** Starts `app` on a free port; Chromium takes Secure cookies from http://localhost. */
export async function listening (app: FastifyInstance): Promise<string> {
  await app.listen({ port: 0, host: 'localhost' })
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return `http://localhost:${address.port}`
}
