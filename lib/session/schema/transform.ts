import { attempt } from './schema.js'

type Part = Readonly<Record<PropertyKey, unknown>>

export interface Transform {
  readonly does: 'transforms data' | 'is asynchronous'
  /** The names that lead to the part, as the library keeps it. */
  readonly at: string
}

/**
 * Finds a part of a schema that transforms data or is asynchronous, if the schema shows that: Zod in `_zod.def`, ArkType in
 * `json`, Valibot and TypeBox in the schema itself. Other transformations are found when data are checked.
 */
export function findTransform (schema: unknown, trail: readonly string[] = [], seen = new Set<unknown>()): Transform | undefined {
  const part = visible(schema)
  if (part === undefined || seen.has(part)) return undefined
  seen.add(part)
  const does = conductOf(part)
  if (does !== undefined) return { does, at: trail.join('.') || 'the top' }
  for (const name of Object.keys(part)) {
    if (name === 'default' || name === 'defaultValue') continue
    // Some are getters, which may throw.
    const found = findTransform(attempt(() => part[name]), [...trail, name], seen)
    if (found !== undefined) return found
  }
  return undefined
}

function visible (schema: unknown): Part | undefined {
  if (typeof schema === 'function') return 'json' in schema ? visible(schema.json) : isAsync(schema) ? schema as unknown as Part : undefined
  if (typeof schema !== 'object' || schema === null) return undefined
  const { _zod: zod } = schema as { _zod?: { def?: Part } }
  return zod?.def ?? schema as Part
}

function isAsync (value: object): boolean {
  return Object.prototype.toString.call(value) === '[object AsyncFunction]'
}

const CLASSIC_TRANSFORM = Symbol.for('TypeBox.Transform')

// Valibot calls these transformations, although they change only the type.
const OF_THE_TYPE = new Set<unknown>(['brand', 'flavor', 'readonly'])

function conductOf (part: Part): Transform['does'] | undefined {
  if (isAsync(part) || part['async'] === true) return 'is asynchronous'
  const transforms =
    CLASSIC_TRANSFORM in part || '~codec' in part || // TypeBox 0.34, 1
    typeof part['transform'] === 'function' || part['check'] === 'overwrite' || part['coerce'] === true || // Zod
    (part['kind'] === 'transformation' && !OF_THE_TYPE.has(part['type'])) || // Valibot
    Array.isArray(part['morphs']) // ArkType
  return transforms ? 'transforms data' : undefined
}
