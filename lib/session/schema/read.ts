import { attempt } from '../../attempt.js'
import { must } from '../../errors.js'
import { anyObject, type DataSchema } from './schema.js'
import { isStandard, standardSchema } from './standard.js'
import { classicTypeBoxSchema, isClassicTypeBox, isTypeBox, typeBoxSchema } from './typebox.js'

// `type` of a schema in TypeBox, JSON Schema, Zod and Valibot.
const NOT_OF_OBJECTS = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'null', 'array'])

/** Reads the option `schema`. Loads only the library that made it. @throws `FST_SESSION_OPTIONS` if it cannot check sessions */
export async function readSchema (schema: unknown, jsonSchema: (schema: object) => Promise<DataSchema>): Promise<DataSchema> {
  if (schema === undefined) return anyObject
  must(isSchema(schema), 'schema must be the schema of an object: a Standard Schema, such as z.object({ ... }) of Zod, Type.Object({ ... }) of TypeBox, or a JSON Schema { type: "object", ... }')
  const read = isClassicTypeBox(schema) ? classicTypeBoxSchema
    : isTypeBox(schema) ? typeBoxSchema
    : isStandard(schema) ? standardSchema : undefined
  // A JSON Schema describes JSON and cannot transform, and its properties may have any name.
  if (read === undefined) return await jsonSchema(schema)
  const unusable = findUnusable(schema)
  must(unusable === undefined, `schema ${unusable}, but session data are JSON, and are read as they were stored: let the schema check the stored form, such as the text of a date, and convert it where the data are used`)
  return await read(schema as never)
}

// ArkType's schemas are functions.
function isSchema (schema: unknown): schema is object {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false
  return (isStandard(schema) || typeof schema === 'object') && !NOT_OF_OBJECTS.has((schema as { type?: unknown }).type)
}

type Part = Readonly<Record<PropertyKey, unknown>>

/** Values that a schema has for other uses than to check data. */
const NOT_SCHEMAS = new Set(['default', 'defaultValue', 'examples', 'metadata'])

/**
 * Finds a part of a schema that transforms data, is asynchronous, or describes what JSON cannot hold, if the schema shows that:
 * Zod in `_zod.def`, ArkType in `json`, Valibot and TypeBox in the schema itself. The rest is found when data are checked.
 * Returns a verb and what follows it, such as `has a Date (at shape.born)`: the names lead to the part, as the library keeps it.
 */
function findUnusable (schema: unknown, trail: readonly string[] = [], seen = new Set<unknown>()): string | undefined {
  // A getter may make another schema at each call, without end: more than 2000 parts are not searched.
  const part = seen.has(schema) || seen.size > 2000 ? undefined : visible(schema)
  if (part === undefined) return undefined
  seen.add(schema)
  const does = conductOf(part)
  if (does !== undefined) return `${does} (at ${trail.join('.') || 'the top'})`
  for (const name of Object.keys(part)) {
    if (NOT_SCHEMAS.has(name)) continue
    // Some are getters, which may throw.
    const found = findUnusable(attempt(() => part[name]), [...trail, name], seen)
    if (found !== undefined) return found
  }
  return undefined
}

function visible (schema: unknown): Part | undefined {
  if (typeof schema === 'function') return 'json' in schema ? nodesOf(schema.json) : isAsync(schema) ? schema as unknown as Part : undefined
  if (typeof schema !== 'object' || schema === null) return undefined
  // `_def` is of Zod 3, whose schemas have their methods as properties.
  const { _zod: zod, _def: def = schema } = schema as { _zod?: { def?: Part, bag?: { Class?: unknown } }, _def?: object }
  return zod?.def === undefined ? def as Part : { ...zod.def, kind: 'schema', class: zod.bag?.Class }
}

/** ArkType writes simple nodes as names: the values of keys, and the branches of a union. It has classes and primitive types. */
function nodesOf (json: unknown): Part {
  return JSON.parse(JSON.stringify(json), (key, value: unknown) => {
    if (/^(meta|pattern)$/.test(key)) return undefined
    return typeof value === 'string' && /^(value|sequence|domain|proto|\d+)$/.test(key) ? { kind: 'ark', type: value } : value
  }) as Part
}

function isAsync (value: object): boolean { return Object.prototype.toString.call(value) === '[object AsyncFunction]' }

// Valibot calls these transformations, although they change only the type.
const OF_THE_TYPE = new Set<unknown>(['brand', 'flavor', 'readonly'])

const NOT_JSON = /^(date|map|set|bigint|symbol|file|blob|instance|function|constructor|promise|(async)?iterator|nan|regexp|uint8array)$/i

function conductOf (part: Part): string | undefined {
  if (isAsync(part) || part['async'] === true) return 'is asynchronous'
  const transforms =
    Symbol.for('TypeBox.Transform') in part || '~codec' in part || // TypeBox 0.34, 1
    typeof part['transform'] === 'function' || part['check'] === 'overwrite' || part['coerce'] === true || // Zod
    (part['kind'] === 'transformation' && !OF_THE_TYPE.has(part['type'])) || // Valibot
    Array.isArray(part['morphs']) // ArkType
  if (transforms) return 'transforms data'
  if (typeof part['class'] === 'function') return `has a ${part['class'].name}`
  const { kind, type } = part
  const isNode = kind === 'schema' || kind === 'ark' || isClassicTypeBox(part) || isTypeBox(part)
  const isClass = kind === 'ark' && /^[A-Z]/.test(String(type)) && type !== 'Array'
  return isNode && typeof type === 'string' && (isClass || NOT_JSON.test(type)) ? `has a ${type}` : undefined
}
