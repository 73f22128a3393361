import { invalidData } from '../errors.js'
import { copyText } from '../text.js'

/** The data of a session: an object of JSON values. */
export type Data = Record<string, unknown>

/** How deep session data may be nested. Deeper data are slow to process, and overflow the stack of recursive code. */
const MAX_DEPTH = 32

/** Returns an object's own value of a key. `constructor` and `__proto__` are keys like any other. */
export function own (data: Data, key: string): unknown { return Object.hasOwn(data, key) ? data[key] : undefined }

/** Sets a key as plain data, `__proto__` included. */
export function put (data: Data, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(data, key, { value, enumerable: true, configurable: true, writable: true })
  else data[key] = value
}

/** Returns whether a value is an object that is neither `null` nor an array. */
export function isObject (value: unknown): value is Data { return typeof value === 'object' && value !== null && !Array.isArray(value) }

/** Copies a JSON value at every depth. */
export function copyJson<T> (value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyJson) as T
  const copy: Data = {}
  for (const key of Object.keys(value)) put(copy, key, copyJson((value as Data)[key]))
  return copy as T
}

/** Freezes a JSON value at every depth, and returns it. Skips frozen values: this function froze them, at every depth. */
export function freezeJson<T> (value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Array.isArray(value) ? value : Object.values(value)) freezeJson(part)
  return Object.freeze(value)
}

/** Returns whether `value` and `json` are the same JSON, in any order of keys. */
export function sameJson (value: unknown, json: unknown): boolean {
  if (value === json) return true
  if (typeof value !== 'object' || typeof json !== 'object' || value === null || json === null) return false
  if (Array.isArray(value)) {
    // every() skips holes, which only `value` may have, so it is called on `json`.
    return Array.isArray(json) && json.length === value.length && json.every((item, index) => sameJson(value[index], item))
  }
  return !Array.isArray(json) && isPlain(value) && sameEntries(value as Data, json as Data)
}

function sameEntries (value: Data, json: Data): boolean {
  const names = Object.keys(json)
  for (const key of names) if (!sameJson(own(value, key), json[key])) return false
  const others = Object.keys(value)
  // JSON omits keys whose value is `undefined`, so such a key is not a difference.
  return others.length === names.length || others.every((key) => Object.hasOwn(json, key) || value[key] === undefined)
}

/**
 * Copies any value as JSON would write it. Does not copy objects of `original`, which is such a copy already.
 * @throws `FST_SESSION_INVALID_DATA` naming the first value that JSON would change, such as a Date, NaN or a cycle
 */
export function toJson (value: unknown, original?: Data): unknown { return written(value, [], original) }

/** @param path - the keys that lead to the value */
function written (value: unknown, path: Array<string | number>, original?: Data): unknown {
  if (typeof value === 'string') return copyText(value)
  if (value === null || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value
  if (typeof value === 'number') return refuse(path, `is ${value}; use null`)
  if (typeof value !== 'object') return refuse(path, `is of type ${typeof value}`)
  if (path.length === MAX_DEPTH) return refuse(path, `is nested more than ${MAX_DEPTH} levels deep, or contains itself`)
  if (Array.isArray(value)) {
    const items: unknown[] = []
    // map() would skip holes.
    for (let index = 0; index < value.length; index++) items.push(part(value[index], index, path))
    return items
  }
  if (!isPlain(value)) return refuse(path, `is an instance of ${value.constructor?.name || 'a class'}; use ${value instanceof Date ? 'date.toISOString()' : 'a plain object or an array'}`)
  const copy: Data = {}
  for (const key of Object.keys(value)) {
    const item = (value as Data)[key]
    if (item !== undefined) put(copy, key, original !== undefined && item === own(original, key) ? item : part(item, key, path))
  }
  return copy
}

function part (value: unknown, key: string | number, path: Array<string | number>): unknown {
  path.push(key)
  const copy = written(value, path)
  path.pop()
  return copy
}

/** Returns whether an object was written as `{ ... }`, also in another realm (Jest, `node:vm`), or was parsed by Fastify. */
export function isPlain (value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function refuse (path: ReadonlyArray<string | number>, problem: string): never {
  const place = path.map((key) => typeof key === 'number' ? `[${key}]` : `.${key}`).join('')
  throw invalidData(`A session holds JSON only: data${place} ${problem}. Nothing was saved.`)
}
