import { invalidOptions } from '../../errors.js'
import { type CompileJsonSchema, jsonSchema } from './json-schema.js'
import { anyObject, type DataSchema } from './schema.js'
import { isStandard, standardSchema } from './standard.js'
import { findTransform } from './transform.js'
import { classicTypeBoxSchema, isClassicTypeBox, isTypeBox, typeBoxSchema } from './typebox.js'

// `type` of a schema in TypeBox, JSON Schema, Zod and Valibot.
const NOT_OF_OBJECTS = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'null', 'array'])

/**
 * Reads the option `schema`. Loads only the library that made the schema.
 * @throws `FST_SESSION_OPTIONS` for a schema that could never be checked, that transforms or that is asynchronous
 */
export async function readSchema (schema: unknown, compile: CompileJsonSchema): Promise<DataSchema> {
  if (schema === undefined) return anyObject
  if (!isSchema(schema)) {
    throw invalidOptions('schema must be the schema of an object: a Standard Schema, such as z.object({ ... }) of Zod, Type.Object({ ... }) of TypeBox, or a JSON Schema { type: "object", ... }')
  }
  // A JSON Schema cannot transform, and its properties may have any name, so do not search it.
  const found = isTypeBox(schema) || isClassicTypeBox(schema) || isStandard(schema) ? findTransform(schema) : undefined
  if (found !== undefined) {
    throw invalidOptions(`schema ${found.does} (at ${found.at}), but session data are stored and read as they are: let the schema check the stored form, and do the rest where the data are used`)
  }
  if (isClassicTypeBox(schema)) return classicTypeBoxSchema(schema)
  if (isTypeBox(schema)) return typeBoxSchema(schema)
  return isStandard(schema) ? standardSchema(schema) : jsonSchema(schema, compile)
}

// ArkType's schemas are functions.
function isSchema (schema: unknown): schema is object {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false
  return (isStandard(schema) || typeof schema === 'object') && !NOT_OF_OBJECTS.has((schema as { type?: unknown }).type)
}
