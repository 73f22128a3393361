import type { FastifyInstance } from 'fastify'
import { invalidOptions, SessionError } from '../../errors.js'
import { operationsOf, type OpenApiDocument } from '../document/openapi.js'
import type { DocumentedScheme } from '../document/scheme.js'
import { DocumentSource, type Registration, type Swagger } from './source.js'
import type { DocumentedRoute } from './generate.js'

export type { DocumentedScheme } from '../document/scheme.js'
export type { DocumentedRoute } from './generate.js'

/** The sources in use, by the instance that @fastify/swagger decorated and the name of its decorator. */
const sources = new WeakMap<object, Map<string, DocumentSource>>()

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
  const found = (): DocumentSource[] => [...new Set([...instances].flatMap((instance) => sourcesOf(instance, registration)))]

  // The hooks of a child run after those of its parent: by then @fastify/swagger is ready, even if it is registered later.
  app.register(async function sessionDocument (child) {
    child.addHook('onReady', async () => check(found(), registration))
  })
  app.addHook('onRegister', (instance) => { instances.add(instance) })
  app.addHook('onReady', async () => { found() })
  found()
}

/** Returns the sources that `instance` sees by the names of the scheme's decorators, with the registration added to each. */
function sourcesOf (instance: FastifyInstance, registration: Registration): DocumentSource[] {
  return [registration.scheme.decorator].flat().flatMap((decorator) => {
    const owner = around(instance).find((candidate) => Object.hasOwn(candidate, decorator))
    if (owner === undefined) return []
    const source = sourceAt(owner as Record<string, unknown>, decorator)
    source.add(registration)
    return [source]
  })
}

/** Returns the instance and those around it, from the nearest outwards: Fastify's instances inherit by prototype. */
function around (instance: object): object[] {
  const outer = Object.getPrototypeOf(instance) as object | null
  return outer === null ? [instance] : [instance, ...around(outer)]
}

function sourceAt (owner: Record<string, unknown>, decorator: string): DocumentSource {
  const known = sources.get(owner) ?? new Map<string, DocumentSource>()
  sources.set(owner, known)
  let source = known.get(decorator)
  if (source === undefined) {
    source = new DocumentSource(owner[decorator] as Swagger, (owner as unknown as FastifyInstance).log)
    known.set(decorator, source)
    owner[decorator] = source.swagger
  }
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
  const known = routes().map(({ route: { schema, method } }) => ({ id: schema?.operationId, methods: [method].flat() }))
  const isUnknown = (operationId: string): boolean => !known.some(({ id }) => id === operationId)
  // A `transform` may name the operations.
  for (const source of named.some(isUnknown) ? found : []) {
    const documented = operationsOf(source.swagger() as OpenApiDocument)
    known.push(...documented.map(({ method, operation }) => ({ id: operation.operationId, methods: [method] })))
  }
  const missing = named.filter(isUnknown)
  if (missing.length > 0) {
    const ids = new Set(known.map(({ id }) => id).filter(Boolean))
    throw invalidOptions(`no route has the operationId ${missing.map((id) => JSON.stringify(id)).join(' or ')}, which the option \`openapi\` names: ` +
      `give it to that route as \`schema: { operationId }\`. There are: ${[...ids].join(', ') || 'none'}`)
  }
  if (operations.status === undefined || known.some(({ id, methods }) => id === operations.status && methods.includes('GET'))) return
  throw invalidOptions(`the operation ${JSON.stringify(operations.status)}, which \`openapi.status\` names, is asked without a click, ` +
    'so it has to be a GET: name the route that tells who is signed in')
}
