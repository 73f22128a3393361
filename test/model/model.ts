import { generator } from '../support/random.js'
import { ABSOLUTE, IDLE, MOST, PATIENCE } from './app.js'
import type { Reply, Site } from './site.js'

/** What must be true of one session, by what was answered. Instants in epoch milliseconds. */
export interface Expected {
  readonly id: string
  /** A guest has none. */
  readonly principal: string | undefined
  readonly values: Map<string, number>
  /** The cookie of today. Those before are stale. */
  cookie: string
  alive: boolean
  expiresAt: number
  /** Milliseconds. */
  readonly idle: number
  readonly created: number
  /** When the principal was established; 0 for an adopted session. */
  readonly login: number
  readonly deadline: number
  /** The rank among the logins of the principal lies between these two. */
  readonly rank: readonly [least: number, most: number]
}

/** What a reply says of the session that it begins; the rest has a default. */
type Begun = Pick<Expected, 'principal'> & Partial<Expected> & { readonly cookie: string }

export type Look = 'me' | 'peek' | 'from'

/** How a request that was answered 200 counts: as nothing, as activity, or as a write. */
export type Activity = 'none' | 'touch' | 'write' | 'job'

export function fail (sentence: string): never {
  throw new Error(sentence)
}

/** Returns the id in a cookie `name=id.secret`. */
export function idIn (cookie: string): string {
  return cookie.slice(cookie.indexOf('=') + 1, cookie.indexOf('.'))
}

function sorted (data: object): string {
  return JSON.stringify(Object.entries(data).toSorted(([a], [b]) => a < b ? -1 : 1))
}

/** The sessions of a site as they must be, and what is checked of each reply. Throws where the two differ. */
export class Model {
  readonly site: Site
  readonly random: (limit: number) => number
  readonly sessions: Expected[] = []
  /** Cookies that must never get in again. */
  readonly #retired: string[] = []
  #written = 0

  constructor (site: Site, seed: number) {
    this.site = site
    this.random = generator(seed)
  }

  /** Returns a value that no write had before. */
  value (): number {
    return ++this.#written
  }

  isAlive ({ alive, expiresAt }: Expected): boolean {
    return alive && this.site.now() < expiresAt
  }

  aliveOf (principal: string | undefined): Expected[] {
    return this.sessions.filter((session) => session.principal === principal && this.isAlive(session))
  }

  /** Returns the path of a request with a session's cookie: guests reach only some routes. */
  path (session: Expected, rest: string): string {
    return `${session.principal === undefined || this.random(2) === 0 ? '/any' : '/own'}${rest}`
  }

  /** Keeps a session that has begun. Up to `rivals` others of its principal began at the same time. */
  begin (begun: Begun, rivals = 0): Expected {
    const now = this.site.now()
    const { principal, cookie, idle = IDLE * 1000, login = now, deadline = now + ABSOLUTE * 1000 } = begun
    const session: Expected = {
      id: idIn(cookie), values: new Map([['values', 0]]), alive: true, created: now, idle, login, deadline,
      expiresAt: Math.min(now + idle, deadline), rank: this.#rank(principal, login, rivals), ...begun
    }
    if (this.sessions.some(({ id }) => id === session.id)) fail('a session began under an id that was there before')
    this.sessions.push(session)
    return session
  }

