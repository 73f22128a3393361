import type { Codec, Decoded } from '../session/codec.js'

/** UTF-16 code units of payloads that each of the two generations holds. */
const GENERATION = 1_048_576

interface Entry {
  readonly payload: string
  readonly decoded: Decoded
}

/**
 * The contents of the payloads seen last, so that the same text is not parsed and checked twice: a page that is opened asks
 * for its parts, too. It is not a cache of sessions: only the store decides whether a session is live and what its payload
 * is. The contents are never changed.
 */
export class RecentPayloads {
  #newer = new Map<string, Entry>()
  #older = new Map<string, Entry>()
  #size = 0
  readonly #codec: Codec

  constructor (codec: Codec) {
    this.#codec = codec
  }

  /** Decodes a payload, or returns its content if it was seen. */
  decode (id: string, payload: string): ReturnType<Codec['decode']> {
    const seen = this.#get(id, payload)
    if (seen !== undefined) return seen
    const decoded = this.#codec.decode(payload)
    if (!('reason' in decoded)) this.put(id, payload, decoded)
    return decoded
  }

  #get (id: string, payload: string): Decoded | undefined {
    const newer = this.#newer.get(id)
    if (newer !== undefined) return newer.payload === payload ? newer.decoded : undefined
    const older = this.#older.get(id)
    if (older === undefined || older.payload !== payload) return undefined
    this.put(id, payload, older.decoded)
    return older.decoded
  }

  put (id: string, payload: string, decoded: Decoded): void {
    this.#newer.set(id, { payload, decoded })
    this.#size += payload.length
    if (this.#size < GENERATION) return
    this.#older = this.#newer
    this.#newer = new Map()
    this.#size = 0
  }
}
