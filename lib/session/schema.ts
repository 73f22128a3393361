import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { TypeCompiler, type TypeCheck } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { invalidOptions } from '../errors.js'
import { copyJson, type Data, isObject } from './json.js'

/** The parts of a schema that the codec needs, whichever library it comes from. */
export interface DataSchema {
  /** Returns whether data fit. Never throws. */
  fits (data: unknown): data is Data
  /** Says where data do not fit and what is expected there; never what is there, which may be a secret. */
  problem (data: unknown): string
  /** Returns data with the schema's defaults filled in, be it a copy or the same object changed. Never throws. */
  withDefaults (data: Data): unknown
}

/** Compiles a TypeBox schema. @throws `FST_SESSION_OPTIONS` for a schema that could never be checked */
export function typeBoxSchema (schema: TSchema): DataSchema {
  const check = compile(schema)
  const hasDefaults = JSON.stringify(schema).includes('"default":')
  return {
    // TypeBox takes some lists for objects, and throws for some values that do not fit.
    fits: (data): data is Data => isObject(data) && attempt(() => check.Check(data)) === true,
    problem (data) {
      if (!isObject(data)) return 'an object is expected'
      const first = attempt(() => check.Errors(data).First())
      return first === undefined ? 'the value is not accepted' : `${first.path === '' ? 'the data' : first.path}: ${first.message}`
    },
    withDefaults: (data) => hasDefaults ? attempt(() => Value.Default(schema, copyJson(data))) ?? data : data
  }
}

function compile (schema: TSchema): TypeCheck<TSchema> {
  const format = unknownFormat(schema)
  if (format !== undefined) {
    throw invalidOptions(`schema uses the format ${JSON.stringify(format)}, which TypeBox does not know, so that no session would ever fit: call FormatRegistry.Set(${JSON.stringify(format)}, (value) => ...) before you register the plugin`)
  }
  try {
    return TypeCompiler.Compile(schema)
  } catch (cause) {
    throw invalidOptions('schema is not a TypeBox schema that can be compiled: write it with Type.Object({ ... }) of @sinclair/typebox', cause)
  }
}

function unknownFormat (schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { format, type } = schema as { format?: unknown, type?: unknown }
  if (type === 'string' && typeof format === 'string' && !FormatRegistry.Has(format)) return format
  return Object.values(schema).map(unknownFormat).find((found) => found !== undefined)
}

/** Returns what `work` returns, `undefined` when it throws. */
function attempt<T> (work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
