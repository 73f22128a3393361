import { createRequire } from 'node:module'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import fastifyCookie from '@fastify/cookie'
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import sessionPlugin, { MemoryStore, type SessionEvent } from 'fastify-openapi-session'
import { adoptExpressSessions, type ExpressStore } from 'fastify-openapi-session/express'
import type { Test } from 'tap'
import { createGate, type Gate } from '../support/gate.js'

const load = createRequire(import.meta.url)
export const expressSession = load('express-session') as ((options: object) => (request: any, response: any, next: () => void) => void) & {
  MemoryStore: new () => ExpressStore & { sessions: Record<string, string> }
}
export const FileStore = (load('session-file-store') as (session: unknown) => new (options: object) => ExpressStore)(expressSession)
export const secret = 'the secret that signed the cookies of the old app'
export const required = { schema: { security: [{ session: [] }] } }

/** The `name=value` pairs that a browser keeps of Set-Cookie lines. */
export function kept (lines: string | string[] | undefined): string {
  return [lines ?? []].flat().filter((line) => !line.includes('Max-Age=0')).map((line) => line.split(';')[0]).join('; ')
}

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
  const { headers } = await app.inject({ method: 'POST', url: '/login' })
  await app.close()
  return kept(headers['set-cookie'])
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
  return kept(response.headers.getSetCookie())
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

export interface Moved { app: FastifyInstance, events: SessionEvent[], clock: { now: number } }

export async function moved (t: Test, store: ExpressStore, cookieName: string, options: object = {}): Promise<Moved> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  const events: SessionEvent[] = []
  const clock = { now: Date.now() }
  await app.register(sessionPlugin, {
    principal: (data: any) => data.userId,
    onEvent: (event: SessionEvent) => { events.push(event) },
    now: () => clock.now,
    store: new MemoryStore({ now: () => clock.now }),
    adopt: adoptExpressSessions({ cookieName, secret: ['a newer secret', secret], store }),
    ...options
  } as any)
  app.get('/me', required, async (request) => (request as any).session.data)
  app.get('/home', { schema: { security: [{ session: [] }, {}] } }, async (request) => (request as any).session.exists)
  app.post('/logout', required, async (request) => { (request as any).session.destroy() })
  app.get('/plain', async () => 'plain')
  return { app, events, clock }
}
