import type { FastifyRequest } from 'fastify'
import { invalidOptions, must, notDeclared } from '../errors.js'
import type { Data } from '../session/json.js'
import type { Session, StartOptions } from '../session/session.js'
import type { SessionHandle } from './handle.js'

type Callback = (error?: unknown) => unknown

const COOKIE = 'the cookie of a session has the attributes of the option cookie; session.start(data, { persistent, absoluteTimeout }) sets how long it lives'

/** The value of `session.cookie`. Every property is undefined, and changes are refused. */
const cookie = new Proxy({}, {
  get: () => undefined,
  set: (_target, name) => { throw unsupported(`session.cookie.${String(name)}`, COOKIE) }
})

/** The routes, by their `config`, on which an undeclared session was read. */
const noted = new WeakSet<object>()

/**
 * The value of `request.session`: the members of `Session`, and those for code that was written for other session plugins. Every
 * other property is a key of the data. It has no handle if the route does not declare the session, or before it is loaded. Hooks of
 * the whole app may then read `exists`, `get` and `user`. Everything else throws `FST_SESSION_NOT_DECLARED`.
 */
export class PublicSession implements Session<Data> {
  readonly #request: FastifyRequest
  readonly #scheme: string
  readonly #loaded: SessionHandle | undefined

  constructor (request: FastifyRequest, scheme: string, loaded?: SessionHandle) {
    this.#request = request
    this.#scheme = scheme
    this.#loaded = loaded
  }

  get #handle (): SessionHandle {
    if (this.#loaded === undefined) throw this.#notDeclared()
    return this.#loaded
  }

  get exists (): boolean { return this.#loaded?.exists ?? false }
  get id (): string { return this.#handle.id }
  get data (): Data { return this.#handle.data }
  // Without this, JavaScript outside of strict mode would ignore the assignment.
  set data (_value: Data) { throw invalidOptions('session.data cannot be replaced: write Object.assign(session.data, { ... }), or session.start({ ... }) to begin another session.') }
  get createdAt (): number { return this.#handle.createdAt }
  get authenticatedAt (): number { return this.#handle.authenticatedAt }
  get expiresAt (): number { return this.#handle.expiresAt }
  get user (): unknown { return this.#loaded?.scheme.settings.user === undefined ? this.get('user') as unknown : this.#loaded.user }
  set user (value: unknown) {
    must(this.#handle.scheme.settings.user === undefined, 'session.user is the result of the option user, which loads it for each request: write session.start({ userId }), or session.set("user", ...) for the key "user" of the data')
    this.set('user', value)
  }

  get (key: string): any { return this.#loaded === undefined ? this.#note(key) : this.#loaded.get(key) }
  set (key: string, value: unknown): void { this.#handle.set(key, value) }
  unset (key: string): void { this.#handle.unset(key) }
  start (data: Data, options?: StartOptions): void { this.#handle.start(data, options) }
  renew (): void { this.#handle.renew() }
  async update (fn: (data: Data) => Data | void | Promise<Data | void>): Promise<Data> { return await this.#handle.update(fn) }
  async commit (): Promise<string | undefined> { return await this.#handle.commit() }

  /** Calls the callback, as in other session plugins, after the session has ended in its store. */
  destroy (callback?: Callback): void {
    this.#handle.destroy()
    this.#callBack(callback)
  }

  /** Takes both parameters as optional, as in @fastify/session. */
  async regenerate (keep: readonly string[] | Callback = [], callback?: Callback): Promise<void> {
    this.#handle.regenerate(typeof keep === 'function' ? [] : keep)
    this.#callBack(typeof keep === 'function' ? keep : callback)
  }

  /** As in @fastify/session. */
  get sessionId (): string { return this.id }
  set sessionId (_value: string) { throw unsupported('session.sessionId', 'session.renew() gives the session another secret') }
  get cookie (): object { return cookie }
  set cookie (_value: object) { throw unsupported('session.cookie', COOKIE) }
  save (): never { throw unsupported('session.save()', 'a session is saved automatically before the response is sent; await session.commit() saves now') }
  touch (): never { throw unsupported('session.touch()', 'each request restarts the idle timeout automatically; config: { session: { touch: false } } turns that off for a route') }
  reload (): never { throw unsupported('session.reload()', 'a session is loaded for each request; await session.update((data) => { ... }) works on the stored data') }

  /** Refuses the cookie attributes of @fastify/secure-session. Ignores `userInfo`, which @fastify/csrf-protection passes. */
  options ({ userInfo: _userInfo, ...attributes }: Record<string, unknown> = {}): void {
    if (Object.keys(attributes).length > 0) throw unsupported('session.options()', COOKIE)
  }

  /** Saves, and calls a callback with the error, if any. Logs what the callback throws, since no caller can catch it. */
  #callBack (callback: Callback | undefined): void {
    if (typeof callback !== 'function') return
    const { log } = this.#request
    this.commit().then(() => callback(), callback).catch((error: unknown) => { log.error(error, 'the callback of a session method failed') })
  }

  #notDeclared (): Error { return notDeclared(this.#request.method, this.#request.routeOptions.url, this.#scheme) }

  /** Logs, once per route, that a key was read and is undefined, because the code may expect a session. */
  #note (key: string): undefined {
    const { log, routeOptions: { config } } = this.#request
    if (noted.has(config)) return undefined
    noted.add(config)
    log.debug({ session: { scheme: this.#scheme } }, `request.${this.#scheme}.${key} was read and is undefined. ${this.#notDeclared().message}`)
  }
}

// The proxy is at the end of the prototype chain, so that access to members does not use it.
Object.setPrototypeOf(PublicSession.prototype, new Proxy(Object.prototype, {
  get: (target, key, session): unknown => isKey(key) ? (session as PublicSession).get(key) : Reflect.get(target, key, session),
  set (_target, key, value, session) {
    if (!isKey(key)) return Reflect.defineProperty(session as object, key, { value, writable: true, configurable: true })
    ;(session as PublicSession).set(key, value)
    return true
  }
}))

function isKey (key: string | symbol): key is string { return typeof key === 'string' && !(key in Object.prototype) }
function unsupported (what: string, instead: string): Error { return invalidOptions(`${what} is not supported: ${instead}.`) }
