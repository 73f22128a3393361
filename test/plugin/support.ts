import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import sessionPlugin, { MemoryStore, optional as optionalSecurity, required, type Session, type SessionData, type SessionEvent, type SessionOptions } from 'fastify-openapi-session'
import { Client, createClock } from 'fastify-openapi-session/testing'
import { Type } from '@sinclair/typebox'
import type { Test } from 'tap'
import { ProbeStore } from '../support/probe-store.js'

/** What most tests keep: a visitor, who may be nobody yet. */
export const Visitor = Type.Object({
  userId: Type.Optional(Type.String()),
  roles: Type.Array(Type.String(), { default: [] }),
  cart: Type.Record(Type.String(), Type.Integer(), { default: {} }),
  a: Type.Optional(Type.Integer()),
  b: Type.Optional(Type.Integer())
})

/** A second session in the same app. */
export const Admin = Type.Object({
  name: Type.String(),
  level: Type.Integer({ default: 1 })
})

declare module 'fastify-openapi-session' {
  interface SessionSchemas {
    session: typeof Visitor
    admin: typeof Admin
  }
  interface SessionGuests {
    session: true
  }
}

export const guarded = { security: required('session') }
export const optional = { security: optionalSecurity('session') }

/** A session with all of its members, whatever the route declares. */
export type VisitorSession = Session<SessionData<'session'>>

/** Returns `request.session` for what its type does not allow there: a use that has to fail, or one that only this test knows to work. */
export function anySession (request: { readonly session: unknown }): VisitorSession {
  return request.session as VisitorSession
}

/** A line of the log as pino writes it. */
export type LogLine = Record<string, any> & { readonly level: number, readonly msg: string }

export type Options = Omit<SessionOptions<'session'>, 'scheme'>

export interface Setup {
  readonly app: FastifyInstance
  readonly store: ProbeStore
  readonly clock: ReturnType<typeof createClock>
  readonly events: SessionEvent[]
  readonly log: LogLine[]
  readonly client: Client
}

/** An app without the plugin that writes its log into a list. */
export function makeApp (t: Test, server: FastifyServerOptions = {}): { app: FastifyInstance, log: LogLine[] } {
  const log: LogLine[] = []
  const stream = { write: (line: string) => { log.push(JSON.parse(line)) } }
  const app = Fastify({ logger: { level: 'trace', stream }, ...server })
  t.teardown(() => app.close())
  return { app, log }
}

/** An app with the plugin, a store that can be looked into, and a clock that stands still. */
export async function setUp (t: Test, options: Options = {}, server: FastifyServerOptions = {}): Promise<Setup> {
  const { app, log } = makeApp(t, server)
  const clock = createClock()
  const events: SessionEvent[] = []
  const { store = new ProbeStore(new MemoryStore({ now: clock.now })) } = options
  await app.register(sessionPlugin, {
    schema: Visitor,
    now: clock.now,
    onEvent: (event) => { events.push(event) },
    ...options,
    store
  })
  return { app, store: store as ProbeStore, clock, events, log, client: new Client(app) }
}

/** What happened, shorter: `created:start`. */
export function told (events: readonly SessionEvent[]): string[] {
  return events.map(({ type, reason }) => `${type}:${reason}`)
}

/** The `Set-Cookie` lines of a response. */
export function cookies (response: { headers: Record<string, unknown> }): string[] {
  return [response.headers['set-cookie'] ?? []].flat() as string[]
}

/** The boot of an app that has to fail; resolves its error. */
export async function bootError (boot: () => PromiseLike<unknown>): Promise<Error & { code?: string }> {
  try {
    await boot()
  } catch (error) {
    return error as Error & { code?: string }
  }
  throw new Error('the app started')
}
