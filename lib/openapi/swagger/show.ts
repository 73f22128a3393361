import type { RouteOptions } from 'fastify'

type Shown = { readonly schema?: object, readonly config?: object }

/** The copies that replace the `schema` and `config` of route objects at the moment. */
const shown = new WeakMap<RouteOptions, Shown | undefined>()

/**
 * Makes it possible to replace `schema` and `config` of a route object temporarily by copies, even if the object is frozen later.
 * No request reads this object, because Fastify copies what it needs when the route is declared. While a copy is shown,
 * assignments are ignored.
 */
export function makeShowable (route: RouteOptions): void {
  if (shown.has(route)) return
  shown.set(route, undefined)
  for (const key of ['schema', 'config'] as const) {
    let own: unknown = route[key]
    const get = (): unknown => shown.get(route)?.[key] ?? own
    const set = (value: unknown): void => { if (shown.get(route) === undefined) own = value }
    Object.defineProperty(route, key, { get, set, enumerable: true, configurable: true })
  }
}

/** Runs a function while route objects show copies. */
export function showing<T> (copies: ReadonlyMap<RouteOptions, Shown>, run: () => T): T {
  const before = [...copies.keys()].map((route) => [route, shown.get(route)] as const)
  for (const [route, copy] of copies) shown.set(route, { ...shown.get(route), ...copy })
  try {
    return run()
  } finally {
    for (const [route, copy] of before) shown.set(route, copy)
  }
}
