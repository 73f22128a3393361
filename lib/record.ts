import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { SessionError } from './errors.js'

export type Data = Record<string, unknown>

/** The times of a session and how long it may go on, all of it fixed when it starts. Instants in epoch milliseconds. */
export interface Life {
  readonly createdAt: number
  /** When its principal was last established; the same as `createdAt` for a session that began with a login. */
  readonly authenticatedAt: number
  /** The absolute timeout as an instant: nothing moves it. */
  readonly deadline: number
  /** In milliseconds, where the session has one of its own; else the scheme's holds. */
  readonly idleTimeout?: number
  /** Whether its cookie outlives the browser's run. */
  readonly persistent: boolean
}

/** What a payload holds, read and checked. */
export interface Content {
  readonly life: Life
  readonly data: Data
  /** The JSON text of `data`, to tell later whether the handler changed it. */
  readonly text: string
}

export type Decoded =
  | { readonly kind: 'content', readonly content: Content }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'unfit', readonly problem: string }

export interface CodecOptions {
  readonly schema: TSchema
  readonly migrate: ((data: unknown) => unknown) | undefined
  readonly principal: ((data: any) => string | undefined) | undefined
  readonly maxSize: number
}

/** Between the data of a session and the payload of its record: the one place that knows both. */
export class Codec {
  readonly #check: TypeCheck<TSchema>
  readonly #options: CodecOptions

  /** @throws `FST_SESSION_OPTIONS` for a schema that could never be checked */
  constructor (options: CodecOptions) {
    this.#options = options
    this.#check = compile(options.schema)
  }

