import { invalidOptions } from '../errors.js'

/** Methods of other session plugins that this plugin lacks, and what to use instead. */
const ELSEWHERE = {
  save: 'a session is saved automatically before the response is sent; await session.commit() saves now',
  touch: 'each request restarts the idle timeout automatically; config: { session: { touch: false } } turns that off for a route',
  reload: 'a session is loaded for each request; await session.update((data) => { ... }) works on the stored data'
} as const

const COOKIE = 'the cookie of a session has the attributes of the option cookie; session.start(data, { persistent, absoluteTimeout }) sets how long it lives'

/** The value of `session.cookie`. Every property is undefined, and changes are refused. */
const cookie = new Proxy({}, {
  get: () => undefined,
  set: (_target, name) => { throw unsupported(`session.cookie.${String(name)}`, COOKIE) }
})

/**
 * Session members for code that was written for other session plugins. A property that is not a member is a key of the data. A
 * method that this plugin lacks throws an error that says what to use instead.
 */
export abstract class CompatibilityMembers {
  abstract readonly id: string
  abstract get (key: string): unknown
  abstract set (key: string, value: unknown): void

  /** As in @fastify/session. */
  get sessionId (): string { return this.id }
  set sessionId (_value: string) { throw unsupported('session.sessionId', 'session.renew() gives the session another secret') }
  get cookie (): object { return cookie }
  set cookie (_value: object) { throw unsupported('session.cookie', COOKIE) }
  save (): never { throw unsupported('session.save()', ELSEWHERE.save) }
  touch (): never { throw unsupported('session.touch()', ELSEWHERE.touch) }
  reload (): never { throw unsupported('session.reload()', ELSEWHERE.reload) }

  /** Refuses the cookie attributes of @fastify/secure-session. Ignores `userInfo`, which @fastify/csrf-protection passes. */
  options ({ userInfo: _userInfo, ...attributes }: Record<string, unknown> = {}): void {
    if (Object.keys(attributes).length > 0) throw unsupported('session.options()', COOKIE)
  }
}

// The proxy is at the end of the prototype chain, so that access to members does not use it.
Object.setPrototypeOf(CompatibilityMembers.prototype, new Proxy(Object.prototype, {
  get: (target, key, session) => isKey(key) ? (session as CompatibilityMembers).get(key) : Reflect.get(target, key, session) as unknown,
  set (_target, key, value, session) {
    if (!isKey(key)) return Reflect.defineProperty(session as object, key, { value, writable: true, configurable: true })
    ;(session as CompatibilityMembers).set(key, value)
    return true
  }
}))

function isKey (key: string | symbol): key is string {
  return typeof key === 'string' && !(key in Object.prototype)
}

function unsupported (what: string, instead: string): Error {
  return invalidOptions(`${what} is not supported: ${instead}.`)
}
