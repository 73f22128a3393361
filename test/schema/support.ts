import { createHash } from 'node:crypto'
import { MemoryStore } from 'fastify-openapi-session'
import type { Test } from 'tap'
import { bootError, guarded, openWorld, optional, type ServerOptions, type World } from '../support/harness.js'

export type Setup = Omit<World, 'store'> & { readonly store: MemoryStore }

/** Returns an app whose sessions have a schema, with routes that start, read and change one. */
export async function setUp (t: Test, schema: unknown, options: object = {}, server: ServerOptions = {}): Promise<Setup> {
  const store = new MemoryStore()
  const world = await openWorld(t, { schema, store, ...options } as never, server)
  const { app } = world
  app.post('/start', { schema: optional }, async ({ session, body }) => { session.start(body as never); return {} })
  app.post('/set', { schema: guarded }, async ({ session, body }) => { Object.assign(session.data, body); return {} })
  app.post('/unset', { schema: guarded }, async ({ session, body }) => {
    for (const key of body as never[]) session.unset(key)
    return {}
  })
  app.get('/', { schema: optional }, async ({ session }) => session.exists ? session.data : 'no session')
  return { ...world, store }
}

const id = `${'i'.repeat(21)}A`
const secret = `${'t'.repeat(42)}A`

/** The cookie of the session that `keep` puts into a store. */
export const cookie = `__Host-session=${id}.${secret}`

/** Puts a session into a store, as an older version of the app did. */
export function keep (store: MemoryStore, data: unknown): void {
  const now = Date.now()
  const payload = JSON.stringify({
    hash: createHash('sha256').update(secret).digest('base64url'),
    at: now,
    ms: 60_000,
    data
  })
  store.create(id, { payload, version: 1, expiresAt: now + 60_000 })
}

export const kept = (store: MemoryStore): { readonly version: number, readonly payload: string } | undefined => store.read(id)

/** Returns the error that an app with this schema does not boot with. */
export async function refusal (t: Test, schema: unknown, options: object = {}, server: ServerOptions = {}): Promise<Error & { code?: string }> {
  return await bootError(() => setUp(t, schema, options, server))
}
