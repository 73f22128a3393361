import { copyJson, type Data, own, put, sameJson, toJson } from './json.js'

/** After this many changes, all keys are compared and copied, and not only those that were set. */
const MOST_CHANGED = 32

/** A copy of data to change. Objects are copied only when `data` is read, so setting a key of large data copies nothing else. */
export class Draft {
  /** The entries. Objects in them must not be changed. */
  readonly entries: Data
  /** The original, as long as the draft may share objects with it. */
  #original: Data | undefined
  /** The data from which the entries differ only in the keys of `#changed`, if they are known. */
  #near: Data | undefined
  readonly #changed: string[] = []

  constructor (original: Data) {
    this.entries = { ...original }
    this.#original = this.#near = original
  }

  /** Sets a key, or removes it. */
  set (key: string, value: unknown): void {
    if (value === undefined) delete this.entries[key]
    else put(this.entries, key, value)
    if (this.#changed.length < MOST_CHANGED) this.#changed.push(key)
    else this.#near = undefined
  }

  /** The data, which share no object with the original. */
  get data (): Data {
    const { entries } = this
    const original = this.#original
    if (original === undefined) return entries
    for (const key of Object.keys(entries)) if (entries[key] === own(original, key)) put(entries, key, copyJson(entries[key]))
    this.#original = this.#near = undefined
    return entries
  }

  /** Returns whether the draft differs from data. @throws what a getter in the entries throws */
  differsFrom (data: Data | undefined): boolean {
    const { entries } = this
    if (data === undefined || data !== this.#near) return !sameJson(entries, data)
    return this.#changed.some((key) => !sameJson(own(entries, key), own(data, key)))
  }

  /** Returns a copy, as JSON would write it, which shares the objects that nobody can change. @throws `FST_SESSION_INVALID_DATA` */
  toJson (): unknown {
    const { entries } = this
    if (this.#near === undefined) return toJson(entries)
    const copy = { ...this.#near }
    for (const key of this.#changed) {
      if (Object.hasOwn(entries, key)) put(copy, key, toJson(entries[key], [key]))
      else delete copy[key]
    }
    return copy
  }

  /** Takes over what was saved: the JSON of this draft, or a merge of it with the changes of `base` that others saved. */
  accept (saved: Data, isOwn: boolean, base: Data): void {
    if (!isOwn) refill(this.entries, merge(base, this.entries, saved))
    this.#near = isOwn && this.#near !== undefined ? saved : undefined
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
