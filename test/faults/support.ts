import type { FastifyInstance } from 'fastify'
import type { SessionOptions, SessionStore } from 'fastify-openapi-session'
import { Client } from 'fastify-openapi-session/testing'
import { Type } from '@sinclair/typebox'
import { guarded, makeApp, optional, plugin, sessionOf } from '../support/harness.js'
import type { Scope } from '../support/servers-process.js'

/** The long form, by `LONG=1` or `FAULTS=long`, is what the documentation tells figures of; the short one is for every change. */
export const isLong = process.env['LONG'] === '1' || process.env['FAULTS'] === 'long'

/** What a user asks: an app in this process, or one that is reached in some other way. */
export type App = Pick<FastifyInstance, 'inject'>

/** Sign in, count, look, sign out: what a user does who will notice when something is lost. */
export async function createApp (t: Scope, store: SessionStore, options: Pick<SessionOptions<string, any>, 'storeTimeout'> = {}): Promise<FastifyInstance> {
  const { app } = makeApp(t, { level: 'silent' })
  await app.register(plugin, { schema: Type.Object({ user: Type.String(), count: Type.Integer() }), store, principal: (data) => data.user, ...options })
  app.post('/login', { schema: optional }, async (request) => {
    sessionOf(request).start({ user: (request.body as { user: string }).user, count: 0 })
    return { count: 0 }
  })
  app.post('/count', { schema: guarded }, async (request) => ({ count: ++sessionOf(request).data.count }))
  app.get('/count', { schema: guarded }, async (request) => ({ count: sessionOf(request).data.count }))
  app.post('/logout', { schema: guarded }, async (request) => {
    sessionOf(request).destroy()
    return {}
  })
  return app
}

/** What a user saw that must not happen; all zeros is the goal. */
export class Findings {
  answered = 0
  unavailable = 0
  lostWrites = 0
  inventedWrites = 0
  undoneLogouts = 0
  lostSessions = 0
  cookiesInOutage = 0
  others: string[] = []

  get faults (): object {
    const { lostWrites, inventedWrites, undoneLogouts, lostSessions, cookiesInOutage, others } = this
    return { lostWrites, inventedWrites, undoneLogouts, lostSessions, cookiesInOutage, others }
  }

  static readonly none = { lostWrites: 0, inventedWrites: 0, undoneLogouts: 0, lostSessions: 0, cookiesInOutage: 0, others: [] }
}

type Answer = Awaited<ReturnType<Client['get']>>

/** Somebody who uses the app, one request at a time, and keeps account of what it has acknowledged. */
export class User {
  readonly #client: Client
  readonly #name: string
  readonly #findings: Findings
  /** Cookies of sessions whose end was acknowledged. */
  readonly #dead: string[] = []
  #signedIn = false
  #acknowledged = 0
  /**
   * Saves of this session that were not acknowledged and have not been seen. Each may be made yet: a statement that was given
   * up may still wait in the server, whatever later requests read.
   */
  #unknown = 0
  /** A logout was not acknowledged: the session may have ended or not. */
  #maybeEnded = false

  constructor (app: App, name: string, findings: Findings) {
    this.#client = new Client(app)
    this.#name = name
    this.#findings = findings
  }

  /** One request, by chance (from 0 to 1). */
  async act (chance: number): Promise<void> {
    if (!this.#signedIn) await this.#login()
    else if (chance < 0.45) await this.#save()
    else if (chance < 0.85) await this.#look()
    else if (chance < 0.95) await this.#logout()
    else await this.#replay()
  }

  async #login (): Promise<void> {
    const answer = this.#seen(await this.#client.post('/login', { user: this.#name }))
    if (answer?.statusCode !== 200) return
    this.#signedIn = true
    this.#acknowledged = this.#unknown = 0
    this.#maybeEnded = false
  }

  async #save (): Promise<void> {
    const answer = this.#seen(await this.#client.post('/count'))
    if (answer === undefined) this.#unknown++
    else this.#check(answer, 1)
  }

  async #look (): Promise<void> {
    const answer = this.#seen(await this.#client.get('/count'))
    if (answer !== undefined) this.#check(answer, 0)
  }

  async #logout (): Promise<void> {
    const cookie = this.#client.jar.header('/') ?? ''
    const answer = this.#seen(await this.#client.post('/logout'))
    if (answer === undefined) {
      this.#maybeEnded = true
      return
    }
    this.#dead.push(cookie)
    this.#signedIn = false
    if (answer.statusCode !== 200 && !this.#maybeEnded) this.#findings.lostSessions++
  }

  /** A thief tries a cookie that was signed out. */
  async #replay (): Promise<void> {
    const cookie = this.#dead.at(-1)
    if (cookie === undefined) return
    const answer = this.#seen(await this.#client.get('/count', { cookie }))
    if (answer?.statusCode === 200) this.#findings.undoneLogouts++
  }

  #check (answer: Answer, added: number): void {
    if (answer.statusCode !== 200) {
      this.#signedIn = false
      if (!this.#maybeEnded) this.#findings.lostSessions++
      return
    }
    const { count } = answer.json<{ count: number }>()
    const before = count - added
    if (before < this.#acknowledged) this.#findings.lostWrites++
    if (before > this.#acknowledged + this.#unknown) this.#findings.inventedWrites++
    this.#unknown -= Math.max(0, before - this.#acknowledged)
    this.#acknowledged = count
  }

  /** `undefined` when the app was not available: nothing is acknowledged then. */
  #seen (answer: Answer): Answer | undefined {
    this.#findings.answered++
    if (answer.statusCode !== 503) {
      if (![200, 401].includes(answer.statusCode)) this.#findings.others.push(`${answer.statusCode} ${answer.body}`)
      return answer
    }
    this.#findings.unavailable++
    if (answer.headers['set-cookie'] !== undefined) this.#findings.cookiesInOutage++
    if (answer.headers['retry-after'] === undefined) this.#findings.others.push('503 without Retry-After')
    return undefined
  }
}
