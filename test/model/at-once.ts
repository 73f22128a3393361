import { type Expected, fail, type Model } from './model.js'
import type { Reply } from './site.js'

type Kind = 'write' | 'add' | 'look' | 'forge' | 'renew' | 'logout' | 'revoke' | 'others' | 'everywhere' | 'become' | 'login'

/** A request of a burst, with what it asked for. */
interface Action {
  readonly kind: Kind
  readonly url: string
  readonly cookie?: string
  readonly key?: string
  readonly value?: number
  /** The principal to become; `undefined` for a guest. */
  readonly principal?: string | undefined
}

type Done = Action & { readonly reply: Reply }

const ENDS = ['logout', 'revoke', 'others', 'everywhere'] as const

/** Several requests of one session at once, and what may come of them in whatever order the store gets their calls. */
export class AtOnce {
  readonly #model: Model
  readonly #session: Expected
  readonly #sibling: Expected | undefined
  #done: readonly Done[] = []
  #discarded = 0

  constructor (model: Model, session: Expected) {
    this.#model = model
    this.#session = session
    this.#sibling = session.principal === undefined ? undefined : model.aliveOf(session.principal).find((other) => other !== session)
  }

  async run (principals: readonly string[]): Promise<void> {
    const { site } = this.#model
    // The ranks of earlier logins, which may run ahead of the clock, are in the past.
    await site.advance(20)
    const before = await this.#discardedSoFar()
    const actions = this.#choose(principals)
    const wasAlive = this.#model.isAlive(this.#session)
    this.#done = await Promise.all(actions.map(async (action): Promise<Done> => {
      const { kind, url, cookie = this.#session.cookie } = action
      return { ...action, reply: await site.ask(kind === 'look' || kind === 'forge' ? 'GET' : 'POST', url, cookie) }
    }))
    this.#discarded = await this.#discardedSoFar() - before
    // A change of principal is refused where the session was renewed in between: it may come from the holder of the old secret.
    const refusals = this.#renewed.length > 0 ? this.#of('become').filter(({ reply }) => reply.status === 409) : []
    for (const { kind, reply } of this.#done.filter((each) => !refusals.includes(each))) if (![200, 401].includes(reply.status)) fail(`${this.#done.map((d) => `${d.kind} ${d.url} ${d.reply.status}`).join(', ')} ${kind} got ${reply.status} ${JSON.stringify(reply.body)}`)
    if (this.#done.some(({ kind, reply }) => kind === 'forge' && reply.status !== 401)) fail('a forged secret got in')
    if (wasAlive) await this.#judge()
    else await this.#judgeDead()
  }

  async #discardedSoFar (): Promise<number> {
    return (await this.#model.site.ask('GET', '/discarded')).body.discarded
  }

  #choose (principals: readonly string[]): Action[] {
    const { random } = this.#model
    const { id, principal } = this.#session
    const path = (rest: string): string => this.#model.path(this.#session, rest)
    const some = (most: number, make: (index: number) => Action): Action[] => Array.from({ length: random(most + 1) }, (_, index) => make(index))
    const other = (): string => principals.filter((each) => each !== principal)[random(principals.length - 1)] as string
    const write = (index: number): Action => {
      const [key, value] = [`w${index}`, this.#model.value()]
      return { kind: 'write', key, value, url: path(`/${random(3) === 0 ? 'commit' : 'set'}/${key}/${value}`) }
    }
    const actions = [
      ...some(3, write),
      ...some(2, () => ({ kind: 'add', url: random(3) === 0 ? `/job/${id}` : path('/add') })),
      ...some(1, () => ({ kind: 'look', url: path('/peek') })),
      ...some(1, () => ({ kind: 'forge', url: path('/me'), cookie: `__Host-session=${id}.${'A'.repeat(43)}` }))
    ]
    const chance = random(10)
    if (chance < 2) return actions
    if (chance !== 9) actions.push(...some(2, () => ({ kind: 'renew', url: path('/renew') })))
    if (chance < 5) return actions
    if (chance < 8) actions.push(this.#end(ENDS[random(this.#sibling === undefined ? 2 : 4)] ?? 'logout'))
    if (chance > 6) actions.push(...some(2, () => this.#become(principal !== undefined && random(3) === 0 ? undefined : other())))
    if (random(4) === 0) {
      const principal = principals[random(principals.length)] as string
      actions.push({ kind: 'login', url: `/login/${principal}`, principal })
    }
    return actions
  }

  #end (kind: typeof ENDS[number]): Action {
    if (kind === 'others' && this.#sibling !== undefined) return { kind, url: '/own/others', cookie: this.#sibling.cookie }
    return { kind, url: this.#model.path(this.#session, `/${kind}`) }
  }

  #become (principal: string | undefined): Action {
    return { kind: 'become', url: this.#model.path(this.#session, principal === undefined ? '/leave' : `/become/${principal}`), principal }
  }

  #of (...kinds: readonly Kind[]): Done[] {
    return this.#done.filter(({ kind }) => kinds.includes(kind))
  }

  #ok (...kinds: readonly Kind[]): Done[] {
    return this.#of(...kinds).filter(({ reply }) => reply.status === 200)
  }

  get #renewed (): string[] {
    return this.#of('renew').flatMap(({ reply }) => reply.cookie ?? [])
  }

  get #successors (): Done[] {
    return this.#of('become').filter(({ reply }) => reply.cookie !== undefined)
  }

  /** Nothing that was asked of a session that had ended is done, but for a login. */
  async #judgeDead (): Promise<void> {
    const others = this.#done.filter(({ kind }) => kind !== 'login' && kind !== 'others')
    for (const { kind, reply } of others) this.#model.expect(this.#session, reply, kind, 'none')
    await this.#judgeOthers()
    await this.#judgeLogin([])
  }

  async #judge (): Promise<void> {
    if (this.#renewed.length > 1) fail(`renewals at once handed out ${this.#renewed.length} cookies`)
    if (this.#successors.length > 1) fail(`changes of principal at once handed out ${this.#successors.length} cookies`)
    const ends = this.#ok('logout', 'everywhere', 'others').length > 0 || this.#ok('revoke').some(({ reply }) => reply.body === 'true')
    const logins = this.#ok('login').length
    const mustEnd = ends || this.#successors.length > 0 || (logins > 0 && this.#renewed.length === 0)
    // A login with a cookie that a renewal has just made stale leaves the session alone.
    const isOver = mustEnd || (logins > 0 && !await this.#isAlive())
    if (isOver) this.#model.retire(this.#session, ...this.#renewed)
    else await this.#judgeAlive()
    await this.#judgeOthers()
    if (isOver) await this.#model.expectDead(this.#session.cookie, ...this.#renewed)
    const created = this.#successors.length > 0 ? [await this.#judgeSuccessor(this.#successors[0] as Done)] : []
    await this.#judgeLogin(created)
  }

  async #isAlive (): Promise<boolean> {
    const cookie = this.#renewed[0] ?? this.#session.cookie
    return (await this.#model.site.ask('GET', '/any/peek', cookie)).status === 200
  }

  async #judgeAlive (): Promise<void> {
    const session = this.#session
    const [renewed] = this.#renewed
    if (renewed === undefined) {
      const refused = this.#done.find(({ kind, reply }) => kind !== 'forge' && kind !== 'others' && reply.status !== 200)
      if (refused !== undefined) fail(`${refused.kind} got ${refused.reply.status} although nothing ended the session: ${this.#done.map((d) => `${d.kind} ${d.reply.status} ${d.principal}`).join(', ')} at ${session.principal}`)
      if (this.#of('renew', 'become').length > 0) fail('a renewal or a change of principal handed out no cookie')
    } else {
      if (!renewed.startsWith(`__Host-session=${session.id}.`)) fail('a renewal changed the id')
      this.#model.retireCookies(session.cookie)
      session.cookie = renewed
    }
    if (this.#ok('revoke', 'become').length > 0) fail('a session that nothing had ended could not be ended')
    if (this.#discarded > 0) fail(`${this.#discarded} changes were discarded although nothing ended the session`)
    this.#apply(session)
    this.#count(session)
    await this.#model.look(session)
  }

  /** Counts the activity. */
  #count (session: Expected): void {
    const jobs = this.#ok('add').filter(({ url }) => url.startsWith('/job/')).length
    if (jobs > 0) this.#model.count(session, 'job')
    const wrote = this.#ok('write', 'add', 'renew').length > jobs
    this.#model.count(session, wrote ? 'write' : this.#ok('login').length > 0 ? 'touch' : 'none')
  }

  /** Applies what was acknowledged. */
  #apply ({ values }: Pick<Expected, 'values'>): void {
    for (const { key, value } of this.#ok('write')) values.set(key as string, value as number)
    const added = this.#ok('add').length
    if (added > 0) values.set('sum', (values.get('sum') ?? 0) + added)
  }

  /** The session of another principal has what was acknowledged before, less what was reported as discarded. */
  async #judgeSuccessor ({ principal, reply }: Done): Promise<Expected> {
    const old = this.#session
    const { created, idle, deadline } = old
    const values = new Map(old.values)
    this.#apply({ values })
    const cookie = reply.cookie as string
    const { body } = await this.#model.site.ask('GET', '/any/peek', cookie)
    const lost = this.#ok('write').filter(({ key, value }) => body.data?.[key as string] !== value)
    if (lost.length > this.#discarded) fail(`${lost.length} writes beside a change of principal are lost, and ${this.#discarded} were reported`)
    for (const { key } of lost) {
      const before = old.values.get(key as string)
      if (before === undefined) values.delete(key as string)
      else values.set(key as string, before)
    }
    const rivals = this.#ok('login').filter((login) => login.principal === principal).length
    const now = this.#model.site.now()
    const session = this.#model.begin({ principal, cookie, values, created, idle, deadline, expiresAt: Math.min(now + idle, deadline) }, rivals)
    if (rivals === 0) await this.#model.limit(principal, this.#becoming(principal) > 1)
    await this.#model.look(session)
    return session
  }

  /** How many requests changed the principal to this one. Each creates a record, which counts until it is clear which one stays. */
  #becoming (principal: string | undefined): number {
    return this.#of('become').filter((each) => each.principal === principal).length
  }

  /** What was ended beside the session: the others of its principal. */
  async #judgeOthers (): Promise<void> {
    const { principal } = this.#session
    if (this.#ok('everywhere').length > 0) this.#model.retireAll(principal)
    const sibling = this.#sibling as Expected
    const [others] = this.#of('others')
    if (others === undefined) return
    if (others.reply.status === 200) {
      this.#model.count(sibling, 'touch')
      this.#model.retireAll(principal, sibling)
    } else if (!this.#ok('login').some((login) => login.principal === principal)) fail('a sibling could not sign out the others')
  }

  async #judgeLogin (created: readonly Expected[]): Promise<void> {
    const [login] = this.#of('login')
    if (login === undefined) return
    const { principal, reply } = login
    if (reply.cookie === undefined) fail(`a login got ${reply.status}`)
    const isSame = principal === this.#session.principal
    if (isSame && this.#ok('others', 'everywhere').length > 0 && (await this.#model.site.ask('GET', '/own/peek', reply.cookie)).status === 401) {
      this.#model.retireCookies(reply.cookie as string)
    } else this.#model.begin({ principal, cookie: reply.cookie as string }, created.filter((each) => each.principal === principal).length)
    await this.#model.limit(principal, this.#becoming(principal) > 0 || (isSame && this.#of(...ENDS, 'renew', 'become').length > 0))
  }
}
