import { copyJson, type Data, own, put, sameJson } from './json.js'

/** A copy of data to change. Objects are copied only when `data` is read, so setting a key of large data copies nothing else. */
export class Draft {
  /** The original, as long as the draft may share objects with it. */
  original: Data | undefined
  /** The entries. Objects in them must not be changed. */
  readonly entries: Data

  constructor (original: Data) {
    this.original = original
    this.entries = { ...original }
  }

  /** The data, which share no object with the original. */
  get data (): Data {
    const { entries, original } = this
    if (original === undefined) return entries
    for (const key of Object.keys(entries)) if (entries[key] === own(original, key)) put(entries, key, copyJson(entries[key]))
    this.original = undefined
    return entries
  }
}

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
