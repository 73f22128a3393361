import type { FastifyInstance } from 'fastify'
import { invalidOptions, SessionError } from '../../errors.js'
import { operationsOf, type OpenApiDocument } from '../document/openapi.js'
import type { DocumentedScheme } from '../document/scheme.js'
import { DocumentSource, type DocumentedRoute, type Registration, type Swagger } from './source.js'

/** The sources in use, by the function that stands in for the decorator of @fastify/swagger. */
const sources = new WeakMap<Swagger, DocumentSource>()

/**
 * Makes the documents of @fastify/swagger describe a session scheme, wherever and whenever that plugin is registered. Does
 * nothing without it. Routes, their schemas, validators and serializers stay as they are.
 *
 * To be called once for each registration. `ready()` then fails with `FST_SESSION_OPTIONS` if an operationId of
 * `scheme.operations` has no route, or if the document's own `security`, or a route that was declared too early, names the scheme.
 * @param routes - returns all routes in the scope of the registration. It is called when a document is asked for, which may be
 *   as early as in the first `onReady` hook, and has to return the same plan for a route that several registrations share
 */
export function documentSession (app: FastifyInstance, scheme: DocumentedScheme, routes: () => readonly DocumentedRoute[]): void {
  const registration: Registration = { scheme, routes }
  const instances = new Set<FastifyInstance>([app])
  const found = (): DocumentSource[] => {
    const decorators = [scheme.decorator].flat()
    const seen = [...instances].flatMap((instance) => decorators.map((decorator) => sourceOf(instance, decorator)))
    const distinct = [...new Set(seen)].filter((source) => source !== undefined)
    for (const source of distinct) source.add(registration)
    return distinct
  }

  // The hooks of a child run after those of its parent: by then @fastify/swagger is ready, even if it is registered later.
  app.register(async function sessionDocument (child) {
    child.addHook('onReady', async () => check(found(), registration))
  })
  app.addHook('onRegister', (instance) => { instances.add(instance) })
  app.addHook('onReady', async () => { found() })
  found()
}

/** Returns the source that stands in for a decorator, as `instance` sees it: its own, or that of an instance around it. */
function sourceOf (instance: FastifyInstance, decorator: string): DocumentSource | undefined {
  let owner = instance as unknown as Record<string, Swagger | undefined>
  const original = owner[decorator]
  const known = original && sources.get(original)
  if (original === undefined || known !== undefined) return known
  // Fastify's instances inherit by prototype.
  while (!Object.hasOwn(owner, decorator)) owner = Object.getPrototypeOf(owner) as typeof owner
  const source = new DocumentSource(original, instance.log)
  sources.set(source.swagger, source)
  owner[decorator] = source.swagger
  return source
}

function check (found: readonly DocumentSource[], registration: Registration): void {
  for (const source of found) {
    try {
      source.inspect()
    } catch (error) {
      // Other errors of @fastify/swagger go to the caller who asks for the document.
      if (error instanceof SessionError) throw error
    }
  }
  if (found.length > 0) checkOperations(found, registration)
}

function checkOperations (found: readonly DocumentSource[], { scheme: { operations }, routes }: Registration): void {
  const named = Object.values(operations)
  const methods = new Map<string | undefined, string[]>()
  const learn = (operationId: string | undefined, method: string | string[]): void => {
    methods.set(operationId, [methods.get(operationId) ?? [], method].flat())
  }
  for (const { route: { schema, method } } of routes()) learn(schema?.operationId, method)
  // A `transform` may name the operations.
  for (const source of named.every((id) => methods.has(id)) ? [] : found) {
    for (const { method, operation } of operationsOf(source.swagger() as OpenApiDocument)) learn(operation.operationId, method)
  }
  const missing = named.filter((id) => !methods.has(id))
  if (missing.length > 0) {
    throw invalidOptions(`no route has the operationId ${missing.map((id) => JSON.stringify(id)).join(' or ')}, which the option \`openapi\` names: ` +
      `give it to that route as \`schema: { operationId }\`. There are: ${[...methods.keys()].filter(Boolean).join(', ') || 'none'}`)
  }
  if (operations.status === undefined || methods.get(operations.status)?.includes('GET')) return
  throw invalidOptions(`the operation ${JSON.stringify(operations.status)}, which \`openapi.status\` names, is asked without a click, ` +
    'so it has to be a GET: name the route that tells who is signed in')
}
