import type { FastifyRequest } from 'fastify'
import { notDeclared } from '../errors.js'
import type { Data } from '../session/json.js'
import type { Session } from '../session/session.js'
import { CompatibilityMembers } from './compatibility.js'

/** The routes, by their `config`, on which an undeclared session was read. */
const noted = new WeakSet<object>()

/**
 * The value of `request.session` if the route does not declare the session, or before it is loaded. Hooks, serializers and error
 * handlers of the whole app may read `exists`, `get` and `user`. Everything else throws `FST_SESSION_NOT_DECLARED`.
 */
export class InertSession extends CompatibilityMembers implements Session<Data> {
  readonly #request: FastifyRequest
  readonly #scheme: string

  constructor (request: FastifyRequest, scheme: string) {
    super()
    this.#request = request
    this.#scheme = scheme
  }

  get exists (): boolean { return false }
  get user (): undefined { return this.#note('user') }
  set user (_value: unknown) { this.#refuse() }
  get (key: string): undefined { return this.#note(key) }
  get id (): string { return this.#refuse() }
  get data (): Data { return this.#refuse() }
  get createdAt (): number { return this.#refuse() }
  get authenticatedAt (): number { return this.#refuse() }
  get expiresAt (): number { return this.#refuse() }
  set (): void { this.#refuse() }
  unset (): void { this.#refuse() }
  start (): void { this.#refuse() }
  renew (): void { this.#refuse() }
  destroy (): void { this.#refuse() }
  async regenerate (): Promise<void> { this.#refuse() }
  async update (): Promise<Data> { return this.#refuse() }
  async commit (): Promise<string | undefined> { return this.#refuse() }

  #refuse (): never {
    const { method, routeOptions: { url } } = this.#request
    throw notDeclared(method, url, this.#scheme)
  }

  /** Logs, once per route, that a key was read and is undefined, because the code may expect a session. */
  #note (key: string): undefined {
    const { log, method, routeOptions: { url, config } } = this.#request
    if (noted.has(config)) return undefined
    noted.add(config)
    const { message } = notDeclared(method, url, this.#scheme)
    log.debug({ session: { scheme: this.#scheme } }, `request.${this.#scheme}.${key} was read and is undefined. ${message}`)
  }
}
