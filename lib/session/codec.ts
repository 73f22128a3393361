import { attempt } from '../attempt.js'
import { invalidData, invalidOptions, tooLarge } from '../errors.js'
import { copyJson, type Data, freezeJson, isObject, toJson } from './json.js'
import type { DataSchema } from './schema/schema.js'
import type { Times } from './times.js'

/** Data that fit their schema: a private copy, frozen before a function of the app gets it. And their principal. */
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

/** The name of most schemes. A payload has only another name. */
const USUAL_SCHEME = 'session'

/**
 * Converts between the data of a session and the payload of its record. Each session takes memory, so a payload lacks the fields
 * that have their usual value. It has `hash` for the hash of the secret, `at` for `createdAt`, and `ms` from then to the `deadline`.
 */
export class Codec {
  readonly #options: CodecOptions
  /** The field of a payload that names the scheme. */
  readonly #schemeField: string
  /** The schema's defaults, which alone need not satisfy the schema. Frozen. */
  readonly defaults: Data
  /** The data of an empty session: the schema's defaults, if they satisfy the schema. Frozen. */
  readonly blank: Data | undefined

  /** @throws `FST_SESSION_OPTIONS` for a default that JSON cannot hold */
  constructor (options: CodecOptions) {
    this.#options = options
    this.#schemeField = options.scheme === USUAL_SCHEME ? '' : `"scheme":${JSON.stringify(options.scheme)},`
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

  /** Copies and checks data to save. Nothing changes objects of `original`, so they are shared. @throws `FST_SESSION_INVALID_DATA` */
  prepare (data: Data, original?: Data): Content { return this.#checked(toJson(data, original)) }

  /** Returns a payload. `text` is the JSON of the data. @throws `FST_SESSION_TOO_LARGE` */
  encode ({ times, secretHash, data }: Omit<Decoded, 'principal'>, text = JSON.stringify(data)): string {
    const { maxSize } = this.#options
    const payload = `{${this.#schemeField}"hash":"${secretHash}",${written(times)},"data":${text}}`
    // A UTF-16 code unit takes three bytes of UTF-8 at most.
    if (payload.length * 3 <= maxSize) return payload
    const size = Buffer.byteLength(JSON.stringify(data))
    if (size <= maxSize) return payload
    throw tooLarge(`The session's data take ${size} bytes of JSON, and the option maxSize allows ${maxSize}. Keep large things elsewhere and their key in the session.`)
  }

  /** Reads and checks a payload, which is untrusted. Never throws. */
  decode (payload: string): Decoded | Undecodable {
    const envelope = attempt(() => JSON.parse(payload) as unknown)
    if (!isObject(envelope)) return DAMAGED
    // No version of this package has written another `v`.
    const { v = 1, scheme = USUAL_SCHEME, hash, data, at, ms, authenticatedAt = at, persistent = false, ...others } = envelope
    // A later version may have stored more times. Keep them, and write them again with the record.
    const deadline = typeof at === 'number' && typeof ms === 'number' ? at + ms : undefined
    const times = { ...others, createdAt: at, authenticatedAt, deadline, persistent }
    if (v !== 1 || typeof hash !== 'string' || !/^[\w-]*$/.test(hash) || !isObject(data) || !areTimes(times)) return DAMAGED
    if (scheme !== this.#options.scheme) {
      return { reason: 'unfit', detail: 'it belongs to another security scheme: give each app and scheme its own store, prefix or table' }
    }
    try {
      return { times, secretHash: hash, ...this.#fitted(data) }
    } catch (error) {
      return { reason: 'unfit', detail: (error as Error).message }
    }
  }

  /** Returns the data of a record. If they were saved under an older schema, fills in defaults or calls `migrate`. */
  #fitted (data: Data): Content {
    const { schema, migrate } = this.#options
    if (schema.fits(data)) return this.#content(data)
    const completed = this.#complete(data)
    if (schema.fits(completed) || migrate === undefined) return this.#checked(completed)
    return this.accept(withoutMessage('migrate', migrate, data))
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
    const { principal: ask } = this.#options
    const principal: unknown = ask && withoutMessage('principal', ask, freezeJson(data))
    if (principal === undefined || principal === null || principal === '') return { data, principal: undefined }
    if (typeof principal === 'string') return { data, principal }
    throw invalidData(`The option principal returned ${typeof principal} instead of text: return String(...) of it, or undefined.`)
  }
}

/** Calls a function of the options. An error that it throws may contain data, so its message is only in `cause`. */
function withoutMessage<T> (option: string, ask: (data: Data) => T, data: Data): T {
  try {
    return ask(data)
  } catch (cause) {
    throw invalidData(`The option ${option} threw ${cause instanceof Error ? cause.name : typeof cause}.`, cause)
  }
}

const DAMAGED = Object.freeze({ reason: 'damaged' })

function areTimes (times: Record<string, unknown>): times is Data & Times {
  const { createdAt, authenticatedAt, deadline, persistent, idleTimeout = 0, rank = 0 } = times
  return [createdAt, authenticatedAt, deadline, idleTimeout, rank].every(Number.isFinite) && typeof persistent === 'boolean'
}

/** Writes times as JSON, without the braces. Joining the usual ones takes half the time of JSON.stringify. */
function written (times: Times): string {
  const { createdAt, authenticatedAt, deadline, persistent } = times
  const isUsual = authenticatedAt === createdAt && !persistent && Object.keys(times).length === 4
  if (isUsual) return `"at":${createdAt},"ms":${deadline - createdAt}`
  const others = { authenticatedAt: authenticatedAt === createdAt ? undefined : authenticatedAt, persistent: persistent || undefined }
  const renamed = { createdAt: undefined, deadline: undefined, at: createdAt, ms: deadline - createdAt }
  return JSON.stringify({ ...times, ...renamed, ...others }).slice(1, -1)
}
