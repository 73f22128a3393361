import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { invalidOptions, must } from '../errors.js'
import { checkedBy, type DataSchema } from '../session/schema/schema.js'

/** A function that Ajv compiled from a JSON Schema. */
interface Validate {
  (data: unknown): unknown
  errors?: ReadonlyArray<{ readonly instancePath: string, readonly message?: string }> | null | undefined
  $async?: boolean
}

/**
 * Compiles a JSON Schema as the app does for its routes: with its shared schemas, and the formats, keywords and plugins of its
 * option `ajv`. Unlike there, data are neither coerced nor stripped of anything.
 * @throws `FST_SESSION_OPTIONS` for a schema that Ajv refuses or that is asynchronous
 */
export async function jsonSchema (schema: object, app: FastifyInstance): Promise<DataSchema> {
  const { AjvCompiler } = await import('@fastify/ajv-compiler')
  const { customOptions, plugins = [], onCreate } = (keptIn(app, 'fastify.options') as FastifyServerOptions | undefined)?.ajv ?? {}
  const compile = (options: object): Validate => {
    try {
      return AjvCompiler()(app.getSchemas() as Record<string, object>, {
        customOptions: { ...customOptions, coerceTypes: false, removeAdditional: false, allErrors: false, ...options },
        plugins,
        ...(onCreate ? { onCreate } : {})
      })({ schema, method: '', url: '' }) as Validate
    } catch (cause) {
      throw invalidOptions(`schema is not a JSON Schema that Ajv accepts (${(cause as Error).message}): write { type: "object", properties: { ... } }`, cause)
    }
  }
  const check = compile({ useDefaults: false })
  // Ajv's strict mode would refuse defaults in places where Ajv does not fill them in.
  const fill = compile({ useDefaults: true, strict: false })
  must(check.$async !== true, 'schema is asynchronous ($async), but data are checked synchronously: remove $async')
  return checkedBy(schema, {
    check,
    errors: (data) => check(data) ? [] : check.errors?.map(({ instancePath: path, message }) => ({ path, message })) ?? [],
    fill (data) {
      fill(data)
      return data
    }
  })
}

/** Returns what Fastify keeps for an app under a symbol of its own; `undefined` if it keeps nothing there. */
export function keptIn (app: object, name: string): unknown {
  const symbol = Object.getOwnPropertySymbols(app).find(({ description }) => description === name)
  if (symbol !== undefined) return (app as Record<symbol, unknown>)[symbol]
  const around = Object.getPrototypeOf(app) as object | null
  return around === null ? undefined : keptIn(around, name)
}
