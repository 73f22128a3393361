import { AtOnce } from './at-once.js'
import { GRACE, IDLE } from './app.js'
import { Kill } from './kill.js'
import { type Expected, fail, type Look, Model } from './model.js'
import type { Reply, Site } from './site.js'

const PRINCIPALS = ['ada', 'bob', 'eve'] as const
const MOST_SESSIONS = 14

/** An old cookie whose session was adopted. */
interface Adopted {
  readonly cookie: string
  readonly session: Expected
  /** Until when it leads to the session, for parallel requests. Epoch milliseconds. */
  readonly until: number
}

/**
 * Users of an app at random, at once too, and a model of what they must see: ids stay and secrets change, a stale secret never
 * gets in, no update is lost, no session comes back, and no data get into another session. `step` throws where they differ.
 */
export class World {
  readonly #site: Site
  readonly #model: Model
  readonly #random: (limit: number) => number
  readonly #adopted: Adopted[] = []
  #planted = 0

  constructor (site: Site, seed: number) {
    this.#site = site
    this.#model = new Model(site, seed)
    this.#random = this.#model.random
  }

  async step (): Promise<void> {
    const { sessions } = this.#model
    const session = sessions[this.#random(sessions.length + 1)]
    const choice = this.#random(24)
    if (session === undefined) await this.#begin()
    else if (choice === 0) await this.#login(session)
    else if (choice < 5) await this.#write(session)
    else if (choice < 11) await new AtOnce(this.#model, session).run(PRINCIPALS)
    else if (choice === 11) await this.#renew(session)
    else if (choice === 12) await this.#end(session)
    else if (choice === 13) await this.#become(session)
    else if (choice === 14) await this.#site.advance(this.#random(this.#random(2) === 0 ? GRACE * 2 : IDLE * 700))
    else if (choice === 15) await this.#replay()
    else if (choice === 16) await this.#model.list(this.#principal())
    else if (choice === 17) await this.#replayAdopted()
    else await this.#model.look(session, (['me', 'peek', 'from'] satisfies Look[])[choice % 3])
    await this.#tidy()
  }

  /** Kills what keeps the sessions, in the middle of requests. */
  async kill (): Promise<void> {
    await new Kill(this.#model).run()
  }

  async close (): Promise<void> {
    await this.#site.close()
  }

  #principal (): string {
    return PRINCIPALS[this.#random(PRINCIPALS.length)] as string
  }

  /** Forgets some sessions when there are many. None is left in the store: the lists are compared. */
  async #tidy (): Promise<void> {
    const { sessions } = this.#model
    if (sessions.length <= MOST_SESSIONS) return
    for (const session of sessions.splice(0, MOST_SESSIONS / 2)) {
      if (!this.#model.isAlive(session)) continue
      this.#model.expect(session, await this.#site.ask('POST', this.#model.path(session, '/logout'), session.cookie), 'a logout', 'none')
      this.#model.retire(session)
    }
    this.#adopted.splice(0, this.#adopted.length - 20)
  }

  async #begin (): Promise<void> {
    const choice = this.#random(6)
    if (choice === 0) await this.#visit()
    else if (choice < 3) await this.#adopt()
    else if (choice === 3) await this.#manyLogins()
    else await this.#login()
  }

  /** A guest: the first write begins a session without a principal. */
  async #visit (): Promise<void> {
    const value = this.#model.value()
    const { cookie } = await this.#site.ask('POST', `/visit/${value}`)
    if (cookie === undefined) fail('a first write handed out no cookie')
    const session = this.#model.begin({ principal: undefined, cookie, values: new Map([['values', value]]) })
    if ((await this.#site.ask('GET', '/own/me', cookie)).status !== 401) fail('a guest is signed in')
    // Refused, yet it was loaded.
    this.#model.count(session, 'touch')
    await this.#model.look(session)
  }

  async #login (before?: Expected): Promise<void> {
    await this.#site.advance(this.#random(2))
    const principal = this.#principal()
    const idle = this.#random(5) === 0 ? 600 + this.#random(3000) : undefined
    const cookie = this.#loggedIn(await this.#site.ask('POST', `/login/${principal}${idle === undefined ? '' : `?idle=${idle}`}`, before?.cookie ?? this.#model.stale()))
    if (before !== undefined) this.#model.retire(before)
    this.#model.begin({ principal, cookie, ...idle !== undefined && { idle: idle * 1000 } })
    await this.#model.limit(principal)
    if (before !== undefined) await this.#model.expectDead(before.cookie)
  }

  #loggedIn ({ status, cookie }: Reply): string {
    return status === 200 && cookie !== undefined ? cookie : fail(`a login got ${status}`)
  }

  async #manyLogins (): Promise<void> {
    const principal = this.#principal()
    // One after the other, at the same time by the clock: the later login counts as the later one all the same.
    for (let left = this.#random(3); left > 0; left--) {
      this.#model.begin({ principal, cookie: this.#loggedIn(await this.#site.ask('POST', `/login/${principal}`)) })
      await this.#model.limit(principal)
    }
    // At once, with a clock that is past all ranks: until a concurrent login has its rank, the time of the login stands in.
    await this.#site.advance(20)
    const replies = await Promise.all(Array.from({ length: this.#random(6) }, async () => await this.#site.ask('POST', `/login/${principal}`)))
    for (const reply of replies) this.#model.begin({ principal, cookie: this.#loggedIn(reply) }, replies.length - 1)
    await this.#model.limit(principal)
  }

  /** Requests at once with the cookie of another plugin: one of them gets a cookie here. */
  async #adopt (): Promise<void> {
    await this.#site.advance(1)
    const [id, principal] = [`old-${this.#planted++}`, this.#principal()]
    const cookie = `old=${id}`
    const fails = this.#random(8) === 0
    await this.#site.ask('POST', `/old/${id}/${principal}${fails ? '?fails' : ''}`)
    if (fails && (await this.#site.ask('POST', '/own/set/w0/0', cookie)).status !== 503) fail('an adoption whose old session could not be ended was made')
    const writes = Array.from({ length: this.#random(3) }, (_, index) => ({ key: `w${index}`, value: this.#model.value() }))
    const adds = this.#random(3)
    const logouts = this.#random(4) === 0 ? 1 : 0
    const looks = 1 + this.#random(3)
    const [written, added, left, seen] = await Promise.all([
      Promise.all(writes.map(async ({ key, value }) => await this.#site.ask('POST', `/own/set/${key}/${value}`, cookie))),
      Promise.all(Array.from({ length: adds }, async () => await this.#site.ask('POST', '/any/add', cookie))),
      Promise.all(Array.from({ length: logouts }, async () => await this.#site.ask('POST', '/own/logout', cookie))),
      Promise.all(Array.from({ length: looks }, async () => await this.#site.ask('GET', '/own/me', cookie)))
    ])
    const replies = [...written, ...added, ...left, ...seen]
    const cookies = replies.flatMap((reply) => reply.cookie ?? [])
    const until = this.#site.now() + GRACE
    if (replies.some(({ status }) => ![200, 401].includes(status))) fail(`an adoption got ${replies.map(({ status }) => status).join(', ')}`)
    if (logouts > 0) {
      if (left[0]?.status !== 200) fail(`a logout with an old cookie got ${left[0]?.status}`)
      await this.#model.expectDead(cookie, ...cookies)
      this.#model.retireCookies(cookie, ...cookies)
      await this.#model.limit(principal, true)
      return
    }
    if (cookies.length !== 1) fail(`${replies.length} requests with an old cookie got ${cookies.length} cookies: ${JSON.stringify(replies)} fails ${fails}`)
    if (replies.some(({ status }) => status !== 200)) fail(`an adoption got ${replies.map(({ status }) => status).join(', ')}`)
    const values = new Map([['values', 0], ...writes.map(({ key, value }): [string, number] => [key, value])])
    if (adds > 0) values.set('sum', adds)
    const session = this.#model.begin({ principal, cookie: cookies[0] as string, values, login: 0 }, replies.length - 1)
    await this.#model.limit(principal)
    await this.#model.look(session)
    this.#adopted.push({ cookie, session, until })
  }

  /** An old cookie leads to its session for some seconds, and never again after that. */
  async #replayAdopted (): Promise<void> {
    const adopted = this.#random(2) === 0 ? this.#adopted.at(-1) : this.#adopted[this.#random(this.#adopted.length)]
    if (adopted === undefined) return
    const { cookie, session, until } = adopted
    const left = until - this.#site.now()
    // Just before its time is up, or just then.
    if (left > 0 && this.#random(3) === 0) await this.#site.advance(left - this.#random(2))
    if (this.#site.now() >= until || !this.#model.isAlive(session)) return await this.#model.expectDead(cookie)
    const reply = await this.#site.ask('GET', '/any/peek', cookie)
    if (this.#model.expect(session, reply, 'an old cookie', 'none')) this.#model.compare(session, reply.body)
    if (reply.cookie !== undefined) fail('an old cookie got another cookie')
  }

  async #write (session: Expected): Promise<void> {
    const key = `k${this.#random(4)}`
    const value = this.#model.value()
    const url = this.#model.path(session, `/${this.#random(3) === 0 ? 'commit' : 'set'}/${key}/${value}`)
    if (this.#model.expect(session, await this.#site.ask('POST', url, session.cookie), 'a write', 'write')) session.values.set(key, value)
    await this.#model.look(session)
  }

  async #renew (session: Expected): Promise<void> {
    const before = session.cookie
    const reply = await this.#site.ask('POST', this.#model.path(session, '/renew'), before)
    if (!this.#model.expect(session, reply, 'a renewal', 'write')) return
    if (reply.cookie === undefined || reply.cookie === before) fail('a renewal handed out no other cookie')
    session.cookie = reply.cookie
    this.#model.retireCookies(before)
    await this.#model.expectDead(before)
    await this.#model.look(session)
  }

  async #end (session: Expected): Promise<void> {
    const kinds = session.principal === undefined ? ['logout', 'revoke'] : ['logout', 'revoke', 'others', 'everywhere']
    const kind = kinds[this.#random(kinds.length)] as string
    const reply = await this.#site.ask('POST', this.#model.path(session, `/${kind}`), session.cookie)
    const count = this.#model.aliveOf(session.principal).length
    if (!this.#model.expect(session, reply, kind, 'touch')) return
    if (kind === 'others' || kind === 'everywhere') this.#model.retireAll(session.principal, kind === 'others' ? session : undefined)
    else this.#model.retire(session)
    const expected: Record<string, string> = { logout: '', revoke: 'true', others: String(count - 1), everywhere: String(count) }
    if (String(reply.body) !== expected[kind]) fail(`${kind} answered ${reply.body} instead of ${expected[kind]}`)
    await this.#model.look(session)
  }

  async #become (session: Expected): Promise<void> {
    await this.#site.advance(1)
    const others = [...PRINCIPALS, undefined].filter((principal) => principal !== session.principal)
    const principal = others[this.#random(others.length)]
    const reply = await this.#site.ask('POST', this.#model.path(session, principal === undefined ? '/leave' : `/become/${principal}`), session.cookie)
    if (!this.#model.expect(session, reply, 'a change of principal', 'none')) return
    const { values, created, idle, deadline, cookie: before } = session
    this.#model.retire(session)
    if (reply.cookie === undefined) fail('a change of principal handed out no cookie')
    const expiresAt = Math.min(this.#site.now() + idle, deadline)
    const successor = this.#model.begin({ principal, cookie: reply.cookie, values, created, idle, deadline, expiresAt })
    await this.#model.limit(principal)
    await this.#model.expectDead(before)
    await this.#model.look(successor)
  }

  async #replay (): Promise<void> {
    const cookie = this.#model.stale()
    if (cookie !== undefined) await this.#model.expectDead(cookie)
  }
}
