import { must } from '../../errors.js'
import { anyObject, type DataSchema } from './schema.js'
import { isStandard, standardSchema } from './standard.js'
import { classicTypeBoxSchema, isClassicTypeBox, isTypeBox, typeBoxSchema } from './typebox.js'
import { findUnusable } from './unusable.js'

// `type` of a schema in TypeBox, JSON Schema, Zod and Valibot.
const NOT_OF_OBJECTS = new Set<unknown>(['string', 'number', 'integer', 'boolean', 'null', 'array'])

/**
 * Reads the option `schema`. Loads only the library that made the schema.
 * @param jsonSchema - compiles a JSON Schema
 * @throws `FST_SESSION_OPTIONS` for a schema that could never be checked, or whose data could not be stored as they are
 */
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
