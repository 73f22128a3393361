import type { FastifyInstance } from 'fastify'
import type { Session, SessionInfo, SessionOptions, SessionStore } from 'fastify-openapi-session'
import { type Client, createClock } from 'fastify-openapi-session/testing'
import { Type } from '@sinclair/typebox'
import root, { type Test } from 'tap'
import { hashSecret, mintCredential } from '../../lib/session/credential.js'
import { createGate, type Gate } from '../support/gate.js'
import {
  ask, bootError, guarded, makeApp, managerOf, openWorld, optional, plugin, sessionOf, type ServerOptions, type World as SharedWorld
} from '../support/harness.js'
import { backends } from './backends.js'
import type { Backend, Place } from './place.js'
import { isFirstRun, isSelected } from './selection.js'

/** Anything may be kept, so that a test can write any key; `userId` says whose it is. */
export const Visitor = Type.Object({
  userId: Type.Optional(Type.String()),
  roles: Type.Array(Type.String(), { default: [] })
}, { additionalProperties: true })

export type Options = SessionOptions<string, any>

export interface World extends Omit<SharedWorld, 'store' | 'client'> {
  readonly place: Place
  /** Returns a browser in which `user` is signed in. */
  readonly signedIn: (user?: string, roles?: readonly string[]) => Promise<Client>
  /** What a request to `/slow/:work` waits at. */
  readonly gates: Map<string, Gate>
}

export const COOKIE = '__Host-session'

/** The live sessions of a principal. */
export async function sessionsOf (app: FastifyInstance, principal: string, name = 'session'): Promise<ReadonlyArray<SessionInfo<any>>> {
  return (await managerOf(app, name).list(principal)).sessions
}

/** Creates an app on one backend, with the shop's routes. */
export async function createWorld (
  t: Test, { make }: Pick<Backend, 'make'> = backends['memory'] as Backend, options: Options = {}, server: ServerOptions = {}
): Promise<World> {
  const clock = createClock()
  const place = await make(t, clock.now)
  const world = await openWorld(t, {
    clock,
    schema: Visitor,
    store: place.store,
    // On a busy machine a server may take its time; tests of the limit set their own.
    storeTimeout: 30,
    principal: (data) => data.userId,
    roles: (data) => data.roles,
    ...options
  }, server)
  const gates = new Map<string, Gate>()
  addRoutes(world.app, gates)
  return {
    ...world,
    place,
    gates,
    async signedIn (user = 'ada', roles = []) {
      const client = world.visitor()
      await client.post('/login', { userId: user, roles })
      return client
    }
  }
}

/** What a handler does to the session of its request. */
const works: Record<string, (session: Session<any>) => unknown> = {
  read: (session) => session.data,
  touch: () => {},
  write: (session) => { session.data.late = true },
  renew: (session) => { session.renew() },
  update: (session) => session.update((data: any) => { data.late = true }),
  commit: async (session) => { session.data.late = true; await session.commit() },
  become: (session) => { session.data.userId = 'eve' },
  regenerate: (session) => session.regenerate(['userId']),
  destroy: (session) => { session.destroy() }
}

export const workNames = Object.keys(works)

