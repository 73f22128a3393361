import { copyJson, type Data, own, put } from './json.js'

/**
 * A copy of data to change. Its objects are those of the original until `data` hands them out: whoever sets one key of large
 * data copies nothing else. The original is never changed.
 */
export class Draft {
  /** The original, as long as objects of it may be in the draft. */
  original: Data | undefined
  /** The entries. Objects in it must not be changed. */
  readonly entries: Data

  constructor (original: Data) {
    this.original = original
    this.entries = { ...original }
  }

  /** The data, with objects of their own. */
  get data (): Data {
    const { entries, original } = this
    if (original === undefined) return entries
    for (const key of Object.keys(entries)) if (entries[key] === own(original, key)) put(entries, key, copyJson(entries[key]))
    this.original = undefined
    return entries
  }
}
