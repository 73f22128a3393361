import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { SessionError } from './errors.js'

export type Data = Record<string, unknown>

/** What stands in a payload between the life of a session and its data. */
const DATA = ',"data":'

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
  /** Where it stands among the logins of its principal: the greater, the later. Default `authenticatedAt`. */
  readonly rank?: number
  /** The id that it began with, where it was renewed since: a session is the same one under each of its ids. */
  readonly origin?: string
  /** When it was last adopted, where its token comes from the cookie of another plugin and can be made again from that. */
  readonly adopted?: number
}

/** Data that fit their schema, with what is known of them. */
export interface Prepared {
  readonly data: Data
  /** The JSON text of `data` as it is stored, to tell later whether a handler changed them. */
  readonly text: string
  readonly principal: string | undefined
}

/** What a payload holds, read and checked. */
export interface Content extends Prepared {
  readonly life: Life
}

type Envelope = Life & { readonly v: unknown, readonly scheme?: unknown, readonly data: Data }

export type Decoded =
  | { readonly kind: 'content', readonly content: Content }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'unfit', readonly problem: string }

export interface CodecOptions {
  /** Whose records these are: a token of one scheme is none of another that uses the same place. */
  readonly scheme: string
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
    if (!isJson(this.defaults())) throw new SessionError('FST_SESSION_OPTIONS', 'schema has a default that is no JSON, such as a Date, with which no session can be saved: use text or a number')
  }

  /** What the schema gives to data in which there is nothing, whether that satisfies it or not. */
  defaults (): Data {
    return withDefaults(this.#options.schema, {}) as Data
  }

  /** The data of a session in which nobody has put anything yet: the schema's defaults, if they satisfy it. */
  blank (): Data | undefined {
    const data = this.defaults()
    return this.#fits(data) ? data : undefined
  }

  /** A private copy of what a caller gives as data, defaults filled in. @throws `FST_SESSION_INVALID_DATA` */
  admit (data: unknown): Data {
    const copy: unknown = withDefaults(this.#options.schema, JSON.parse(toJson(data)))
    if (!this.#fits(copy)) throw this.#invalid(copy)
    return copy
  }

  /** Data that are about to be saved, checked. @throws `FST_SESSION_INVALID_DATA`, `FST_SESSION_TOO_LARGE` */
  prepare (data: Data): Prepared {
    const text = toJson(data)
    if (!this.#fits(data)) throw this.#invalid(data)
    const size = Buffer.byteLength(text)
    if (size > this.#options.maxSize) {
      throw new SessionError('FST_SESSION_TOO_LARGE', `The session's data take ${size} bytes of JSON, and ${this.#options.maxSize} are allowed (option maxSize): keep large things elsewhere and their key in the session.`)
    }
    return { data, text, principal: this.principal(data) }
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
    return `${JSON.stringify({ v: 1, scheme: this.#options.scheme, ...life }).slice(0, -1)}${DATA}${text}}`
  }

  /** Reads a payload. Whatever it holds, the answer is one of three, never a throw: a record is `unknown` until checked. */
  decode (payload: string): Decoded {
    // Head and data apart, so that the text of the data is at hand. Another spelling of the same JSON is read as a whole.
    const split = payload.indexOf(DATA)
    const text = payload.slice(split + DATA.length, -1)
    const head = split === -1 ? undefined : parse(`${payload.slice(0, split)}}`)
    const envelope = isObject(head) && payload.endsWith('}') ? { ...head, data: parse(text) } : undefined
    if (isEnvelope(envelope)) return this.#read(envelope, text)
    const whole = parse(payload)
    return isEnvelope(whole) ? this.#read(whole, JSON.stringify(whole.data)) : { kind: 'damaged' }
  }

  #read ({ v: _version, scheme, data, ...life }: Envelope, text: string): Decoded {
    if (scheme !== this.#options.scheme) return { kind: 'unfit', problem: 'it is of another security scheme: give each a store, prefix or table of its own' }
    return this.#fits(data) ? this.#content(life, data, text) : this.#fit(life, data)
  }

  // Data from before a change of the schema: its defaults may be all that is missing, else `migrate` gets them as they were.
  #fit (life: Life, data: Data): Decoded {
    const { schema, migrate } = this.#options
    let candidate: unknown = withDefaults(schema, data)
    if (!this.#fits(candidate) && migrate) {
      try {
        candidate = withDefaults(schema, JSON.parse(toJson(migrate(data))))
      } catch (error) {
        return { kind: 'unfit', problem: `migrate threw ${nameOf(error)}` }
      }
    }
    if (!this.#fits(candidate)) return { kind: 'unfit', problem: this.#problem(candidate) }
    // To fill in defaults TypeBox assigns key by key, and a key "__proto__" becomes a prototype by that.
    if (!isJson(candidate)) return { kind: 'unfit', problem: 'a key "__proto__" is in the way of the defaults' }
    return this.#content(life, candidate, JSON.stringify(candidate))
  }

  #content (life: Life, data: Data, text: string): Decoded {
    try {
      return { kind: 'content', content: { life, data, text, principal: this.principal(data) } }
    } catch (error) {
      return { kind: 'unfit', problem: `the option principal failed with ${nameOf(error)}` }
    }
  }

  #fits (data: unknown): data is Data {
    // A list whose prototype is none, made from an own key "__proto__" when defaults were filled in, is no list to TypeBox.
    return isObject(data) && attempt(() => this.#check.Check(data)) === true
  }

  #invalid (data: unknown): SessionError {
    return new SessionError('FST_SESSION_INVALID_DATA', `The session's data do not fit its schema: ${this.#problem(data)}. Nothing was saved.`)
  }

  // Says where and what is expected, never what is there: that may be a secret.
  #problem (data: unknown): string {
    if (!isObject(data)) return 'an object is expected'
    const first = attempt(() => this.#check.Errors(data).First())
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
  let text: string
  try {
    text = JSON.stringify(data)
  } catch (cause) {
    // A cycle, a BigInt, or a toJSON that throws: V8 says which, and where.
    throw noJson((cause as Error).message.split('\n').join(' '), cause)
  }
  const problem = unlikeJson(data)
  if (problem !== undefined) throw noJson(`data${problem}`)
  return text
}

/** Whether a value, free of cycles, reads back from JSON as the same value. */
export function isJson (data: unknown): boolean {
  // It may have a getter that throws.
  return attempt(() => unlikeJson(data) === undefined) === true
}

function noJson (problem: string, cause?: unknown): SessionError {
  return new SessionError('FST_SESSION_INVALID_DATA', `A session holds JSON only: ${problem}. Nothing was saved.`, cause === undefined ? {} : { cause })
}

/** Where and how a value, free of cycles, would come back from JSON as another one. */
function unlikeJson (value: unknown): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : ` is ${value}; use null`
  if (typeof value !== 'object') return ` is ${typeof value}`
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const problem = unlikeJson(value[index])
      if (problem !== undefined) return `[${index}]${problem}`
    }
    return undefined
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    return ` is a ${value.constructor?.name ?? 'class instance'}; use ${value instanceof Date ? 'date.toISOString()' : 'a plain object or an array'}`
  }
  for (const key in value) {
    const item = (value as Data)[key]
    // JSON leaves it out, which reads back the same.
    const problem = item === undefined ? undefined : unlikeJson(item)
    if (problem !== undefined) return `.${key}${problem}`
  }
  return undefined
}

// An object where a list should be, say, is left as it is: it does not fit anyhow.
function withDefaults (schema: TSchema, value: unknown): unknown {
  return attempt(() => Value.Default(schema, structuredClone(value))) ?? value
}

/** What `work` gives, `undefined` when it throws: TypeBox itself stumbles over some values that it does not accept. */
function attempt<T> (work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

// What an error says may hold data; what it is called does not.
function nameOf (error: unknown): string {
  return error instanceof Error ? error.name : typeof error
}

function parse (text: string): unknown {
  return attempt(() => JSON.parse(text) as unknown)
}

function isEnvelope (value: unknown): value is Envelope {
  if (!isObject(value) || value['v'] !== 1 || !isObject(value['data']) || typeof value['persistent'] !== 'boolean') return false
  const { createdAt, authenticatedAt, deadline, idleTimeout = 0, rank = 0, origin = '', adopted = 0 } = value
  return typeof origin === 'string' && [createdAt, authenticatedAt, deadline, idleTimeout, rank, adopted].every((instant) => Number.isFinite(instant))
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
