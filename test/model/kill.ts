import { type Expected, fail, type Model } from './model.js'

/** How many requests are acknowledged before the kill. */
const BEFORE = 12

/**
 * Users go on while what keeps the sessions is killed. Whatever was acknowledged holds afterwards. What was not may have
 * been done or not, and may even be done later: only a version that was written after it rules that out.
 */
export class Kill {
  readonly #model: Model
  readonly #writers: readonly Expected[]
  #ghosts = 0
  #acknowledged = 0
  #killed = false

  constructor (model: Model) {
    this.#model = model
    this.#writers = model.sessions.filter((session) => model.isAlive(session)).slice(0, 4)
  }

  async run (): Promise<void> {
    const { site } = this.#model
    const renewer = await this.#login()
    const work = [this.#renew(renewer), this.#leave(), ...this.#writers.map(async (session) => await this.#write(session))]
    const killed = this.#kill()
    const [settle, ...others] = await Promise.all(work)
    await killed
    await site.restart()
    for (const check of [settle, ...others]) await check?.()
  }

  async #kill (): Promise<void> {
    while (this.#acknowledged < BEFORE) await new Promise((resolve) => { setImmediate(resolve) })
    await this.#model.site.kill?.()
    this.#killed = true
  }

  /** Asks again and again until a request is not acknowledged. */
  async #untilKilled (act: () => Promise<{ status: number, cookie: string | undefined, body: any }>): Promise<void> {
    for (;;) {
      const { status, cookie, body } = await act()
      if (status === 503) {
        if (cookie !== undefined) fail('a request that was not carried out handed out a cookie')
        // Not all that fails comes from the kill: a store may refuse what is too much at once.
        if (this.#killed) return
      } else if (status === 200) this.#acknowledged++
      else fail(`during a kill: ${status} ${JSON.stringify(body)}`)
    }
  }

  /** A session of a principal that nothing else looks at: what becomes of it is not known in the end. */
  async #login (): Promise<string> {
    const { cookie, status } = await this.#model.site.ask('POST', `/login/ghost-${this.#ghosts++}`)
    return cookie ?? fail(`a login got ${status}`)
  }

  async #write (session: Expected): Promise<() => Promise<void>> {
    const { site } = this.#model
    const key = 'killed'
    const possible = new Set<number | undefined>([session.values.get(key)])
    let added = 0
    let unknown = 0
    await this.#untilKilled(async () => {
      if (this.#model.random(2) === 0) {
        const reply = await site.ask('POST', this.#model.path(session, '/add'), session.cookie)
        if (reply.status === 200) added++
        else unknown++
        return reply
      }
      const value = this.#model.value()
      const reply = await site.ask('POST', this.#model.path(session, `/set/${key}/${value}`), session.cookie)
      if (reply.status === 200) possible.clear()
      possible.add(value)
      return reply
    })
    return async () => {
      // After this write, none that was not acknowledged can still be made: its version is older.
      const value = this.#model.value()
      this.#model.expect(session, await site.ask('POST', this.#model.path(session, `/set/k0/${value}`), session.cookie), 'a write after a kill', 'write')
      session.values.set('k0', value)
      const { body: { data } } = await site.ask('GET', this.#model.path(session, '/peek'), session.cookie)
      if (!possible.has(data[key])) fail(`${data[key]} is stored after a kill, and ${[...possible].join(' or ')} may be`)
      if (data[key] !== undefined) session.values.set(key, data[key])
      const sum = (session.values.get('sum') ?? 0) + added
      if ((data.sum ?? 0) < sum || (data.sum ?? 0) > sum + unknown) fail(`${data.sum} updates are stored after a kill, and ${sum} to ${sum + unknown} may be`)
      if (data.sum !== undefined) session.values.set('sum', data.sum)
      await this.#model.look(session)
    }
  }

  async #renew (first: string): Promise<() => Promise<void>> {
    const { site } = this.#model
    let cookie = first
    let unknown = 0
    await this.#untilKilled(async () => {
      const reply = await site.ask('POST', '/own/renew', cookie)
      // A renewal that was not acknowledged may have been made: the browser has to sign in again.
      if (reply.status === 503) unknown++
      if (unknown > 0 && reply.status === 401) {
        this.#model.retireCookies(cookie)
        cookie = await this.#loginAgain() ?? cookie
        unknown = 0
        return { ...reply, status: 200 }
      }
      if (reply.status === 200) {
        this.#model.retireCookies(cookie)
        cookie = reply.cookie ?? fail('a renewal handed out no cookie')
        unknown = 0
      }
      return reply
    })
    return async () => {
      const { status } = await site.ask('POST', '/own/add', cookie)
      if (status === 401 && unknown > 0) this.#model.retireCookies(cookie)
      else if (status !== 200) fail(`a session that was renewed got ${status} after a kill`)
    }
  }

  async #loginAgain (): Promise<string | undefined> {
    return (await this.#model.site.ask('POST', `/login/ghost-${this.#ghosts++}`)).cookie
  }

  /** Signs in and out: what was signed out stays so. */
  async #leave (): Promise<undefined> {
    const { site } = this.#model
    let cookie: string | undefined
    let unknown = false
    await this.#untilKilled(async () => {
      if (cookie === undefined) {
        const reply = await site.ask('POST', `/login/ghost-${this.#ghosts++}`)
        cookie = reply.cookie
        unknown = false
        return reply
      }
      const reply = await site.ask('POST', '/own/logout', cookie)
      if (reply.status === 503) unknown = true
      else if (reply.status === 200 || unknown) {
        this.#model.retireCookies(cookie)
        cookie = undefined
        return { ...reply, status: 200 }
      }
      return reply
    })
    return undefined
  }
}
