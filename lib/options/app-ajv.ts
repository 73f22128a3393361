import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { CompileJsonSchema, Validate } from '../session/schema/json-schema.js'

/**
 * Returns a function that compiles a JSON Schema as the app does for its routes: with its shared schemas, and the formats,
 * keywords and plugins of its option `ajv`. Unlike there, data are neither coerced nor stripped of anything.
 */
export function compilerOf (app: FastifyInstance): CompileJsonSchema {
  return async (schema, useDefaults) => {
    const { AjvCompiler } = await import('@fastify/ajv-compiler')
    const { customOptions, plugins = [], onCreate } = optionsOf(app)?.ajv ?? {}
    // Strictness is for the compilation that checks. It would refuse defaults in places where Ajv does not fill them in.
    const strictness = useDefaults ? { strict: false } : {}
    const build = AjvCompiler()(app.getSchemas() as Record<string, object>, {
      customOptions: { ...customOptions, ...strictness, coerceTypes: false, removeAdditional: false, allErrors: false, useDefaults },
      plugins,
      ...(onCreate ? { onCreate } : {})
    })
    return build({ schema, method: '', url: '' }) as Validate
  }
}

/** Returns the options that Fastify was made with. It keeps them under a symbol of its own; without them, its defaults apply. */
function optionsOf (app: object): FastifyServerOptions | undefined {
  const symbol = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.options')
  if (symbol !== undefined) return (app as Record<symbol, FastifyServerOptions>)[symbol]
  const around = Object.getPrototypeOf(app) as object | null
  return around === null ? undefined : optionsOf(around)
}
