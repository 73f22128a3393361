import type { RouteOptions } from 'fastify'

/** The value that a property of a route returns at the moment, by its getter. */
const cells = new WeakMap<() => unknown, { value: unknown }>()

/**
 * Makes a property of a route object return `value`, until the returned function is called. It is a getter, so that a route
 * object that is frozen in between shows its own value again all the same; what is assigned in between is dropped. No
 * request reads these objects: Fastify copies what it needs when a route is declared.
 * @returns `undefined` if the route object was frozen or sealed before
 */
export function show<Key extends 'schema' | 'config'> (route: RouteOptions, key: Key, value: RouteOptions[Key]): (() => void) | undefined {
  const before = Reflect.getOwnPropertyDescriptor(route, key)
  const known = before?.get && cells.get(before.get)
  const cell = known ?? { value: route[key] }
  const last = cell.value
  const get = (): unknown => cell.value
  const set = (assigned: unknown): void => { cell.value = assigned }
  cells.set(get, cell)
  if (known === undefined && !Reflect.defineProperty(route, key, { get, set, enumerable: true, configurable: true })) return undefined
  cell.value = value
  return () => {
    cell.value = last
    if (known !== undefined) return
    if (before === undefined) Reflect.deleteProperty(route, key)
    else Reflect.defineProperty(route, key, before)
  }
}