  /** The data of a session in which nobody has put anything yet: the schema's defaults, if they satisfy it. */
  blank (): Data | undefined {
    const data: unknown = Value.Default(this.#options.schema, {})
    return this.#fits(data) ? data : undefined
  }

  /** A private copy of what a caller gives as data, defaults filled in. @throws `FST_SESSION_INVALID_DATA` */
  admit (data: unknown): Data {
    const copy: unknown = Value.Default(this.#options.schema, JSON.parse(toJson(data)))
    if (!this.#fits(copy)) throw this.#invalid(copy)
    return copy
  }

  /** The JSON text of data that are about to be saved. @throws `FST_SESSION_INVALID_DATA`, `FST_SESSION_TOO_LARGE` */
  text (data: Data): string {
    const text = toJson(data)
    if (!this.#fits(data)) throw this.#invalid(data)
    const size = Buffer.byteLength(text)
    if (size > this.#options.maxSize) {
      throw new SessionError('FST_SESSION_TOO_LARGE', `The session's data take ${size} bytes of JSON, and ${this.#options.maxSize} are allowed (option maxSize): keep large things elsewhere and their key in the session.`)
    }
    return text
  }

  /** Whom the data belong to. @throws `FST_SESSION_INVALID_DATA` when the option `principal` gives anything but text */
  principal (data: Data): string | undefined {
    const principal: unknown = this.#options.principal?.(data)
    if (principal === undefined || principal === null || principal === '') return undefined
    if (typeof principal !== 'string') {
      throw new SessionError('FST_SESSION_INVALID_DATA', `The option principal gave ${typeof principal} instead of text: return String(...) of it, or undefined.`)
    }
    return principal
  }

  /** `text` is the JSON text of the data. It stands last, so that `decode` finds it without writing it anew. */
  encode (life: Life, text: string): string {
    const { createdAt, authenticatedAt, deadline, idleTimeout, persistent } = life
    return `${JSON.stringify({ v: 1, createdAt, authenticatedAt, deadline, idleTimeout, persistent }).slice(0, -1)},"data":${text}}`
  }

  /** Reads a payload. Whatever it holds, the answer is one of three, never a throw: a record is `unknown` until checked. */
  decode (payload: string): Decoded {
    const envelope = parse(payload)
    if (!isEnvelope(envelope)) return { kind: 'damaged' }
    const { createdAt, authenticatedAt, deadline, idleTimeout, persistent, data } = envelope
    const life = { createdAt, authenticatedAt, deadline, persistent, ...(idleTimeout === undefined ? {} : { idleTimeout }) }
    if (!this.#fits(data)) return this.#fit(life, data)
    const text = payload.slice(payload.indexOf('"data":') + 7, -1)
    // Whoever else wrote it may have spelled the same JSON in another way.
    return { kind: 'content', content: { life, data, text: this.encode(life, text) === payload ? text : JSON.stringify(data) } }
  }

  // Data from before a change of the schema: its defaults may be all that is missing, else `migrate` gets them as they were.
  #fit (life: Life, data: Data): Decoded {
    const { schema, migrate } = this.#options
    let candidate: unknown = Value.Default(schema, structuredClone(data))
    if (!this.#fits(candidate) && migrate) {
      try {
        candidate = Value.Default(schema, JSON.parse(toJson(migrate(data))))
      } catch (error) {
        return { kind: 'unfit', problem: `migrate threw ${error instanceof Error ? error.name : typeof error}` }
      }
    }
    if (!this.#fits(candidate)) return { kind: 'unfit', problem: this.#problem(candidate) }
    return { kind: 'content', content: { life, data: candidate, text: JSON.stringify(candidate) } }
  }

  #fits (data: unknown): data is Data {
    return isObject(data) && this.#check.Check(data)
  }

  #invalid (data: unknown): SessionError {
    return new SessionError('FST_SESSION_INVALID_DATA', `The session's data do not fit its schema: ${this.#problem(data)}. Nothing was saved.`)
  }

  // Says where and what is expected, never what is there: that may be a secret.
  #problem (data: unknown): string {
    if (!isObject(data)) return 'an object is expected'
    const first = this.#check.Errors(data).First()
    return first === undefined ? 'the value is not accepted' : `${first.path === '' ? 'the data' : first.path}: ${first.message}`
  }
}

/**
 * What the data become when two requests changed them at once: all that one stored, with the top-level keys the other
 * changed on top.
 */
export function merge (base: Data, mine: Data, theirs: Data): Data {
  const merged = { ...theirs }
  for (const key of new Set([...Object.keys(base), ...Object.keys(mine)])) {
    if (JSON.stringify(own(base, key)) === JSON.stringify(own(mine, key))) continue
    if (Object.hasOwn(mine, key)) put(merged, key, mine[key])
    else delete merged[key]
  }
  return merged
}

/** The value that an object itself has under a key: `constructor` or `__proto__` are keys like any other. */
export function own (data: Data, key: string): unknown {
  return Object.hasOwn(data, key) ? data[key] : undefined
}

/** Sets a key as plain data, `__proto__` included. */
export function put (data: Data, key: string, value: unknown): void {
  Object.defineProperty(data, key, { value, enumerable: true, configurable: true, writable: true })
}

/**
 * JSON text that reads back as the same value.
 * @throws `FST_SESSION_INVALID_DATA` naming the first thing that would not: a Date, a Map, NaN, a cycle, ...
 */
export function toJson (data: unknown): string {
  const problem = unlikeJson(data, 'the data', [])
  if (problem !== undefined) throw new SessionError('FST_SESSION_INVALID_DATA', `A session holds JSON only: ${problem}. Nothing was saved.`)
  return JSON.stringify(data)
}

function unlikeJson (value: unknown, path: string, above: readonly unknown[]): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${path} is ${value}; use null`
  if (typeof value !== 'object') return `${path} is a ${typeof value}`
  if (above.includes(value)) return `${path} contains itself`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) {
    return `${path} is a ${value.constructor?.name ?? 'class instance'}${value instanceof Date ? '; use date.toISOString()' : '; use a plain object or an array'}`
  }
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined && !Array.isArray(value)) continue
    const problem = unlikeJson(item, `${path}${Array.isArray(value) ? `[${key}]` : `.${key}`}`, [...above, value])
    if (problem !== undefined) return problem
  }
  return undefined
}

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isEnvelope (value: unknown): value is Life & { data: Data } {
  if (!isObject(value) || value['v'] !== 1 || !isObject(value['data']) || typeof value['persistent'] !== 'boolean') return false
  const { createdAt, authenticatedAt, deadline, idleTimeout = 0 } = value
  return [createdAt, authenticatedAt, deadline, idleTimeout].every((instant) => Number.isFinite(instant))
}

function isObject (value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function compile (schema: TSchema): TypeCheck<TSchema> {
  const format = unknownFormat(schema)
  if (format !== undefined) {
    throw new SessionError('FST_SESSION_OPTIONS', `schema uses the format ${JSON.stringify(format)}, which TypeBox does not know, so that no session would ever fit: FormatRegistry.Set(${JSON.stringify(format)}, (value) => ...) before you register the plugin`)
  }
  try {
    return TypeCompiler.Compile(schema)
  } catch (cause) {
    throw new SessionError('FST_SESSION_OPTIONS', 'schema is no TypeBox schema that can be compiled: write it with Type.Object({ ... }) of @sinclair/typebox', { cause })
  }
}

function unknownFormat (schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { format, type } = schema as { format?: unknown, type?: unknown }
  if (type === 'string' && typeof format === 'string' && !FormatRegistry.Has(format)) return format
  return Object.values(schema).map(unknownFormat).find((found) => found !== undefined)
}
