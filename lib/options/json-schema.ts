import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { invalidOptions, must } from '../errors.js'
import { checkedBy, type DataSchema, type Fault } from '../session/schema/schema.js'

/** A function that Ajv compiled from a JSON Schema. */
type Validate = ((data: unknown) => unknown) & { errors?: readonly Fault[] | null, $async?: boolean }

/**
 * Compiles a JSON Schema as the app does for its routes, with its shared schemas and the formats, keywords and plugins of its
 * option `ajv`. Unlike for routes, Ajv neither coerces data nor removes properties.
 * @throws `FST_SESSION_OPTIONS` for a schema that is asynchronous or that Ajv rejects
 */
export async function jsonSchema (schema: object, app: FastifyInstance): Promise<DataSchema> {
  const { AjvCompiler } = await import('@fastify/ajv-compiler')
  const { customOptions, plugins = [], onCreate } = (keptIn(app, 'fastify.options') as FastifyServerOptions | undefined)?.ajv ?? {}
  const compile = (options: object): Validate => {
    try {
      return AjvCompiler()(app.getSchemas() as Record<string, object>, {
        customOptions: { ...customOptions, coerceTypes: false, removeAdditional: false, allErrors: false, ...options },
        plugins, ...(onCreate && { onCreate })
      })({ schema, method: '', url: '' }) as Validate
    } catch (cause) {
      throw invalidOptions(`schema is not a JSON Schema that Ajv accepts (${(cause as Error).message}): write { type: "object", properties: { ... } }`, cause)
    }
  }
  const check = compile({ useDefaults: false })
  // Ajv's strict mode would reject defaults in places where Ajv ignores them.
  const fill = compile({ useDefaults: true, strict: false })
  must(check.$async !== true, 'schema is asynchronous ($async), but data are checked synchronously: remove $async')
  return checkedBy(schema, {
    check,
    errors: (data) => check(data) ? [] : check.errors ?? [],
    fill (data) {
      fill(data)
      return data
    }
  })
}

/** Returns the value that Fastify keeps for an app under the symbol of this name, or `undefined`. */
export function keptIn (app: object | null, name: string): unknown {
  if (app === null) return undefined
  const symbol = Object.getOwnPropertySymbols(app).find(({ description }) => description === name)
  return symbol === undefined ? keptIn(Object.getPrototypeOf(app) as object | null, name) : (app as Record<symbol, unknown>)[symbol]
}