function addRoutes (app: FastifyInstance, gates: Map<string, Gate>): void {
  app.post('/login', { schema: optional }, async (request) => {
    sessionOf(request).start(request.body as object)
    return { ok: true }
  })
  app.post('/logout', { schema: optional }, async (request) => {
    sessionOf(request).destroy()
    return { ok: true }
  })
  app.get('/me', { schema: guarded }, async (request) => sessionOf(request).data)
  app.get('/admin', { schema: { security: [{ session: ['admin'] }] } }, async () => 'secret')
  app.get('/seen', { schema: optional }, async (request) => ({ exists: sessionOf(request).exists }))
  app.post('/put', { schema: optional }, async (request) => {
    for (const [key, value] of Object.entries(request.body as object)) sessionOf(request).set(key, value)
    return { ok: true }
  })
  app.post('/do/:work', { schema: guarded }, async (request) => {
    await works[(request.params as { work: string }).work]?.(sessionOf(request))
    return { ok: true }
  })
  app.post('/add/:key', { schema: guarded }, async (request) => {
    const { key } = request.params as { key: string }
    return await sessionOf(request).update((data: any) => { data[key] = (data[key] ?? 0) + 1 })
  })
  // Reads the session, waits, and then does its work: a slow request that others can overtake.
  app.post('/slow/:work/:gate', { schema: guarded }, async (request) => {
    const { work, gate } = request.params as { work: string, gate: string }
    const session = sessionOf(request)
    void session.data
    await gates.get(gate)?.pass()
    await works[work]?.(session)
    return { ok: true, exists: session.exists }
  })
  app.get('/plain', async () => ({ ok: true }))
}

/** A slow request on its way: it has loaded its session, and goes on when `release` is called. */
export async function startSlow ({ gates }: World, client: Client, work: string): Promise<{ release: () => ReturnType<Client['post']> }> {
  const name = `g${gates.size}`
  const gate = createGate()
  gates.set(name, gate)
  const answer = client.post(`/slow/${work}/${name}`)
  await Promise.race([gate.reached, answer])
  return {
    release () {
      gate.open()
      return answer
    }
  }
}

/** The value of the session cookie that a browser holds. */
export function tokenOf (client: Client, name = COOKIE): string {
  return client.jar.get(name) ?? ''
}

/** Sends a request with this session cookie and no other. Returns the status. */
export async function replay ({ app }: Pick<World, 'app'>, token: string, url = '/me', name = COOKIE): Promise<number> {
  return (await ask(app, url, `${name}=${token}`)).statusCode
}

/** Puts a record into the store as no app wrote it. Returns its id, and the cookie value that would open it. */
export async function plant (
  { place, clock }: Pick<World, 'place' | 'clock'>, payload: string | ((secretHash: string) => string), principal?: string
): Promise<{ id: string, value: string }> {
  const { id, secret } = mintCredential()
  await (place.store as SessionStore).create(id, {
    payload: typeof payload === 'string' ? payload : payload(hashSecret(secret)),
    version: 1,
    expiresAt: clock.now() + 1e6,
    ...(principal !== undefined && { principal })
  })
  return { id, value: `${id}.${secret}` }
}

/** The payload of a session with this secret and these data. */
export function payloadOf ({ clock }: Pick<World, 'clock'>, secret: string, fields: object): string {
  return JSON.stringify({ hash: secret, at: 1, ms: clock.now() + 1e7, ...fields })
}

/** One test of a promise on each backend that can keep it. */
export function onEach (t: Test, name: string, run: (t: Test, backend: Backend) => Promise<void>, wanted: (backend: Backend) => boolean = () => true): void {
  const chosen = Object.values(backends).filter((backend) => isSelected(backend) && wanted(backend))
  if (chosen.length === 0) return
  void t.test(name, async (t) => {
    for (const backend of chosen) await t.test(backend.name, (t) => run(t, backend))
  })
}

/** A test that chooses its backend by itself. */
export const alone = {
  test (name: string, run: (t: Test) => Promise<void>): void {
    if (isFirstRun()) void root.test(name, run)
  }
}

/** Backends with a store: those where a session can be ended from elsewhere. */
export const stored = ({ sealed }: Backend): boolean => !sealed

/** Returns the error of the boot of an app with these options and routes. */
export async function bootErrorOf (t: Test, options: Options, routes: (app: FastifyInstance) => unknown = () => {}): Promise<Error & { code?: string }> {
  const { app } = makeApp(t)
  return await bootError(async () => {
    await app.register(plugin, options)
    await routes(app)
    await app.ready()
  })
}

export type { SessionStore }
