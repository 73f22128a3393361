import type { FastifyInstance } from 'fastify'
import { must, SessionError } from '../../errors.js'
import type { Scheme } from '../../options/scheme.js'
import type { Registry } from '../../routing/registry.js'
import { requirementOf } from '../document/errors.js'
import { operationsOf, type OpenApiDocument } from '../document/openapi.js'
import { makeShowable } from './show.js'
import { DocumentSource, type Registration, type Swagger } from './source.js'

/** The sources in use, by the function that replaces the decorator of @fastify/swagger. */
const sources = new WeakMap<Swagger, DocumentSource>()

/**
 * Makes the documents of @fastify/swagger describe a session scheme. That plugin may be registered before or after this one, in
 * any context. Does nothing without it. Does not change routes, schemas, validators or serializers.
 *
 * Call it once for each registration. `ready()` then fails with `FST_SESSION_OPTIONS` if an operation of the option `openapi` is
 * missing or unsuitable, or if the document's own `security` or a route that was declared too early names the scheme.
 */
export function documentSession (app: FastifyInstance, scheme: Scheme, registry: Registry): void {
  const registration: Registration = { scheme, registry }
  const { decorator = 'swagger' } = scheme.settings.openapi
  const instances = new Set<FastifyInstance>([app])
  const found = (): ReadonlySet<DocumentSource> => {
    const distinct = new Set([...instances].flatMap((instance) => sourceOf(instance, decorator) ?? []))
    for (const source of distinct) source.add(registration)
    return distinct
  }

  // The hooks of a child context run after those of its parent. Then @fastify/swagger is ready, even if it was registered later.
  app.register(async function sessionDocument (child) {
    child.addHook('onReady', async () => check([...found()], registration))
  })
  app.addHook('onRoute', makeShowable)
  app.addHook('onRegister', (instance) => { instances.add(instance) })
  app.addHook('onReady', async () => { found() })
  found()
}

/** Returns the source for the decorator that an instance has or inherits. Replaces the decorator at the first call. */
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
      // Other errors of @fastify/swagger are thrown when the document is requested.
      if (error instanceof SessionError) throw error
    }
  }
  if (found.length > 0) checkOperations(found, registration)
}

/** Checks the operations that the option `openapi` names. */
function checkOperations (found: readonly DocumentSource[], { scheme: { name, settings }, registry }: Registration): void {
  const { login, status, logout } = settings.openapi
  const named = [login, status, logout].filter((id) => id !== undefined)
  const known = registry.compileAll().map(({ route: { schema, method }, plan }) =>
    ({ id: schema?.operationId, methods: [method].flat(), alternatives: plan?.requirement.alternatives ?? [] }))
  // A `transform` may name the operations.
  if (!named.every((id) => known.some((operation) => operation.id === id))) {
    const documented = found.flatMap((source) => operationsOf(source.swagger() as OpenApiDocument))
    known.push(...documented.map(({ method, operation: { operationId, security } }) =>
      ({ id: operationId, methods: [method], alternatives: requirementOf(security, (scheme) => scheme === name).alternatives })))
  }
  const ids = [...new Set(known.flatMap(({ id }) => id ?? []))]
  const missing = named.filter((id) => !ids.includes(id)).map((id) => JSON.stringify(id))
  must(missing.length === 0, `no route has the operationId ${missing.join(' or ')}, which the option \`openapi\` names: ` +
    `give it to that route as \`schema: { operationId }\`. There are: ${ids.join(', ') || 'none'}`)
  const needsItself = known.some(({ id, alternatives }) => id !== undefined && id === login && alternatives.length > 0 &&
    alternatives.every((conditions) => conditions.some(({ scheme }) => scheme === name)))
  // Without the option `principal`, a guest's session satisfies the requirement.
  must(!needsItself || settings.principal === undefined, `the operation "${login}", which \`openapi.login\` names, requires the session "${name}" itself, so that no user could sign in: ` +
    `write schema: { security: [{}, { ${JSON.stringify(name)}: [] }] } for that route`)
  must(status === undefined || known.some(({ id, methods }) => id === status && methods.includes('GET')),
    `the operation "${status}", which \`openapi.status\` names, is called automatically, so it must be a GET: name the route that returns who is signed in`)
}
