import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import sessionPlugin, { type SessionEvent, type SessionStore } from 'fastify-openapi-session'
import { createClock } from 'fastify-openapi-session/testing'

export const IDLE = 1800
export const ABSOLUTE = 7200

/** What must be true of one session, by what was answered. */
interface Expected {
  readonly principal: string
  readonly values: Map<string, number>
  /** Its token of today; those before are worth nothing. */
  cookie: string
  alive: boolean
  idleUntil: number
  readonly deadline: number
}

interface Answer { readonly status: number, readonly body: any, readonly cookie: string | undefined }

/** The same numbers for the same seed, so that a history that fails can be run again. */
function generator (seed: number): (limit: number) => number {
  let state = seed >>> 0
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * limit)
  }
}

/** A store whose answers take their time, each a random number of turns: what overtakes what is chance, by the seed. */
function unhurried (store: SessionStore, random: (limit: number) => number): SessionStore {
  return new Proxy(store, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name === 'observe' || name === 'close') return value.bind(target)
      return async (...args: unknown[]): Promise<unknown> => {
        for (let left = random(4); left > 0; left--) await turn()
        const answer: unknown = await Reflect.apply(value, target, args)
        for (let left = random(4); left > 0; left--) await turn()
        return answer
      }
    }
  })
}

/**
 * An app, people who use it at random, at once too, and a model of what they must see: no lost update, no session that
 * comes back, nobody's data in another one's session. `step` throws where they differ.
 */
export class World {
  readonly #clock = createClock()
  readonly #random: (limit: number) => number
  readonly #app: FastifyInstance
  readonly #sessions: Expected[] = []
  readonly #retired: string[] = []
  #discarded = 0
  #written = 0

  constructor (seed: number) {
    this.#random = generator(seed)
    this.#app = Fastify()
  }

