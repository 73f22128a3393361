import { createRequire } from 'node:module'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { attempt } from '../../attempt.js'
import { invalidOptions, must } from '../../errors.js'
import type { Scheme } from '../../options/scheme.js'
import type { DeclaredRoute, Registry } from '../../routing/registry.js'
import { describeSessions, withoutSessions } from '../document/describe.js'
import { requirementOf } from '../document/errors.js'
import { type OpenApiDocument, operationsOf } from '../document/openapi.js'
import { generate, makeShowable, peek } from './generate.js'

/** The function that @fastify/swagger decorates an instance with. */
type Swagger = (options?: { yaml?: boolean }) => OpenApiDocument | string

/** The sources, by the function that replaces the decorator of @fastify/swagger. */
const sources = new WeakMap<Swagger, DocumentSource>()

/**
 * Makes the documents of @fastify/swagger describe a session scheme. That plugin may be registered before or after this one, in
 * any context. Does nothing without it. Does not change routes, schemas, validators or serializers.
 *
 * Call it once for each registration. `ready()` then fails with `FST_SESSION_OPTIONS` if an operation of the option `openapi` is
 * missing or unsuitable, or if the document's own `security` or a route that was declared too early names the scheme.
 */
export function documentSession (app: FastifyInstance, scheme: Scheme, registry: Registry): void {
  const instances = [app]
  const find = (): DocumentSource[] => [...new Set(instances.flatMap((instance) => sourceOf(instance, scheme, registry) ?? []))]
  // The hooks of a child context run after those of its parent. Then @fastify/swagger is ready, even if it was registered later.
  app.register(async function sessionDocument (child) { child.addHook('onReady', async () => check(find(), scheme, registry)) })
  if (registry.own.length === 1) app.addHook('onRoute', makeShowable)
  app.addHook('onRegister', (instance) => { instances.push(instance) })
  app.addHook('onReady', async () => { find() })
  find()
}

/** Adds a scheme to the source for the decorator that an instance has or inherits. Replaces the decorator. */
function sourceOf (instance: FastifyInstance, scheme: Scheme, registry: Registry): DocumentSource | undefined {
  const { decorator = 'swagger' } = scheme.settings.openapi
  let owner = instance as unknown as Record<string, Swagger | undefined>
  const swagger = owner[decorator]
  if (swagger === undefined) return undefined
  const source = sources.get(swagger) ?? new DocumentSource(swagger, instance.log)
  source.add(scheme, registry)
  // Fastify's instances inherit by prototype.
  while (!Object.hasOwn(owner, decorator)) owner = Object.getPrototypeOf(owner) as typeof owner
  owner[decorator] = source.swagger
  return source
}

/** Checks the document's own `security`, and the operations that the option `openapi` names. */
function check (found: readonly DocumentSource[], { name, settings }: Scheme, registry: Registry): void {
  if (found.length === 0) return
  for (const source of found) source.inspect()
  const { login, status, logout } = settings.openapi
  const named = [login, status, logout].filter((id) => id !== undefined)
  const known = registry.compileAll().map(({ route: { schema, method }, plan }) =>
    ({ id: schema?.operationId, methods: [method].flat(), alternatives: plan?.requirement.alternatives ?? [] }))
  const operations = (id: string | undefined) => known.filter((operation) => id !== undefined && operation.id === id)
  const isMissing = (id: string): boolean => operations(id).length === 0
  // A `transform` may name the operations.
  const documented = named.some(isMissing) ? found.flatMap((source) => operationsOf(source.swagger() as OpenApiDocument)) : []
  known.push(...documented.map(({ method, operation: { operationId, security } }) =>
    ({ id: operationId, methods: [method], alternatives: requirementOf(security, (scheme) => scheme === name).alternatives })))
  const missing = named.filter(isMissing).map((id) => JSON.stringify(id))
  must(missing.length === 0, `no route has the operationId ${missing.join(' or ')}, which the option \`openapi\` names: give it to that route as \`schema: { operationId }\`. There are: ${[...new Set(known.flatMap(({ id }) => id ?? []))].join(', ') || 'none'}`)
  const needsItself = operations(login).some(({ alternatives }) => alternatives.length > 0 &&
    alternatives.every((conditions) => conditions.some(({ scheme }) => scheme === name)))
  // Without the option `principal`, a guest's session satisfies the requirement.
  must(!needsItself || settings.principal === undefined, `the operation "${login}", which \`openapi.login\` names, requires the session "${name}" itself, so that no user could sign in: write schema: { security: [{}, { ${JSON.stringify(name)}: [] }] } for that route`)
  must(status === undefined || operations(status).some(({ methods }) => methods.includes('GET')), `the operation "${status}", which \`openapi.status\` names, is called automatically, so it must be a GET: name the route that returns who is signed in`)
}

