import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifySchema } from 'fastify'
import type { Adoption, Session, SessionInfo, SessionStore } from 'fastify-openapi-session'
import type { ManualClock } from 'fastify-openapi-session/testing'
import { managerOf, plugin, sessionOf } from '../support/harness.js'

/** Seconds. */
export const IDLE = 1800
/** Seconds that a call of the store may take. */
export const PATIENCE = Number(process.env['MODEL_PATIENCE'] ?? 60)
export const ABSOLUTE = 3000
/** The option `maxPerPrincipal`. */
export const MOST = 4
/** Milliseconds for which an old cookie leads to the session that was adopted. */
export const GRACE = 10_000

/** The name of the cookie whose sessions are adopted. */
export const OLD = 'old'

type Random = (limit: number) => number

/** A store each call of which takes a random number of turns, so that the seed decides which call overtakes which. */
function unhurried (store: SessionStore, random: Random): SessionStore {
  return new Proxy(store, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name === 'observe' || name === 'close') return value.bind(target)
      return async (...args: unknown[]): Promise<unknown> => {
        for (let left = random(4); left > 0; left--) await turn()
        const result: unknown = await Reflect.apply(value, target, args)
        for (let left = random(4); left > 0; left--) await turn()
        return result
      }
    }
  })
}

/** The sessions of another plugin, which are adopted. */
class OldSessions {
  readonly #random: Random
  readonly #data = new Map<string, object>()
  #failures = 0

  constructor (random: Random) {
    this.#random = random
  }

  plant (id: string, data: object): void {
    this.#data.set(id, data)
  }

  /** Makes the next attempt to end a session fail. */
  failOnce (): void {
    this.#failures = 1
  }

  readonly adoption: Adoption = {
    cookieName: OLD,
    identify: (value) => value.startsWith('old-') ? value : undefined,
    find: async (id) => {
      for (let left = this.#random(4); left > 0; left--) await turn()
      return this.#data.get(id)
    },
    forget: async (id) => {
      for (let left = this.#random(4); left > 0; left--) await turn()
      if (this.#failures > 0) throw new Error(`the old store failed, ${this.#failures--} time`)
      this.#data.delete(id)
    }
  }
}

/**
 * Makes the app that random histories use. Routes under `/own` require a session with a principal. Those under `/any` take
 * a guest's, too. `/old`, `/job`, `/from`, `/list` and `/clock` reach what no request of a browser does.
 */
export async function createModelApp (store: SessionStore, clock: ManualClock, random: Random): Promise<FastifyInstance> {
  const app = Fastify()
  const old = new OldSessions(random)
  let discarded = 0
  await app.register(plugin, {
    store: unhurried(store, random),
    now: clock.now,
    idleTimeout: IDLE,
    absoluteTimeout: ABSOLUTE,
    storeTimeout: PATIENCE,
    maxPerPrincipal: MOST,
    principal: (data) => data.principal,
    adopt: old.adoption,
    onEvent: ({ type, reason }) => { if (type === 'discarded' && reason === 'ended') discarded++ }
  })
  addVisits(app)
  addWork(app, '/own', { security: [{ session: [] }] })
  addWork(app, '/any', { security: [{ session: [] }, {}] })
  addDirectory(app)
  app.get('/discarded', async () => ({ discarded }))
  app.post<{ Params: { id: string, principal: string }, Querystring: { fails?: string } }>('/old/:id/:principal', async ({ params, query }) => {
    old.plant(params.id, { principal: params.principal, values: 0 })
    if (query.fails !== undefined) old.failOnce()
  })
  app.post<{ Params: { by: string } }>('/clock/:by', async ({ params }) => { clock.advance(Number(params.by)) })
  await app.ready()
  return app
}

function addVisits (app: FastifyInstance): void {
  const schema = { security: [{ session: [] }, {}] }
  app.post<{ Params: { principal: string }, Querystring: { idle?: string } }>('/login/:principal', { schema }, async (request) => {
    const { params: { principal }, query: { idle } } = request
    sessionOf(request).start({ principal, values: 0 }, idle === undefined ? {} : { idleTimeout: Number(idle) })
  })
  app.post<{ Params: { value: string } }>('/visit/:value', { schema }, async (request) => { sessionOf(request).data['values'] = Number(request.params.value) })
}

/** Each handler asks for the id first: where there is no session, that is a 401 on routes of guests too. */
function addWork (app: FastifyInstance, prefix: string, schema: FastifySchema): void {
  type Params = Record<'key' | 'value', string>
  const on = (method: 'GET' | 'POST', url: string, work: (session: Session<any>, params: Params) => unknown, config: object = {}): void => {
    app.route<{ Params: Params }>({ method, url: prefix + url, schema, config, handler: async (request) => {
      const session = sessionOf(request)
      void session.id
      return await work(session, request.params) ?? ''
    } })
  }
  const see = ({ id, data, expiresAt }: Session<any>): object => ({ id, data, expiresAt })
  on('GET', '/me', see)
  on('GET', '/peek', see, { session: { touch: false } })
  on('POST', '/set/:key/:value', (session, { key, value }) => { session.data[key] = Number(value) })
  on('POST', '/commit/:key/:value', async (session, { key, value }) => {
    session.data[key] = Number(value)
    await session.commit()
  })
  on('POST', '/add', async (session) => { await session.update(add) })
  on('POST', '/renew', (session) => { session.renew() })
  on('POST', '/logout', (session) => { session.destroy() })
  on('POST', '/become/:key', (session, { key }) => { session.data['principal'] = key })
  on('POST', '/leave', (session) => { session.unset('principal') })
  on('POST', '/revoke', async ({ id }) => String(await managerOf(app).revoke(id)))
  on('POST', '/others', async ({ id, data }) => String(await managerOf(app).revokeAll(data['principal'], { except: id })))
  on('POST', '/everywhere', async ({ data }) => String(await managerOf(app).revokeAll(data['principal'])))
}

function add (data: Record<string, any>): void {
  data['sum'] = (data['sum'] ?? 0) + 1
}

function addDirectory (app: FastifyInstance): void {
  app.post<{ Params: { id: string } }>('/job/:id', async ({ params }) => { await managerOf(app).update(params.id, add) })
  app.get('/from', async ({ headers }, reply) => await managerOf(app).fromCookie(headers.cookie) ?? await reply.code(401).send(''))
  app.get<{ Params: { principal: string } }>('/list/:principal', async ({ params }) => {
    const sessions = new Map<string, SessionInfo>()
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      const page = await managerOf(app).list(params.principal, { limit: 3, cursor })
      for (const session of page.sessions) sessions.set(session.id, session)
      cursor = page.cursor
    }
    return { sessions: [...sessions.values()] }
  })
}
