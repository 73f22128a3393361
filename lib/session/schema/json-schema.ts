import { invalidOptions } from '../../errors.js'
import { checkedBy, type DataSchema } from './schema.js'

/** A function that Ajv compiled from a JSON Schema. */
export interface Validate {
  (data: unknown): unknown
  errors?: ReadonlyArray<{ readonly instancePath: string, readonly message?: string }> | null | undefined
  $async?: boolean
}

/** Compiles a JSON Schema with the app's Ajv. The result never changes data, except to fill in defaults if told to. */
export type CompileJsonSchema = (schema: object, useDefaults: boolean) => Promise<Validate>

/** Compiles a JSON Schema. @throws `FST_SESSION_OPTIONS` for a schema that Ajv refuses or that is asynchronous */
export async function jsonSchema (schema: object, compile: CompileJsonSchema): Promise<DataSchema> {
  let check: Validate
  let fill: Validate
  try {
    check = await compile(schema, false)
    fill = await compile(schema, true)
  } catch (cause) {
    throw invalidOptions(`schema is not a JSON Schema that Ajv accepts (${(cause as Error).message}): write { type: "object", properties: { ... } }`, cause)
  }
  if (check.$async === true) throw invalidOptions('schema is asynchronous ($async), but data are checked synchronously: remove $async')
  return checkedBy(schema, {
    check,
    error (data) {
      check(data)
      const first = check.errors?.[0]
      return first && { path: first.instancePath, message: first.message }
    },
    fill (data) {
      fill(data)
      return data
    }
  })
}