/** One decorator of @fastify/swagger, and the session schemes that its document describes. */
class DocumentSource {
  readonly #original: Swagger
  readonly #log: FastifyBaseLogger
  /** The schemes, each with the registry of the routes in its scope. */
  readonly #registries = new Map<Scheme, Registry>()
  /** The finished document. @fastify/swagger makes its document only once. */
  #described: { readonly document: OpenApiDocument, yaml?: string } | undefined
  /** The document that @fastify/swagger starts from, once known; `static` if it returns a document that was written by hand. */
  #base: ReturnType<typeof peek>

  constructor (original: Swagger, log: FastifyBaseLogger) {
    this.#original = original
    this.#log = log
    sources.set(this.swagger, this)
  }

  /** Adds a scheme, if it is new. @throws `FST_SESSION_OPTIONS` if the document would need one name for two cookies */
  add (scheme: Scheme, registry: Registry): void {
    const { name, cookie } = scheme
    const other = this.#schemes.find((known) => known.name === name && known.cookie.name !== cookie.name)
    must(other === undefined, `one document cannot tell two schemes "${name}" apart, one with the cookie "${other?.cookie.name}" and one with "${cookie.name}": give one of the registrations another \`scheme\``)
    this.#registries.set(scheme, registry)
  }

  readonly swagger: Swagger = (options) => {
    this.inspect()
    if (this.#base === 'static') return this.#original(options)
    const described = this.#described ??= { document: this.#describe() }
    return options?.yaml ? described.yaml ??= yamlWriter(import.meta.url)(described.document) : described.document
  }

  /** @throws `FST_SESSION_OPTIONS` if the document's own `security` names a session, or the document cannot be made */
  inspect (): void {
    this.#base ??= peek(this.#make, this.#routes)
    if (typeof this.#base === 'object') this.#refuseClaims(this.#base)
  }

  #describe (): OpenApiDocument {
    const document = generate(this.#make, this.#routes, this.#names)
    this.#refuseClaims(document)
    if (document.swagger === undefined) return describeSessions(document, this.#schemes)
    this.#log.warn('Swagger 2.0 cannot describe sessions that are kept in cookies: they are enforced, but left out of the document. Give @fastify/swagger the option `openapi`, and the document is OpenAPI 3 and complete')
    return withoutSessions(document, this.#names)
  }

  /** Calls @fastify/swagger. It throws a `TypeError` for a scheme that its document does not define. */
  readonly #make = (): OpenApiDocument => {
    try {
      return this.#original() as OpenApiDocument
    } catch (error) {
      const others = this.#schemes.flatMap(({ settings }) => [...settings.verifiers.keys()])
      const signs = ['securityDefinitions', ...['type', ...this.#names, ...others].map((name) => `(reading '${name}')`)]
      if (!(error instanceof TypeError) || !signs.some((sign) => error.message.includes(sign))) throw error
      const { swagger, components, securityDefinitions } = (this.#base ?? {}) as OpenApiDocument
      const defined = { ...components?.securitySchemes, ...securityDefinitions }
      const missing = [...new Set(others)].filter((name) => this.#base && !Object.hasOwn(defined, name)).map((name) => JSON.stringify(name))
      throw invalidOptions('@fastify/swagger cannot make the document: ' + (missing.length > 0
        ? `its option \`${swagger ? 'swagger.securityDefinitions' : 'openapi.components.securitySchemes'}\` has to define ${missing.join(', ')}, which the \`security\` of a route names`
        : `a route that was declared before fastify-openapi-session, or the document's own \`security\`, names a scheme such as ${JSON.stringify([...this.#names][0])}. Write \`await app.register(sessionPlugin, ...)\` before that route. What should hold for all routes goes into its own option \`security\``), error)
    }
  }

  #refuseClaims ({ security = [] }: OpenApiDocument): void {
    const claimed = security.flatMap((requirement) => Object.keys(requirement)).find((name) => this.#names.has(name))
    must(claimed === undefined, `the document's own \`security\` names "${claimed}", which is not enforced there: take it out, and give this plugin \`security: [{ "${claimed}": [] }]\`, which is enforced and documented`)
  }

  /** The routes of all registries, some of them twice, with one plan. */
  get #routes (): DeclaredRoute[] { return [...this.#registries.values()].flatMap((registry) => registry.compileAll()) }
  get #schemes (): readonly Scheme[] { return [...this.#registries.keys()] }
  get #names (): ReadonlySet<string> { return new Set(this.#schemes.map(({ name }) => name)) }
}

/** Returns a function that writes YAML with the dependency `yaml` of the @fastify/swagger that the file `from` resolves. */
export function yamlWriter (from: string | URL): (document: object) => string {
  interface Yaml { stringify (value: unknown, options: object): string }
  const yaml = attempt(() => createRequire(createRequire(from).resolve('@fastify/swagger'))('yaml') as Yaml)
  // An app that is bundled into one file has no packages. YAML 1.2 is a superset of JSON.
  return (document) => yaml?.stringify(document, { strict: false }) ?? `${JSON.stringify(document, null, 2)}\n`
}
