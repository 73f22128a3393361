import { invalidOptions, must } from '../errors.js'
import type { Data } from '../session/json.js'
import type { Session, StartOptions } from '../session/session.js'
import { CompatibilityMembers } from './compatibility.js'
import type { SessionHandle } from './handle.js'

type Callback = (error?: unknown) => unknown

/**
 * The value of `request.session`. It has the members of `Session` and no others, so that every other property can be a key
 * of the data.
 */
export class PublicSession extends CompatibilityMembers implements Session<Data> {
  readonly #handle: SessionHandle

  constructor (handle: SessionHandle) {
    super()
    this.#handle = handle
  }

  get exists (): boolean { return this.#handle.exists }
  get id (): string { return this.#handle.id }
  get data (): Data { return this.#handle.data }
  // Without this, JavaScript outside of strict mode would ignore the assignment.
  set data (_value: Data) { throw invalidOptions('session.data cannot be replaced: write Object.assign(session.data, { ... }), or session.start({ ... }) to begin another session.') }
  get createdAt (): number { return this.#handle.createdAt }
  get authenticatedAt (): number { return this.#handle.authenticatedAt }
  get expiresAt (): number { return this.#handle.expiresAt }
  get user (): unknown { return this.#handle.scheme.settings.user === undefined ? this.#handle.get('user') as unknown : this.#handle.user }
  set user (value: unknown) {
    must(this.#handle.scheme.settings.user === undefined, 'session.user is the result of the option user, which loads it for each request: write session.start({ userId }), or session.set("user", ...) for the key "user" of the data')
    this.set('user', value)
  }

  get (key: string): any { return this.#handle.get(key) }
  set (key: string, value: unknown): void { this.#handle.set(key, value) }
  unset (key: string): void { this.#handle.unset(key) }
  start (data: Data, options?: StartOptions): void { this.#handle.start(data, options) }
  renew (): void { this.#handle.renew() }
  async update (fn: (data: Data) => Data | void | Promise<Data | void>): Promise<Data> { return await this.#handle.update(fn) }
  async commit (): Promise<string | undefined> { return await this.#handle.commit() }

  /** Calls the callback, as in other session plugins, after the session has ended in its store. */
  destroy (callback?: Callback): void {
    this.#handle.destroy()
    if (typeof callback === 'function') this.#callBack(callback)
  }

  /** Takes both parameters as optional, as in @fastify/session. */
  async regenerate (keep: readonly string[] | Callback = [], callback?: Callback): Promise<void> {
    if (typeof keep === 'function') return await this.regenerate([], keep)
    this.#handle.regenerate(keep)
    if (typeof callback === 'function') this.#callBack(callback)
  }

  /** Saves, and calls a callback with the error, if any. Logs what the callback throws, since no caller can catch it. */
  #callBack (callback: Callback): void {
    const { log } = this.#handle.request
    this.commit().then(() => callback(), callback).catch((error: unknown) => { log.error(error, 'the callback of a session method failed') })
  }
}
