import { invalidData, invalidOptions, tooLarge } from '../errors.js'
import { copyJson, type Data, freezeJson, isObject, toJson } from './json.js'
import type { DataSchema } from './schema/schema.js'
import type { Times } from './times.js'

/**
 * Data that fit their schema, with their principal. The data are a private copy, frozen before a function of the app gets them.
 */
export interface Content {
  readonly data: Data
  readonly principal: string | undefined
}

/** The checked content of a payload. */
export interface Decoded extends Content {
  readonly times: Times
  readonly secretHash: string
}

/** The reason why a payload cannot be used. `unfit` means a session of another scheme or schema. */
export type Undecodable = { readonly reason: 'damaged' } | { readonly reason: 'unfit', readonly detail: string }

export interface CodecOptions {
  /** The name of the scheme. A session is not valid in another scheme that shares the store. */
  readonly scheme: string
  readonly schema: DataSchema
  readonly migrate: ((data: unknown) => unknown) | undefined
  readonly principal: ((data: any) => string | undefined) | undefined
  readonly maxSize: number
}

/** Converts between the data of a session and the payload of its record. */
export class Codec {
  readonly #options: CodecOptions
  /** The start of every payload. */
  readonly #head: string
  /** The schema's defaults, which alone need not satisfy the schema. Frozen. */
  readonly defaults: Data
  /** The data of an empty session: the schema's defaults, if they satisfy the schema. Frozen. */
  readonly blank: Data | undefined

  /** @throws `FST_SESSION_OPTIONS` for a default that JSON cannot hold */
  constructor (options: CodecOptions) {
    this.#options = options
    this.#head = `{"v":1,"scheme":${JSON.stringify(options.scheme)},"secret":"`
    try {
      this.defaults = freezeJson(toJson(options.schema.withDefaults({})) as Data)
    } catch (cause) {
      throw invalidOptions('schema has a default that JSON cannot hold, such as a Date, so that no session could be saved: use text or a number', cause)
    }
    this.blank = options.schema.fits(this.defaults) ? this.defaults : undefined
  }

  /** Copies data, fills in defaults and checks the result. @throws `FST_SESSION_INVALID_DATA` */
  accept (data: unknown): Content {
    const copy = toJson(data)
    return this.#checked(isObject(copy) ? this.#complete(copy) : copy)
  }

  /** Returns the data as changed by `update(fn)`. @throws `FST_SESSION_INVALID_DATA`, also if the principal changes */
  async update (now: Content, fn: (data: any) => unknown): Promise<Content> {
    const data = copyJson(now.data)
    const content = this.accept(await fn(data) ?? data)
    if (content.principal === now.principal) return content
    throw invalidData('update() cannot change the principal of a session, because that needs a new cookie: use start(). Nothing was saved.')
  }

  /**
   * Copies and checks data before they are saved. Nothing changes objects of `original`, so they are not copied.
   * @throws `FST_SESSION_INVALID_DATA`
   */
  prepare (data: Data, original?: Data): Content {
    return this.#checked(toJson(data, original))
  }

  /** Returns the part of a payload before its data. */
  head ({ times, secretHash }: Pick<Decoded, 'times' | 'secretHash'>): string {
    return `${this.#head}${secretHash}",${written(times)},"data":`
  }

  /** Returns a payload. `text` is the JSON of the data. @throws `FST_SESSION_TOO_LARGE` */
  encode ({ times, secretHash, data }: Omit<Decoded, 'principal'>, head = this.head({ times, secretHash }), text = JSON.stringify(data)): string {
    const payload = `${head}${text}}`
    // A UTF-16 code unit takes three bytes of UTF-8 at most.
    if (payload.length * 3 > this.#options.maxSize) this.#checkSize(data)
    return payload
  }

  /** Reads and checks a payload, which is untrusted. Never throws. */
  decode (payload: string): Decoded | Undecodable {
    const envelope = parse(payload)
    if (!isEnvelope(envelope)) return { reason: 'damaged' }
    // A later version may have stored more times. Keep them, and write them again with the record.
    const { v: _v, scheme, secret, data, ...times } = envelope
    if (scheme !== this.#options.scheme) {
      return { reason: 'unfit', detail: 'it belongs to another security scheme: give each app and scheme its own store, prefix or table' }
    }
    try {
      return { times, secretHash: secret, ...this.#fitted(data) }
    } catch (error) {
      return { reason: 'unfit', detail: (error as Error).message }
    }
  }

  #checkSize (data: Data): void {
    const { maxSize } = this.#options
    const size = Buffer.byteLength(JSON.stringify(data))
    if (size <= maxSize) return
    throw tooLarge(`The session's data take ${size} bytes of JSON, and the option maxSize allows ${maxSize}. Keep large things elsewhere and their key in the session.`)
  }

  /** Returns the data of a record. If they were saved under an older schema, fills in defaults or calls `migrate`. */
  #fitted (data: Data): Content {
    const { schema, migrate } = this.#options
    if (schema.fits(data)) return this.#content(data)
    const completed = this.#complete(data)
    if (schema.fits(completed) || migrate === undefined) return this.#checked(completed)
    return this.accept(withoutMessage('migrate', () => migrate(data)))
  }

  #complete (data: Data): unknown {
    const completed = this.#options.schema.withDefaults(data)
    // A schema library may set a prototype for a key "__proto__". Such data are refused here.
    return completed === data ? data : toJson(completed)
  }

  #checked (data: unknown): Content {
    const { schema } = this.#options
    if (!schema.fits(data)) throw invalidData(`The session's data do not fit its schema: ${schema.problem(data)}. Nothing was saved.`)
    return this.#content(data)
  }

  #content (data: Data): Content {
    return { data, principal: this.#principalOf(data) }
  }

  #principalOf (data: Data): string | undefined {
    const { principal: ask } = this.#options
    if (ask === undefined) return undefined
    const principal: unknown = withoutMessage('principal', () => ask(freezeJson(data)))
    if (principal === undefined || principal === null || principal === '') return undefined
    if (typeof principal === 'string') return principal
    throw invalidData(`The option principal returned ${typeof principal} instead of text: return String(...) of it, or undefined.`)
  }
}

/** Calls a function of the options. An error that it throws may contain data, so its message is only in `cause`. */
function withoutMessage<T> (option: string, call: () => T): T {
  try {
    return call()
  } catch (cause) {
    throw invalidData(`The option ${option} threw ${cause instanceof Error ? cause.name : typeof cause}.`, cause)
  }
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type Envelope = Times & { readonly v: 1, readonly scheme: unknown, readonly secret: string, readonly data: Data }

function isEnvelope (value: unknown): value is Envelope {
  if (!isObject(value) || value['v'] !== 1 || !isObject(value['data'])) return false
  const { secret, createdAt, authenticatedAt, deadline, persistent, idleTimeout = 0, rank = 0 } = value
  return typeof secret === 'string' && /^[\w-]*$/.test(secret) && Number.isFinite(createdAt) && Number.isFinite(authenticatedAt) && Number.isFinite(deadline) &&
    Number.isFinite(idleTimeout) && Number.isFinite(rank) && typeof persistent === 'boolean'
}

/** Writes times as JSON, without the braces. Joining four values takes half the time of JSON.stringify. */
function written (times: Times): string {
  const { createdAt, authenticatedAt, deadline, persistent } = times
  if (Object.keys(times).length > 4) return JSON.stringify(times).slice(1, -1)
  return `"createdAt":${createdAt},"authenticatedAt":${authenticatedAt},"deadline":${deadline},"persistent":${persistent}`
}
