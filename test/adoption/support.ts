import { createRequire } from 'node:module'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import Fastify, { type FastifyPluginAsync } from 'fastify'
import type { ExpressStore } from 'fastify-openapi-session/express'
import { adoptExpressSessions } from 'fastify-openapi-session/migration'
import type { Test } from 'tap'
import { createGate, type Gate } from '../support/gate.js'
import { ask, cookieOf, guarded, openWorld, optional, sessionOf, type World } from '../support/harness.js'

const load = createRequire(import.meta.url)
export const expressSession = load('express-session') as ((options: object) => (request: any, response: any, next: () => void) => void) & {
  MemoryStore: new () => ExpressStore & { sessions: Record<string, string> }
}
export const FileStore = (load('session-file-store') as (session: unknown) => new (options: object) => ExpressStore)(expressSession)
export const secret = 'the secret that signed the cookies of the old app'
export const required = { schema: guarded }

/** Signs in with a real app on @fastify/session; its cookie. */
export async function withFastifySession (store: ExpressStore): Promise<string> {
  const app = Fastify()
  await app.register(fastifyCookie)
  await app.register(load('@fastify/session') as FastifyPluginAsync<any>, { secret, store, cookie: { secure: false } })
  app.post('/login', async (request) => {
    const { session } = request as unknown as { session: { set (key: string, value: unknown): void } }
    session.set('userId', 'ada')
    session.set('cart', ['tea'])
    return 'in'
  })
  const response = await ask(app, 'POST /login')
  await app.close()
  return cookieOf(response)
}

/** Signs in with a real server on express-session; its cookie. */
export async function withExpressSession (t: Test, store: ExpressStore): Promise<string> {
  const middleware = expressSession({ secret, store, resave: false, saveUninitialized: false })
  const server: Server = createServer((request, response) => {
    middleware(request, response, () => {
      Object.assign((request as any).session, { userId: 'ada', cart: ['tea'] })
      response.end('in')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return cookieOf({ headers: { 'set-cookie': response.headers.getSetCookie() } })
}

/** Holds the answer of a store to its next reading, until the gate opens. */
export function holdNextGet (store: ExpressStore): Gate {
  const gate = createGate()
  const get = store.get.bind(store)
  store.get = (id, callback) => {
    store.get = get
    get(id, (error, found) => {
      const answer = async (): Promise<void> => { await gate.pass(); callback(error, found) }
      void answer()
    })
  }
  return gate
}

/** Creates the app that a user of the old one moves to. */
export async function moved (t: Test, store: ExpressStore, cookieName: string, options: object = {}): Promise<World> {
  const world = await openWorld(t, {
    principal: (data) => data.userId,
    adopt: adoptExpressSessions({ cookieName, secret: ['a newer secret', secret], store }),
    ...options
  })
  const { app } = world
  app.get('/me', required, async (request) => sessionOf(request).data)
  app.get('/home', { schema: optional }, async (request) => sessionOf(request).exists)
  app.post('/logout', required, async (request) => { sessionOf(request).destroy() })
  app.get('/plain', async () => 'plain')
  return world
}