  /** A login that exceeds the limit gets the highest rank. */
  #rank (principal: string | undefined, login: number, rivals: number): Expected['rank'] {
    const others = this.aliveOf(principal)
    if (principal === undefined || others.length + rivals < MOST) return [login, login]
    const above = (highest: number): number => highest < login ? login : highest + 1
    const isSure = others.length - rivals >= MOST
    const highest = Math.max(...others.map(({ rank }) => rank[1]), login)
    return [isSure ? above(Math.max(...others.map(({ rank }) => rank[0]))) : login, above(highest) + rivals]
  }

  /** Keeps in mind that a session is over. */
  retire (session: Expected, ...cookies: readonly string[]): void {
    session.alive = false
    this.retireCookies(session.cookie, ...cookies)
  }

  retireCookies (...cookies: readonly string[]): void {
    this.#retired.push(...cookies)
    if (this.#retired.length > 400) this.#retired.splice(0, 200)
  }

  retireAll (principal: string | undefined, except?: Expected): void {
    for (const session of this.aliveOf(principal)) if (session !== except) this.retire(session)
  }

  /** Returns a cookie that must not get in, if there is one. */
  stale (): string | undefined {
    return this.#retired[this.random(this.#retired.length)]
  }

  count (session: Expected, activity: Activity): void {
    // An update by a job keeps the expiry, but does not end a session that would expire while the store works.
    if (activity === 'job') session.expiresAt = Math.max(session.expiresAt, Math.min(this.site.now() + PATIENCE * 1000, session.deadline))
    const expiresAt = Math.min(this.site.now() + session.idle, session.deadline)
    // A touch is saved only where it gains a tenth of the idle timeout.
    if (activity === 'write' || (activity === 'touch' && expiresAt - session.expiresAt >= session.idle / 10)) session.expiresAt = expiresAt
  }

  /** Checks the status of a reply to a session's cookie: 200 while the session is live, 401 after. */
  expect (session: Expected, { status, body }: Reply, what: string, activity: Activity): boolean {
    const alive = this.isAlive(session)
    if (status !== (alive ? 200 : 401)) fail(`${what} of ${session.principal}: ${status} ${JSON.stringify(body)}, and the session ${alive ? 'is live' : 'has ended'}`)
    if (alive) this.count(session, activity)
    else session.alive = false
    return alive
  }

  /** Sends a cookie that must get a 401. */
  async expectDead (...cookies: readonly string[]): Promise<void> {
    for (const cookie of cookies) {
      for (const url of ['/own/peek', '/any/me', '/from']) {
        const { status } = await this.site.ask('GET', url, cookie)
        if (status !== 401) fail(`a cookie of a session that has ended, or a stale one, got ${status} at ${url}`)
      }
    }
  }

  /** Looks at a session and compares everything. */
  async look (session: Expected, how: Look = 'me'): Promise<void> {
    const reply = await this.site.ask('GET', how === 'from' ? '/from' : this.path(session, `/${how}`), session.cookie)
    if (this.expect(session, reply, `a look (${how})`, how === 'peek' ? 'none' : 'touch')) this.compare(session, reply.body)
  }

  compare (session: Expected, found: { id: string, data: object, expiresAt: number }): void {
    const { id, principal, values, expiresAt } = session
    const expected = sorted({ ...principal !== undefined && { principal }, ...Object.fromEntries(values) })
    if (found.id !== id) fail(`the id ${id} became ${found.id}`)
    if (sorted(found.data) !== expected) fail(`found ${sorted(found.data)}, expected ${expected}`)
    if (found.expiresAt !== expiresAt) fail(`the session expires ${found.expiresAt - expiresAt} ms later than expected`)
  }

  /** Compares the list of a principal: all of its live sessions, and nothing else. */
  async list (principal: string): Promise<void> {
    const { body } = await this.site.ask('GET', `/list/${principal}`)
    const alive = this.aliveOf(principal)
    if (body.sessions.length !== alive.length) fail(`${alive.length} sessions of ${principal} are live and ${body.sessions.length} are listed`)
    for (const session of alive) {
      const found = body.sessions.find(({ id }: { id: string }) => id === session.id) ?? fail(`a live session of ${principal} is not listed`)
      this.compare(session, found)
      if (found.createdAt !== session.created || found.authenticatedAt !== session.login) fail(`created ${found.createdAt - session.created} ms and signed in ${found.authenticatedAt - session.login} ms later than expected`)
    }
  }

  /**
   * Checks the option maxPerPrincipal after logins: the oldest logins have ended, and no more of them than necessary. With
   * `dying`, sessions may have counted that ended at the same time.
   */
  async limit (principal: string | undefined, dying = false): Promise<void> {
    if (principal === undefined) return
    const before = this.aliveOf(principal)
    if (before.length <= MOST && !dying) return
    const replies = await Promise.all(before.map(async ({ cookie }) => await this.site.ask('GET', '/any/peek', cookie)))
    const survivors = before.filter((_, index) => replies[index]?.status === 200)
    if (survivors.length > MOST || (!dying && survivors.length < MOST)) fail(`${survivors.length} of ${before.length} sessions of ${principal} survived the limit of ${MOST}`)
    for (const session of before.filter((session) => !survivors.includes(session))) {
      if (survivors.some(({ rank }) => rank[1] < session.rank[0])) fail('the limit ended a session although an older login survived')
      this.retire(session)
    }
  }
}
