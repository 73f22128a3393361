import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import Fastify, { type FastifyInstance } from 'fastify'
import sessionPlugin, { MemoryStore, type Session, type SessionStore } from 'fastify-openapi-session'
import { createClock } from 'fastify-openapi-session/testing'
import t, { type Test } from 'tap'
import { holds } from '../fuzz/property.js'

const clock = createClock()

/** What a request does to the session, with a key of its own. */
const works: Record<string, (session: Session<any>, key: string, app: FastifyInstance) => unknown> = {
  set: (session, key) => { session.data[key] = 1 },
  update: async (session, key) => await session.update((data: any) => { data[key] = 1 }),
  renew: (session) => { session.renew() },
  setAndRenew: (session, key) => { session.data[key] = 1; session.renew() },
  updateAndRenew: async (session, key) => { await session.update((data: any) => { data[key] = 1 }); session.renew() },
  setAndCommit: async (session, key) => { session.data[key] = 1; await session.commit() },
  logout: (session) => { session.destroy() },
  updateAndLogout: async (session, key) => { await session.update((data: any) => { data[key] = 1 }); session.destroy() },
  revokeById: async (session, key, app) => { await app.session.revoke(session.id) },
  revokeAll: async (session, key, app) => { await app.session.revokeAll('ada') }
}

/** After most of the idle timeout: two of them may be longer than a session lives without a request. */
const LATER = new Set(['set', 'renew', 'logout'])
for (const name of LATER) {
  const work = works[name] as (typeof works)[string]
  works[`${name}Later`] = async (session, key, app) => { clock.advance(140_000); await work(session, key, app) }
}

const ENDS = new Set(['logout', 'logoutLater', 'updateAndLogout', 'revokeById', 'revokeAll'])

/** A store each call of which waits for its turn, in an order that fast-check chooses, while there is a scheduler. */
class ScheduledStore {
  readonly inner = new MemoryStore({ now: clock.now })
  scheduler: fc.Scheduler | undefined

  /** What the plugin gets. */
  readonly store: SessionStore = this.#wrap()

  #wrap (): SessionStore {
    return new Proxy(this.inner, {
      get: (inner, name) => {
        const value: unknown = Reflect.get(inner, name)
        if (typeof value !== 'function') return value
        if (name === 'observe' || name === 'close') return value.bind(inner)
        return async (...args: unknown[]): Promise<unknown> => {
          await this.turn(String(name))
          return await value.apply(inner, args)
        }
      }
    })
  }

  async turn (what: string): Promise<void> {
    await this.scheduler?.schedule(Promise.resolve(), what)
  }
}

interface Outcome {
  readonly work: string
  readonly key: string
  readonly status: number
  /** Whether the session was there when the request came, and gone for its work. */
  readonly goneMeanwhile: boolean
}

/** Requests of one browser at once, whose calls of the store come in any order. Resolves what must not be. */
async function run (app: FastifyInstance, store: ScheduledStore, scheduler: fc.Scheduler, asked: readonly string[]): Promise<string[]> {
  store.inner.close()
  let { cookie } = await app.session.issue({ userId: 'ada' } as never)
  const cookies = new Set([cookie])
  store.scheduler = scheduler
  const outcomes: Outcome[] = await scheduler.waitFor(Promise.all(asked.map(async (work, n) => {
    await store.turn('send')
    const key = `key${n}`
    const response = await app.inject({ method: 'POST', url: `/${work}/${key}`, headers: { cookie } })
    const [line] = [response.headers['set-cookie'] ?? []].flat()
    if (line !== undefined && !line.includes('Max-Age=0')) cookies.add(cookie = line.split(';')[0] as string)
    return { work, key, status: response.statusCode, goneMeanwhile: response.statusCode === 401 && response.body.includes('There is no live') }
  })))
  store.scheduler = undefined
  // What the runtime lets go of at the next turn would pile up otherwise.
  await turn()

  const answers = await Promise.all(Array.from(cookies, async (sent) => await app.inject({ url: '/data', headers: { cookie: sent } })))
  const live = answers.filter(({ statusCode }) => statusCode === 200).map((answer) => answer.json())
  const isOver = outcomes.some(({ work, status }) => ENDS.has(work) && status === 200)
  const ended = isOver || asked.filter((work) => work.endsWith('Later')).length > 1
  const kept = await app.session.list('ada')
  return [
    ...isOver && live.length > 0 ? ['it lives after its end'] : [],
    ...live.length === 1 || (ended && live.length === 0) ? [] : [`${live.length} tokens are alive`],
    ...kept.length > live.length ? [`${kept.length} sessions are listed, and ${live.length} are alive`] : [],
    ...outcomes.filter(({ status }) => ![200, 401].includes(status) && !(ended && status === 409)).map(({ work, status }) => `${work} was answered ${status}`),
    ...ended ? [] : outcomes.filter(({ goneMeanwhile }) => goneMeanwhile).map(({ work }) => `${work} was told that there is no session`),
    ...ended || live.length === 0 ? [] : outcomes.filter(({ work, status, key }) => !work.startsWith('renew') && status === 200 && live[0][key] !== 1).map(({ work }) => `what ${work} saved is lost`)
  ]
}

async function appOn (t: Test, store: ScheduledStore): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sessionPlugin, { store: store.store, now: clock.now, idleTimeout: 200, storeTimeout: 600, principal: (data: any) => data.userId })
  const guarded = { schema: { security: [{ session: [] }] } }
  app.get('/data', guarded, async (request) => request.session.data)
  for (const [name, work] of Object.entries(works)) {
    app.post(`/${name}/:key`, guarded, async (request) => {
      await work(request.session, (request.params as { key: string }).key, app)
      return ''
    })
  }
  return app
}

for (const names of [Object.keys(works).filter((name) => !ENDS.has(name)), Object.keys(works)]) {
  t.test(`requests at once, in whatever order their calls reach the store: ${names.join(', ')}`, async (t) => {
    const store = new ScheduledStore()
    const app = await appOn(t, store)
    const property = fc.asyncProperty(fc.scheduler(), fc.array(fc.constantFrom(...names), { minLength: 2, maxLength: 4 }), async (scheduler, asked) => {
      const faults = await run(app, store, scheduler, asked)
      if (faults.length > 0) throw new Error(faults.join('; '))
    })
    await holds(t, property, 1000, 50_000)
  })
}
