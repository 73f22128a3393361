import type { FastifyBaseLogger, RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import { describeSessions } from '../document/describe.js'
import type { OpenApiDocument } from '../document/openapi.js'
import type { DocumentedScheme } from '../document/scheme.js'
import { withoutSessions } from '../document/swagger2.js'
import { explain, peek } from './base.js'
import { generate, settle, type DocumentedRoute } from './generate.js'
import { yamlWriter } from './yaml.js'

/** The function that @fastify/swagger decorates an instance with. */
export type Swagger = (options?: { yaml?: boolean }) => OpenApiDocument | string

/** One registered scheme, and the routes declared in its scope. */
export interface Registration {
  readonly scheme: DocumentedScheme
  readonly routes: () => readonly DocumentedRoute[]
}

/** One decorator of @fastify/swagger, and the session schemes that its document describes. */
export class DocumentSource {
  readonly #original: Swagger
  readonly #log: FastifyBaseLogger
  readonly #registrations: Registration[] = []
  /** Once it was made: @fastify/swagger makes one document, and returns that one ever after. */
  #described: { readonly document: OpenApiDocument, yaml?: string } | undefined
  /** The document that @fastify/swagger starts from, once it is known; `static` if it only returns a document that was written by hand. */
  #base: OpenApiDocument | 'static' | undefined

  constructor (original: Swagger, log: FastifyBaseLogger) {
    this.#original = original
    this.#log = log
  }

  /** @throws `FST_SESSION_OPTIONS` if the document would need one name for two cookies */
  add (registration: Registration): void {
    if (this.#registrations.includes(registration)) return
    const { name, cookie } = registration.scheme
    const other = this.#registrations.find(({ scheme }) => scheme.name === name && scheme.cookie !== cookie)
    if (other !== undefined) {
      throw invalidOptions(`one document cannot tell two schemes "${name}" apart, one with the cookie "${other.scheme.cookie}" and one with ` +
        `"${cookie}": give one of the registrations another \`scheme\``)
    }
    this.#registrations.push(registration)
  }

  /** Stands in for the original. */
  readonly swagger: Swagger = (options) => {
    this.inspect()
    if (this.#base === 'static') return this.#original(options)
    const described = this.#described ??= { document: this.#describe() }
    return options?.yaml ? described.yaml ??= yamlWriter(import.meta.url)(described.document) : described.document
  }

  /**
   * Checks what the app gave @fastify/swagger.
   * @throws `FST_SESSION_OPTIONS` if the document would claim what is not enforced, or cannot be made
   */
  inspect (): void {
    const base = this.#base ??= this.#explaining(() => peek(this.#make, this.#routes))
    if (base !== 'static') this.#refuseClaims(base)
  }

  #refuseClaims ({ security }: OpenApiDocument): void {
    const claimed = security?.flatMap((requirement) => Object.keys(requirement)).find((name) => this.#sessions.has(name))
    if (claimed === undefined) return
    throw invalidOptions(`the document's own \`security\` names "${claimed}", which is not enforced there: ` +
      `take it out, and give this plugin \`security: [{ ${JSON.stringify(claimed)}: [] }]\`, which is enforced and documented`)
  }

  #describe (): OpenApiDocument {
    const [routes, sessions] = [this.#routes, this.#sessions]
    const generated = this.#explaining(() => generate(this.#make, routes, sessions))
    this.#refuseClaims(generated)
    return this.#withSessions(settle(generated, routes, sessions))
  }

  #withSessions (document: OpenApiDocument): OpenApiDocument {
    if (document.swagger === undefined) return describeSessions(document, this.#registrations.map(({ scheme }) => scheme))
    this.#log.warn('Swagger 2.0 cannot describe sessions that are kept in cookies: they are enforced, but left out of the document. ' +
      'Give @fastify/swagger the option `openapi`, and the document is OpenAPI 3 and complete')
    return withoutSessions(document, this.#sessions)
  }

  readonly #make = (): OpenApiDocument => this.#original() as OpenApiDocument

  #explaining<T> (step: () => T): T {
    try {
      return step()
    } catch (error) {
      throw explain(error, this.#base === 'static' ? undefined : this.#base, this.#routes, this.#sessions)
    }
  }

  get #sessions (): ReadonlySet<string> {
    return new Set(this.#registrations.map(({ scheme }) => scheme.name))
  }

  /** Each route once. Registrations that share a route got the same plan for it. */
  get #routes (): readonly DocumentedRoute[] {
    const known = new Map<RouteOptions, DocumentedRoute>()
    for (const entry of this.#registrations.flatMap(({ routes }) => routes())) if (!known.has(entry.route)) known.set(entry.route, entry)
    return [...known.values()]
  }
}
