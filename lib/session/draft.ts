import { copyJson, type Data, own, put } from './json.js'

/**
 * A copy of data to change. The objects in it are copied only when `data` is read, so setting one key of large data copies
 * nothing else. The original is never changed.
 */
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
