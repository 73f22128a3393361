import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import sessionPlugin, { MemoryStore, type SessionEvent } from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import { createHash } from 'node:crypto'
import type { Test } from 'tap'

export interface Setup {
  readonly app: FastifyInstance
  readonly client: Client
  readonly store: MemoryStore
  readonly events: SessionEvent[]
}

/** Returns an app whose sessions have a schema, with routes that start, read and change one. */
export async function setUp (t: Test, schema: unknown, options: object = {}, server: FastifyServerOptions = {}): Promise<Setup> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  const store = new MemoryStore()
  const events: SessionEvent[] = []
  const onEvent = (event: SessionEvent): void => { events.push(event) }
  await app.register(sessionPlugin, { schema, store, onEvent, ...options } as never)
  app.post('/start', { schema: { security: [{}, { session: [] }] } }, async ({ session, body }) => { session.start(body as never); return {} })
  app.post('/set', { schema: { security: [{ session: [] }] } }, async ({ session, body }) => { Object.assign(session.data, body); return {} })
  app.post('/unset', { schema: { security: [{ session: [] }] } }, async ({ session, body }) => {
    for (const key of body as never[]) session.unset(key)
    return {}
  })
  app.get('/', { schema: { security: [{ session: [] }, {}] } }, async ({ session }) => session.exists ? session.data : 'no session')
  return { app, client: new Client(app), store, events }
}

const id = `${'i'.repeat(21)}A`
const secret = `${'t'.repeat(42)}A`

/** The cookie of the session that `keep` puts into a store. */
export const cookie = `__Host-session=${id}.${secret}`

/** Puts a session into a store, as an older version of the app did. */
export function keep (store: MemoryStore, data: unknown): void {
  const now = Date.now()
  const payload = JSON.stringify({
    v: 1,
    scheme: 'session',
    secret: createHash('sha256').update(secret).digest('base64url'),
    createdAt: now,
    authenticatedAt: now,
    deadline: now + 60_000,
    persistent: false,
    data
  })
  store.create(id, { payload, version: 1, expiresAt: now + 60_000 })
}

export const kept = (store: MemoryStore): { readonly version: number, readonly payload: string } | undefined => store.read(id)

/** Returns the error that an app with a schema does not boot with. */
export async function bootError (t: Test, schema: unknown, options: object = {}, server: FastifyServerOptions = {}): Promise<Error & { code?: string }> {
  try {
    await setUp(t, schema, options, server)
  } catch (error) {
    return error as Error & { code?: string }
  }
  throw new Error('the app started')
}
