import type { Codec, Decoded, Undecodable } from './codec.js'
import { copyText } from '../text.js'

/** The size of each generation of payloads, in UTF-16 code units of text. */
const GENERATION = 1_048_576

/** A cache of recent values in two generations. When the newer generation is full, it replaces the older one. */
export class Recent<T> {
  #newer = new Map<string, T>()
  #older = new Map<string, T>()
  #size = 0
  readonly #generation: number
  readonly #sizeOf: (value: T) => number

  /**
   * @param generation - the size of each generation
   * @param sizeOf - how much of a generation a value takes, such as the length of the text that it was made of
   */
  constructor (generation: number, sizeOf: (value: T) => number) {
    this.#generation = generation
    this.#sizeOf = sizeOf
  }

  get (key: string): T | undefined { return this.#newer.get(key) ?? this.#older.get(key) }

  set (key: string, value: T): void {
    const replaced = this.#newer.get(key)
    // A map keeps the key that it has.
    this.#newer.set(replaced === undefined ? copyText(key) : key, value)
    this.#size += this.#sizeOf(value) - (replaced === undefined ? 0 : this.#sizeOf(replaced))
    if (this.#size < this.#generation) return
    this.#older = this.#newer
    this.#newer = new Map()
    this.#size = 0
  }
}

/** From this length on, a payload is assembled from the cached JSON of its values, most of which did not change. */
const LARGE = 1024

interface Entry { readonly payload: string, readonly decoded: Decoded }

/**
 * The contents of the payloads seen last, so that the same text is not parsed and checked twice. A page and its parts are
 * usually requested together. This is not a cache of sessions: every request reads the store, which alone decides whether a
 * session is live and what its payload is. The contents are never changed.
 */
export class RecentPayloads {
  readonly #entries = new Recent<Entry>(GENERATION, ({ payload }) => payload.length)
  readonly #codec: Codec
  /** The JSON of objects in large data. Nothing changes these objects, and the next version of the data shares most of them. */
  readonly #texts = new WeakMap<object, string>()

  constructor (codec: Codec) { this.#codec = codec }

  /** Decodes a payload, or returns its content if it was seen. */
  decode (id: string, payload: string): Decoded | Undecodable {
    const seen = this.#entries.get(id)
    if (seen?.payload === payload) return seen.decoded
    const decoded = this.#codec.decode(payload)
    if (!('reason' in decoded)) this.#entries.set(id, { payload, decoded })
    return decoded
  }

  /** Encodes a session that was read before and is likely to be read again. @throws `FST_SESSION_TOO_LARGE` */
  encode (id: string, { times, secretHash, data, principal }: Decoded): string {
    const decoded = { times, secretHash, data, principal }
    const isLarge = (this.#entries.get(id)?.payload.length ?? 0) >= LARGE
    const text = isLarge ? `{${Object.keys(data).map((key) => `${JSON.stringify(key)}:${this.#textOf(data[key])}`).join()}}` : undefined
    const payload = this.#codec.encode(decoded, text)
    this.#entries.set(id, { payload, decoded })
    return payload
  }

  #textOf (value: unknown): string {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    let text = this.#texts.get(value)
    if (text === undefined) this.#texts.set(value, text = JSON.stringify(value))
    return text
  }
}