  async open (makeStore: (now: () => number) => SessionStore): Promise<void> {
    const { now } = this.#clock
    await this.#app.register(sessionPlugin, {
      store: unhurried(makeStore(now), this.#random),
      now,
      idleTimeout: IDLE,
      absoluteTimeout: ABSOLUTE,
      storeTimeout: 60,
      principal: (data: any) => data.principal,
      onEvent: ({ type, reason }: SessionEvent) => { if (type === 'discarded' && reason === 'ended-meanwhile') this.#discarded++ }
    } as any)
    const required = { schema: { security: [{ session: [] }] } }
    const of = (request: unknown): any => (request as { session: unknown }).session
    this.#app.post<{ Params: { name: string } }>('/login/:name', { schema: { security: [{ session: [] }, {}] } }, async (request) => {
      of(request).start({ principal: request.params.name, values: 0 })
    })
    this.#app.get('/me', required, async (request) => of(request).data)
    this.#app.get('/peek', { ...required, config: { session: { touch: false } } }, async (request) => of(request).data)
    this.#app.post<{ Params: { key: string, value: string } }>('/set/:key/:value', required, async (request) => {
      of(request).data[request.params.key] = Number(request.params.value)
    })
    this.#app.post<{ Params: { key: string } }>('/add/:key', required, async (request) => {
      await of(request).update((data: any) => { data[request.params.key] = (data[request.params.key] ?? 0) + 1 })
    })
    this.#app.post('/renew', required, async (request) => { of(request).renew() })
    this.#app.post('/logout', required, async (request) => { of(request).destroy() })
    this.#app.post('/revoke', required, async (request) => await (this.#app as any).session.revoke(of(request).id))
    this.#app.post('/others', required, async (request) => await (this.#app as any).session.revokeAll(of(request).data.principal, { except: of(request).id }))
    this.#app.post('/everywhere', required, async (request) => await (this.#app as any).session.revokeAll(of(request).data.principal))
    await this.#app.ready()
  }

  async close (): Promise<void> {
    await this.#app.close()
  }

  async step (): Promise<void> {
    const session = this.#sessions[this.#random(this.#sessions.length + 1)]
    const choice = this.#random(20)
    if (session !== undefined) await this.#settleDoubt(session)
    if (session === undefined || choice === 0) await this.#login(session)
    else if (choice < 6) await this.#write(session)
    else if (choice < 11) await this.#atOnce(session)
    else if (choice === 11) await this.#renew(session)
    else if (choice === 12) await this.#end(session)
    else if (choice === 13) await this.#endOthers(session)
    else if (choice === 14) this.#clock.advance(this.#random(IDLE * 700))
    else if (choice === 15) await this.#replay()
    else if (choice === 16) await this.#list(session)
    else await this.#look(session, choice === 17 ? '/peek' : '/me')
    if (this.#sessions.length > 12) this.#sessions.splice(0, 6)
  }

  async #send (method: 'GET' | 'POST', url: string, cookie: string): Promise<Answer> {
    const { statusCode, headers, body } = await this.#app.inject({ method, url, headers: cookie === '' ? {} : { cookie } })
    const [line] = [headers['set-cookie'] ?? []].flat()
    return {
      status: statusCode,
      body: body.startsWith('{') ? JSON.parse(body) : body,
      cookie: line === undefined || line.includes('Max-Age=0') ? undefined : line.split(';')[0]
    }
  }

  #isAlive (session: Expected): boolean {
    const now = this.#clock.now()
    return session.alive && now < session.deadline && now < session.idleUntil
  }

  /** What a request with a session's cookie must be answered, and that it counts as activity. */
  #expect (session: Expected, { status, body }: Answer, what: string, touches = true): boolean {
    const alive = this.#isAlive(session)
    if (status !== (alive ? 200 : 401)) throw new Error(`${what} of ${session.principal}: ${status} ${JSON.stringify(body)}, and the session is ${alive ? 'alive' : 'over'}`)
    if (!alive) session.alive = false
    else if (touches) this.#touch(session)
    return alive
  }

  /** A store may put a touch off until a tenth of the time is to be gained, so a session may end that much sooner; never later. */
  async #settleDoubt (session: Expected): Promise<void> {
    if (!this.#isAlive(session) || this.#clock.now() < session.idleUntil - IDLE * 100) return
    if ((await this.#send('GET', '/peek', session.cookie)).status === 401) session.alive = false
  }

  #touch (session: Expected): void {
    session.idleUntil = Math.min(this.#clock.now() + IDLE * 1000, session.deadline)
  }

  async #login (before: Expected | undefined): Promise<void> {
    const principal = `p-${this.#random(3)}`
    const { status, cookie } = await this.#send('POST', `/login/${principal}`, before?.cookie ?? '')
    if (status !== 200 || cookie === undefined) throw new Error(`login: ${status}`)
    if (before) this.#retire(before)
    const now = this.#clock.now()
    this.#sessions.push({ principal, values: new Map([['values', 0]]), cookie, alive: true, idleUntil: now + IDLE * 1000, deadline: now + ABSOLUTE * 1000 })
  }

  async #write (session: Expected): Promise<void> {
    const key = `k${this.#random(4)}`
    const value = ++this.#written
    if (this.#expect(session, await this.#send('POST', `/set/${key}/${value}`, session.cookie), 'a write')) session.values.set(key, value)
    await this.#look(session)
  }

  /** Several requests of one session at once: writes to keys of their own, updates of one key, and perhaps its renewal or end. */
  async #atOnce (session: Expected): Promise<void> {
    const end = this.#random(6)
    const writes = Array.from({ length: 1 + this.#random(3) }, (_, index) => ({ key: `w${index}`, value: ++this.#written }))
    const adds = this.#random(3)
    const other = end === 0 ? '/logout' : end === 1 ? '/revoke' : end === 2 ? '/everywhere' : end === 3 ? '/renew' : undefined
    // Sometimes a renewal runs beside the end, which has to be final for it.
    const renewals = other === undefined || this.#random(2) === 0 ? 0 : 1 + this.#random(2)
    const discarded = this.#discarded
    const wasAlive = this.#isAlive(session)
    const [renewed, written, added, others] = await Promise.all([
      Promise.all(Array.from({ length: renewals }, async () => await this.#send('POST', '/renew', session.cookie))),
      Promise.all(writes.map(async ({ key, value }) => await this.#send('POST', `/set/${key}/${value}`, session.cookie))),
      Promise.all(Array.from({ length: adds }, async () => await this.#send('POST', '/add/sum', session.cookie))),
      Promise.all(other === undefined ? [] : [this.#send('POST', other, session.cookie)])
    ])
    if (!wasAlive) {
      for (const answer of [...renewed, ...written, ...added, ...others]) this.#expect(session, answer, 'one of many')
      return
    }
    const sum = (session.values.get('sum') ?? 0) + added.filter(({ status }) => status === 200).length
    if (other === '/renew') return await this.#afterRenewal(session, [...renewed, ...others], writes.filter((_, index) => written[index]?.status === 200), sum, this.#discarded - discarded)
    const handedOut = renewed.flatMap(({ cookie }) => cookie ?? [])
    if (other !== undefined && others[0]?.status === 200) {
      if (other === '/revoke' && others[0].body !== 'true') return await this.#afterRenewal(session, renewed, writes.filter((_, index) => written[index]?.status === 200), sum, this.#discarded - discarded)
      this.#retired.push(...handedOut)
      if (other === '/everywhere') this.#endAll(session.principal)
      else this.#retire(session)
      await this.#allOver([session.cookie, ...handedOut])
    } else if (handedOut.length > 0) {
      return await this.#afterRenewal(session, renewed, writes.filter((_, index) => written[index]?.status === 200), sum, this.#discarded - discarded)
    } else {
      for (const answer of [...written, ...added]) this.#expect(session, answer, 'one of many')
      writes.forEach(({ key, value }) => session.values.set(key, value))
      if (adds > 0) session.values.set('sum', sum)
    }
    await this.#look(session)
  }

  async #allOver (cookies: readonly string[]): Promise<void> {
    for (const cookie of cookies) if ((await this.#send('GET', '/peek', cookie)).status !== 401) throw new Error('an end that was answered left a session alive')
  }

  /** However many renewals there were at once, one token is handed out; what was answered before, beside and after is kept. */
  async #afterRenewal (session: Expected, renewals: readonly Answer[], writes: ReadonlyArray<{ key: string, value: number }>, sum: number, discarded: number): Promise<void> {
    const cookies = renewals.flatMap(({ cookie }) => cookie ?? [])
    if (cookies.length !== 1) throw new Error(`${renewals.length} renewals at once handed out ${cookies.length} tokens`)
    this.#retired.push(session.cookie)
    session.cookie = cookies[0] as string
    const { body } = await this.#send('GET', '/me', session.cookie)
    this.#touch(session)
    const lost = writes.filter(({ key, value }) => body[key] !== value)
    if (lost.length > 0) throw new Error(`${lost.length} writes beside a renewal are lost, and ${discarded} were reported`)
    for (const { key, value } of writes) session.values.set(key, value)
    if ((body.sum ?? 0) !== sum) throw new Error(`updates beside a renewal: ${body.sum} stored, ${sum} answered`)
    if (sum > 0) session.values.set('sum', sum)
    await this.#look(session)
  }

  async #renew (session: Expected): Promise<void> {
    const before = session.cookie
    const answer = await this.#send('POST', '/renew', before)
    if (!this.#expect(session, answer, 'a renewal')) return
    if (answer.cookie === undefined || answer.cookie === before) throw new Error('a renewal gave no new token')
    this.#retired.push(before)
    session.cookie = answer.cookie
    await this.#look(session)
  }

  async #end (session: Expected): Promise<void> {
    if (this.#expect(session, await this.#send('POST', this.#random(2) === 0 ? '/logout' : '/revoke', session.cookie), 'a logout')) this.#retire(session)
    await this.#look(session)
  }

  async #endOthers (session: Expected): Promise<void> {
    if (!this.#expect(session, await this.#send('POST', '/others', session.cookie), 'signing out elsewhere')) return
    this.#endAll(session.principal, session)
    await this.#look(session)
  }

  #endAll (principal: string, except?: Expected): void {
    for (const session of this.#sessions) if (session.principal === principal && session !== except) this.#retire(session)
  }

  #retire (session: Expected): void {
    session.alive = false
    this.#retired.push(session.cookie)
    if (this.#retired.length > 200) this.#retired.splice(0, 100)
  }

  async #replay (): Promise<void> {
    const cookie = this.#retired[this.#random(this.#retired.length)]
    if (cookie === undefined) return
    const answers = await Promise.all(['/me', '/peek'].map(async (url) => await this.#send('GET', url, cookie)))
    if (answers.some(({ status }) => status !== 401)) throw new Error('a token that was retired is alive')
  }

  async #list (session: Expected): Promise<void> {
    const listed: Array<{ data: { principal: string } }> = await (this.#app as any).session.list(session.principal)
    for (const each of this.#sessions) await this.#settleDoubt(each)
    const expected = this.#sessions.filter((each) => each.principal === session.principal && this.#isAlive(each))
    if (listed.some(({ data }) => data.principal !== session.principal)) throw new Error('a session is in the list of another principal')
    if (listed.length < expected.length) throw new Error(`${expected.length} sessions of ${session.principal} are alive and ${listed.length} listed`)
  }

  async #look (session: Expected, url: '/me' | '/peek' = '/me'): Promise<void> {
    const answer = await this.#send('GET', url, session.cookie)
    if (!this.#expect(session, answer, 'a look', url === '/me')) return
    const expected = { principal: session.principal, ...Object.fromEntries(session.values) }
    const sorted = (data: object): string => JSON.stringify(Object.entries(data).toSorted(([a], [b]) => a < b ? -1 : 1))
    if (sorted(answer.body) !== sorted(expected)) throw new Error(`stored ${sorted(answer.body)}, answered ${sorted(expected)}`)
  }
}
