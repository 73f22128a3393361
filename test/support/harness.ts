/** What every suite uses: apps with a log, events and a clock; requests and their cookies; errors of a boot; timers. */
import { mock } from 'node:test'
import Fastify, { type FastifyInstance, type FastifyPluginAsync, type FastifyRequest, type FastifyServerOptions, type LightMyRequestResponse } from 'fastify'
import sessionPlugin, {
  MemoryStore, optional as optionalSecurity, required, type Session, type SessionEvent, type SessionManager, type SessionOptions
} from 'fastify-openapi-session'
import { Client, CookieJar, createClock, type ManualClock } from 'fastify-openapi-session/testing'
import { ProbeStore } from './probe-store.js'
import type { Scope } from './servers-process.js'

/** The schema of a route that requires a session, and of one where it is optional. */
export const guarded = { security: required('session') }
export const optional = { security: optionalSecurity('session') }

/** The plugin for tests whose options no `SessionSchemas` types. */
export const plugin = sessionPlugin as unknown as FastifyPluginAsync<SessionOptions<string, any>>

/** Returns a session of a request with all its members, whatever the types say of the route. */
export function sessionOf (request: FastifyRequest, scheme = 'session'): Session<any> {
  return (request as unknown as Record<string, Session<any>>)[scheme] as Session<any>
}

/** Returns `app.session`, or the manager of another scheme. */
export function managerOf (app: FastifyInstance, scheme = 'session'): SessionManager<any> {
  return (app as unknown as Record<string, SessionManager<any>>)[scheme] as SessionManager<any>
}

/** A line of the log as pino writes it. */
export type LogLine = Record<string, any> & { readonly level: number, readonly msg: string }

export type ServerOptions = FastifyServerOptions & { readonly level?: string }

/** Creates an app that ends with the test, and the list of the lines that it logs: those of `level` and above. */
export function makeApp (t: Scope, { level = 'warn', ...server }: ServerOptions = {}): { app: FastifyInstance, log: LogLine[] } {
  const log: LogLine[] = []
  const stream = { write: (line: string) => { log.push(JSON.parse(line)) } }
  const app = Fastify({ logger: { level, stream }, ...server })
  t.teardown(() => app.close())
  return { app, log }
}

export interface World {
  readonly app: FastifyInstance
  readonly store: ProbeStore
  readonly clock: ManualClock
  readonly events: SessionEvent[]
  readonly log: LogLine[]
  /** A browser. */
  readonly client: Client
  /** Returns another browser. */
  readonly visitor: () => Client
}

/** Creates an app with the plugin, whose clock stands still and whose store records its calls. */
export async function openWorld (
  t: Scope, { clock = createClock(), ...options }: SessionOptions<string, any> & { readonly clock?: ManualClock } = {}, server?: ServerOptions
): Promise<World> {
  const { app, log } = makeApp(t, server)
  const events: SessionEvent[] = []
  const { store = new ProbeStore(new MemoryStore({ now: clock.now })) } = options
  await app.register(plugin, { now: clock.now, onEvent: (event) => { events.push(event) }, ...options, store })
  const visitor = (): Client => new Client(app, new CookieJar(clock.now))
  return { app, store: store as ProbeStore, clock, events, log, client: visitor(), visitor }
}

type App = Pick<FastifyInstance<any, any, any, any, any>, 'inject'>

/** Sends a request with this Cookie header and returns the response: `ask(app, 'POST /logout', cookie)`. Without a method it is GET. */
export async function ask (app: App, line: string, cookie?: string, headers: Record<string, string> = {}): Promise<LightMyRequestResponse> {
  const [url, method] = line.split(' ').toReversed() as [string, 'GET'?]
  return await app.inject({ method: method ?? 'GET', url, headers: { ...(cookie !== undefined && { cookie }), ...headers } })
}

interface Headers {
  readonly headers: Record<string, unknown>
}

/** Returns the Set-Cookie headers of a response. */
export function setCookies ({ headers }: Headers): string[] {
  return [headers['set-cookie'] ?? []].flat() as string[]
}

/** Returns the Cookie header that a browser without cookies would send after a response: '' if the response sets none, or only expires some. */
export function cookieOf (response: Headers): string {
  return setCookies(response).filter((line) => !line.includes('Max-Age=0')).map((line) => line.split(';', 1).join()).join('; ')
}

/** Returns the types and reasons of events: `created:start`. */
export function reported (events: readonly SessionEvent[]): string[] {
  return events.map(({ type, reason }) => `${type}:${reason}`)
}

/** Returns the error of a boot that has to fail. */
export async function bootError (boot: () => PromiseLike<unknown>): Promise<Error & { code?: string }> {
  try {
    await boot()
  } catch (error) {
    return error as Error & { code?: string }
  }
  throw new Error('the app started')
}

/** Stops `setTimeout` and `performance.now` of this process until the test ends. Returns a function that lets seconds pass for them. */
export function stopTimers (t: Scope): (seconds: number) => void {
  let time = performance.now()
  const { mock: clock } = mock.method(performance, 'now', () => time)
  mock.timers.enable({ apis: ['setTimeout'] })
  const pass = (seconds: number): void => {
    time += seconds * 1000
    mock.timers.tick(seconds * 1000)
  }
  t.teardown(() => {
    // Time limits share a timer, which waits for the next call: none may be left that never fires.
    pass(3600)
    mock.timers.reset()
    clock.restore()
  })
  return pass
}
