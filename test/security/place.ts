import type { SessionStore } from 'fastify-openapi-session'
import type { SealedCookie } from 'fastify-openapi-session/sealed'
import type { Test } from 'tap'

/** Where the sessions of one app of a test live. */
export interface Place {
  readonly store: SessionStore | SealedCookie
  /** Everything that is or was kept, as text: keys, values, index. */
  readonly atRest: () => Promise<string>
  /** How many records are kept now. */
  readonly count: () => Promise<number>
  /**
   * Resolves what is still there once the store has freed what has expired by its own clock, after five seconds in real time too:
   * records, and whatever else it keeps about them.
   */
  readonly leftovers: () => Promise<unknown[]>
  /** The store of another process on the same place, where several may be. */
  readonly another?: (now: () => number) => SessionStore
}

export interface Backend {
  readonly name: string
  readonly sealed: boolean
  /** Several processes may use it, each with its own clock: its places have `another`. */
  readonly shared: boolean
  /** How much of the short form of a repeated test it gets, from 0 to 1: a server's calls take their time. */
  readonly share: number
  readonly make: (t: Test, now: () => number) => Promise<Place>
}

/** Returns a backend of this one store. It shows what it keeps only by `shown`. */
export function only (store: Place['store'], shown: Partial<Place> = {}): Pick<Backend, 'make'> {
  return { make: async () => ({ store, atRest: async () => '', count: async () => 0, leftovers: async () => [], ...shown }) }
}

const METHODS = ['create', 'read', 'touch', 'update', 'delete', 'list', 'deleteAll'] as const

/** Writes down whatever a store is given. */
export function recorded<S extends SessionStore> (store: S, given: string[]): S {
  return new Proxy(store, {
    get (target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        if ((METHODS as readonly unknown[]).includes(name)) given.push(`${String(name)} ${JSON.stringify(args)}`)
        return Reflect.apply(value, target, args)
      }
    }
  })
}
