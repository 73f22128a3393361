import type { RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'

/** The value that a property of a route object shows at the moment, by its getter. */
const cells = new WeakMap<() => unknown, { value: unknown }>()

/**
 * Lets route objects show copies of their `schema` or `config` while `run` runs. No request reads these objects: Fastify copies
 * what it needs when a route is declared.
 * @throws `FST_SESSION_OPTIONS` naming a route object that cannot show a copy
 */
export function showing<T> (key: 'schema' | 'config', copies: ReadonlyMap<RouteOptions, object>, run: () => T): T {
  const undo: Array<() => void> = []
  try {
    for (const [route, copy] of copies) undo.push(show(route, key, copy))
    return run()
  } finally {
    for (const step of undo.toReversed()) step()
  }
}

/**
 * Shows by a getter, so that a route object that is frozen in between shows its own value again all the same, and can show
 * another copy. What is assigned in between is dropped.
 */
function show (route: RouteOptions, key: 'schema' | 'config', copy: object): () => void {
  const before = Reflect.getOwnPropertyDescriptor(route, key)
  const known = before?.get && cells.get(before.get)
  const cell = known ?? { value: route[key] }
  const last = cell.value
  const get = (): unknown => cell.value
  const set = (assigned: unknown): void => { cell.value = assigned }
  cells.set(get, cell)
  if (known === undefined && !Reflect.defineProperty(route, key, { get, set, enumerable: true, configurable: true })) {
    throw invalidOptions(`the document cannot tell what ${[route.method].flat().join(', ')} ${route.url} requires, because its route ` +
      'object is frozen or sealed: leave the objects that onRoute hooks receive as they are')
  }
  cell.value = copy
  return () => {
    cell.value = last
    if (known !== undefined) return
    if (before === undefined) Reflect.deleteProperty(route, key)
    else Reflect.defineProperty(route, key, before)
  }
}
