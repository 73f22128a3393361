import { type Data, copyJson, own, put, sameJson } from './json.js'

/** Merges two changes of one object. Returns `theirs` with those top-level keys of `mine` that differ from `base`. */
export function merge (base: Data, mine: Data, theirs: Data): Data {
  const merged = { ...theirs }
  for (const key of new Set([...Object.keys(base), ...Object.keys(mine)])) {
    if (sameJson(own(mine, key), own(base, key))) continue
    if (Object.hasOwn(mine, key)) put(merged, key, mine[key])
    else delete merged[key]
  }
  return merged
}

/** Makes `target` equal to `source`, in keys and order. Keeps the objects of values that are equal, and copies the others. */
export function refill (target: Data, source: Data): void {
  const before = { ...target }
  for (const key of Object.keys(target)) delete target[key]
  for (const key of Object.keys(source)) {
    const old = own(before, key)
    put(target, key, sameJson(old, source[key]) ? old : copyJson(source[key]))
  }
}
