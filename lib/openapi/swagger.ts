import type { FastifyInstance, RouteOptions } from 'fastify'
import { SessionError } from '../errors.js'
import { operationsOf, type OpenApiDocument } from './openapi.js'
import type { Registration } from './routes.js'
import type { DocumentedScheme } from './scheme.js'
import { DocumentSource, type Swagger } from './source.js'

export type { DocumentedScheme } from './scheme.js'

/** The sources in use, by the instance that @fastify/swagger decorated and the name of its decorator. */
const sources = new WeakMap<object, Map<string, DocumentSource>>()

/**
 * Makes the documents of @fastify/swagger tell of a session scheme, wherever and whenever that plugin is registered; without
 * it, does nothing. Routes, their schemas, validators and serializers stay as they are.
 *
 * To be called once for each registration, before the routes that declare the scheme. `ready()` then fails with
 * `FST_SESSION_OPTIONS` when an operationId of `scheme.operations` has no route, when the document's own `security` names the
 * scheme, or when a route declared too early does.
 */
export function documentSession (app: FastifyInstance, scheme: DocumentedScheme): void {
  const routes = new Set<RouteOptions>()
  const registration: Registration = { scheme, routes, depth: around(app).length }
  const instances = new Set<FastifyInstance>([app])
  const found = (): DocumentSource[] => [...new Set([...instances].flatMap((instance) => sourcesOf(instance, registration)))]

  app.addHook('onRoute', (route) => { routes.add(route) })
  // The hooks of a child run after those of its parent: by then @fastify/swagger is ready, though it be registered later.
  app.register(async function sessionDocument (child) {
    child.addHook('onReady', async () => check(found(), registration))
  })
  app.addHook('onRegister', (instance) => { instances.add(instance) })
  app.addHook('onReady', async () => { found() })
  found()
}

/** The sources that `instance` can see by the names of the scheme's decorators, with the registration added to each. */
function sourcesOf (instance: FastifyInstance, registration: Registration): DocumentSource[] {
  return [registration.scheme.decorator].flat().flatMap((decorator) => {
    const owner = ownerOf(instance, decorator)
    if (owner === undefined) return []
    const source = sourceAt(owner, decorator)
    source.add(registration)
    return [source]
  })
}

function ownerOf (instance: FastifyInstance, decorator: string): Record<string, unknown> | undefined {
  return around(instance).find((candidate) => Object.hasOwn(candidate, decorator)) as Record<string, unknown> | undefined
}

/** The instance and those around it, from the nearest outwards: Fastify's instances inherit by prototype. */
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

function check (found: readonly DocumentSource[], { scheme, routes }: Registration): void {
  for (const source of found) {
    try {
      source.inspect()
    } catch (error) {
      // What else stops @fastify/swagger, it tells whoever asks for the document.
      if (error instanceof SessionError) throw error
    }
  }
  if (found.length > 0) checkOperations(found, scheme, routes)
}

function checkOperations (found: readonly DocumentSource[], { operations }: DocumentedScheme, routes: ReadonlySet<RouteOptions>): void {
  const named = Object.values(operations)
  const known = Array.from(routes, ({ schema, method }) => ({ id: schema?.operationId, methods: [method].flat() }))
  const isUnknown = (operationId: string): boolean => !known.some(({ id }) => id === operationId)
  // It may be a `transform` that names the operations.
  for (const source of named.some(isUnknown) ? found : []) {
    const documented = operationsOf(source.swagger() as OpenApiDocument)
    known.push(...documented.map(({ method, operation }) => ({ id: operation.operationId, methods: [method] })))
  }
  const missing = named.filter(isUnknown)
  if (missing.length > 0) {
    const ids = new Set(known.map(({ id }) => id).filter(Boolean))
    throw new SessionError('FST_SESSION_OPTIONS', `no route has the operationId ${missing.map((id) => JSON.stringify(id)).join(' or ')}, which the ` +
      `option \`openapi\` names: give it to that route as \`schema: { operationId }\`. There are: ${[...ids].join(', ') || 'none'}`)
  }
  if (operations.status === undefined || known.some(({ id, methods }) => id === operations.status && methods.includes('GET'))) return
  throw new SessionError('FST_SESSION_OPTIONS', `the operation ${JSON.stringify(operations.status)}, which \`openapi.status\` names, is asked ` +
    'without a click, so it has to be a GET: name the route that tells who is signed in')
}
