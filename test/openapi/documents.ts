import swagger, { type SwaggerOptions } from '@fastify/swagger'
import { Validator } from '@seriousme/openapi-schema-validator'
import SwaggerParser from '@apidevtools/swagger-parser'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import sessionPlugin, { type SessionPluginOptions } from 'fastify-openapi-session'

export interface Recipe {
  /** Options of @fastify/swagger; its `info` is filled in. */
  swagger?: SwaggerOptions
  session?: SessionPluginOptions
  /** True if @fastify/swagger is registered before the session plugin. Default true. */
  swaggerFirst?: boolean
  fastify?: FastifyServerOptions
  routes: (app: FastifyInstance) => unknown
}

export const info = { title: 'Test', version: '1.0.0' }
export const openapi31 = { openapi: '3.1.0', info }
export const openapi32 = { openapi: '3.2.0', info }
export const openapi30 = { openapi: '3.0.3', info }

/** An app that is ready, with the document of `recipe`. */
export async function appOf (recipe: Recipe): Promise<FastifyInstance> {
  const { swagger: options = { openapi: openapi31 }, session = {}, swaggerFirst = true, fastify = {}, routes } = recipe
  const app = Fastify(fastify)
  if (swaggerFirst) await app.register(swagger, options)
  await app.register(sessionPlugin, session)
  if (!swaggerFirst) await app.register(swagger, options)
  await routes(app)
  await app.ready()
  return app
}

export async function documentOf (recipe: Recipe): Promise<any> {
  const app = await appOf(recipe)
  await app.close()
  return app.swagger()
}

/** Returns the faults that two validators without common code find in a document. One of them does not know OpenAPI 3.2 yet. */
export async function faultsOf (document: unknown): Promise<unknown[]> {
  const copy = (): any => JSON.parse(JSON.stringify(document))
  const { valid, errors } = await new Validator().validate(copy())
  const faults: unknown[] = valid ? [] : [errors]
  if (!copy().openapi?.startsWith('3.2')) await SwaggerParser.validate(copy()).catch((error: unknown) => faults.push(error))
  return faults
}

/** Returns the statuses that an operation documents. */
export function statuses (operation: { responses: object }): string[] {
  return Object.keys(operation.responses)
}

export const nothing = async (): Promise<string> => 'ok'
