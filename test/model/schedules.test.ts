import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import sessionPlugin, { MemoryStore, type Session, type SessionStore } from 'fastify-openapi-session'
import { createClock } from 'fastify-openapi-session/testing'
import t, { type Test } from 'tap'
import { holds } from '../fuzz/property.js'
import { ask, cookieOf, guarded, makeApp } from '../support/harness.js'

const clock = createClock()

/** What a request does to the session, with a key of its own. Work that goes on after the response is returned. */
type Work = (session: Session<any>, key: string, app: FastifyInstance) => Promise<void> | void
const works: Record<string, Work> = {
  set: (session, key) => { session.data[key] = 1 },
  update: async (session, key) => { await session.update((data: any) => { data[key] = 1 }) },
  renew: (session) => { session.renew() },
  setAndRenew: (session, key) => { session.data[key] = 1; session.renew() },
  updateAndRenew: async (session, key) => { await session.update((data: any) => { data[key] = 1 }); session.renew() },
  setAndCommit: async (session, key) => { session.data[key] = 1; await session.commit() },
  setCommitAndUpdate: async (session, key) => { session.data[key] = 0; void session.commit(); await session.update((data: any) => { data[key]++ }) },
  job: async (session, key, app) => { await app.session.update(session.id, (data: any) => { data[key] = 1 }) },
  logout: (session) => { session.destroy() },
  updateAndLogout: async (session, key) => { await session.update((data: any) => { data[key] = 1 }); session.destroy() },
  revokeById: async (session, key, app) => { await app.session.revoke(session.id) },
  revokeAll: async (session, key, app) => { await app.session.revokeAll('ada') },
  become: (session) => { session.data['userId'] = 'bob' }
}

/** What is done after the response: only an update can be. */
const LATE = 'updateAfterResponse'

/** After most of the idle timeout: two of them may be longer than a session lives without a request. */
for (const name of ['set', 'renew', 'logout']) {
  const work = works[name] as Work
  works[`${name}Later`] = async (session, key, app) => { clock.advance(140_000); await work(session, key, app) }
}

const ENDS = new Set(['logout', 'logoutLater', 'updateAndLogout', 'revokeById', 'revokeAll'])

/** A store whose calls wait for their turns, in an order that fast-check chooses, while there is a scheduler. */
class ScheduledStore {
  readonly inner = new MemoryStore({ now: clock.now })
  scheduler: fc.Scheduler | undefined

  /** The store for the plugin. */
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
}

interface Site {
  readonly app: FastifyInstance
  readonly store: ScheduledStore
  /** Work that goes on after its response, by key. Each resolves whether it was done. */
  readonly late: Map<string, Promise<boolean>>
  /** Returns how many changes were reported as discarded. */
  readonly discarded: () => number
}

/** Sends requests of one browser at once, whose store calls come in any order. Returns what must not be. */
async function run ({ app, store, late, discarded }: Site, scheduler: fc.Scheduler, asked: readonly string[]): Promise<string[]> {
  store.inner.close()
  late.clear()
  let { cookie } = await app.session.issue({ userId: 'ada' } as never)
  const cookies = new Set([cookie])
  /** The cookies that requests sent and that another one was handed out for. */
  const replaced: string[] = []
  const discardedBefore = discarded()
  store.scheduler = scheduler
  const outcomes: Outcome[] = await scheduler.waitFor(Promise.all(asked.map(async (work, n) => {
    await store.turn('send')
    const key = `key${n}`
    const sent = cookie
    const response = await ask(app, `POST /${work}/${key}`, cookie)
    const { statusCode } = response
    if (cookieOf(response) !== '') {
      cookies.add(cookie = cookieOf(response))
      replaced.push(sent)
    }
    const isDone = await late.get(key) ?? true
    return { work, key, status: statusCode === 200 && !isDone ? 401 : statusCode }
  })))
  store.scheduler = undefined
  // What the runtime lets go of at the next turn would pile up otherwise.
  await turn()

  const answers = await Promise.all(Array.from(cookies, async (sent) => await ask(app, '/data', sent)))
  const live = answers.filter(({ statusCode }) => statusCode === 200).map((answer) => answer.json())
  const kept = (await Promise.all(['ada', 'bob'].map(async (principal) => (await app.session.list(principal)).sessions))).flat()
  return judge({ asked, outcomes, live, kept: kept.length, replaced, discarded: discarded() - discardedBefore })
}

interface Findings {
  readonly asked: readonly string[]
  readonly outcomes: readonly Outcome[]
  /** The data that each cookie which is live leads to. */
  readonly live: ReadonlyArray<Record<string, unknown>>
  readonly kept: number
  readonly replaced: readonly string[]
  readonly discarded: number
}

function judge ({ asked, outcomes, live, kept, replaced, discarded }: Findings): string[] {
  const done = outcomes.filter(({ status }) => status === 200)
  const isOver = done.some(({ work }) => ENDS.has(work))
  const hasMoved = live.some(({ userId }) => userId === 'bob')
  const mayBeOver = isOver || asked.filter((work) => work.endsWith('Later')).length > 1
  // A request with a cookie that was renewed since gets a 401. One that was overtaken by a renewal must not change the principal.
  const isFine = ({ work, status }: Outcome): boolean => status === 200 || (status === 409 && (mayBeOver || work === 'become')) || (status === 401 && (mayBeOver || replaced.length > 0))
  const lost = done.filter(({ work, key }) => !work.startsWith('renew') && !ENDS.has(work) && work !== 'become' && live[0]?.[key] !== 1)
  return [
    ...isOver && live.some(({ userId }) => userId === 'ada') ? ['it lives after its end'] : [],
    ...live.length === 1 || (mayBeOver && live.length === 0) ? [] : [`${live.length} cookies are live`],
    ...new Set(replaced).size === replaced.length ? [] : ['two cookies were handed out for one'],
    ...kept === live.length ? [] : [`${kept} sessions are listed, and ${live.length} are live`],
    ...outcomes.filter((outcome) => !isFine(outcome)).map(({ work, status }) => `${work} was answered ${status}`),
    ...mayBeOver || hasMoved || discarded === 0 ? [] : [`${discarded} changes were discarded`],
    ...live.length === 0 || lost.length <= discarded ? [] : [`what ${lost.map(({ work }) => work).join(' and ')} saved is lost, and ${discarded} were reported`]
  ]
}

async function siteOn (t: Test): Promise<Site> {
  const store = new ScheduledStore()
  const late = new Map<string, Promise<boolean>>()
  let discarded = 0
  const { app } = makeApp(t)
  await app.register(sessionPlugin, {
    store: store.store,
    now: clock.now,
    idleTimeout: 200,
    storeTimeout: 600,
    principal: (data: any) => data.userId,
    onEvent: ({ reason }) => { if (reason === 'ended') discarded++ }
  })
  app.get('/data', { schema: guarded }, async (request) => request.session.data)
  for (const [name, work] of Object.entries(works)) {
    app.post<{ Params: { key: string } }>(`/${name}/:key`, { schema: guarded }, async (request) => {
      await work(request.session as Session<any>, request.params.key, app)
      return ''
    })
  }
  app.post<{ Params: { key: string } }>(`/${LATE}/:key`, { schema: guarded }, async ({ session, params: { key } }, reply) => {
    const sent = new Promise((resolve) => { reply.raw.once('finish', resolve) })
    const updated = sent.then(async () => { await (session as Session<any>).update((data) => { data[key] = 1 }) })
    late.set(key, updated.then(() => true, () => false))
    return ''
  })
  return { app, store, late, discarded: () => discarded }
}

const all = [...Object.keys(works), LATE]

for (const names of [all.filter((name) => !ENDS.has(name) && name !== 'become'), all]) {
  t.test(`requests at once keep every promise in whatever order their calls reach the store: ${names.join(', ')}`, async (t) => {
    const site = await siteOn(t)
    const property = fc.asyncProperty(fc.scheduler(), fc.array(fc.constantFrom(...names), { minLength: 2, maxLength: 4 }), async (scheduler, asked) => {
      const faults = await run(site, scheduler, asked)
      if (faults.length > 0) throw new Error(faults.join('; '))
    })
    await holds(t, property, 1000, 50_000)
  })
}
