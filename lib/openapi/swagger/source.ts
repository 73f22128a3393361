import type { FastifyBaseLogger, RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import type { Requirement } from '../../routing/requirement.js'
import { describeSessions, withoutSessions } from '../document/describe.js'
import type { OpenApiDocument } from '../document/openapi.js'
import type { DocumentedScheme } from '../document/scheme.js'
import { explain, generate, peek, type Routes } from './generate.js'
import { yamlWriter } from './yaml.js'

/** The function that @fastify/swagger decorates an instance with. */
export type Swagger = (options?: { yaml?: boolean }) => OpenApiDocument | string

/** A route and what it requires. */
export interface DocumentedRoute {
  /** The object that the `onRoute` hooks received: @fastify/swagger knows the route by it. */
  readonly route: RouteOptions
  /** The compiled `security` of the route, or of the plugin option that stands in for it. Undefined if the route requires nothing. */
  readonly requirement: Requirement | undefined
}

/** One registered scheme, and the routes declared in its scope. */
export interface Registration {
  readonly scheme: DocumentedScheme
  readonly routes: () => readonly DocumentedRoute[]
}

/** One decorator of @fastify/swagger, and the session schemes that its document describes. */
export class DocumentSource {
  readonly #original: Swagger
  readonly #log: FastifyBaseLogger
  readonly #registrations = new Set<Registration>()
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
    const { name, cookie } = registration.scheme
    const other = this.#schemes.find((scheme) => scheme.name === name && scheme.cookie !== cookie)
    if (other !== undefined) {
      throw invalidOptions(`one document cannot tell two schemes "${name}" apart, one with the cookie "${other.cookie}" and one with ` +
        `"${cookie}": give one of the registrations another \`scheme\``)
    }
    this.#registrations.add(registration)
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
    this.#base ??= this.#make(peek)
    if (this.#base !== 'static') this.#refuseClaims(this.#base)
  }

  #refuseClaims ({ security }: OpenApiDocument): void {
    const claimed = security?.flatMap((requirement) => Object.keys(requirement)).find((name) => this.#names.has(name))
    if (claimed === undefined) return
    throw invalidOptions(`the document's own \`security\` names "${claimed}", which is not enforced there: ` +
      `take it out, and give this plugin \`security: [{ ${JSON.stringify(claimed)}: [] }]\`, which is enforced and documented`)
  }

  #describe (): OpenApiDocument {
    const document = this.#make(generate)
    this.#refuseClaims(document)
    if (document.swagger === undefined) return describeSessions(document, this.#schemes)
    this.#log.warn('Swagger 2.0 cannot describe sessions that are kept in cookies: they are enforced, but left out of the document. ' +
      'Give @fastify/swagger the option `openapi`, and the document is OpenAPI 3 and complete')
    return withoutSessions(document, this.#names)
  }

  #make<T> (step: (make: () => OpenApiDocument, routes: Routes, names: ReadonlySet<string>) => T): T {
    // Registrations that share a route got the same plan for it.
    const routes = new Map([...this.#registrations].flatMap((each) => each.routes().map(({ route, requirement }) => [route, requirement])))
    try {
      return step(() => this.#original() as OpenApiDocument, routes, this.#names)
    } catch (error) {
      throw explain(error, this.#base === 'static' ? undefined : this.#base, routes, this.#names)
    }
  }

  get #schemes (): readonly DocumentedScheme[] {
    return [...this.#registrations].map(({ scheme }) => scheme)
  }

  get #names (): ReadonlySet<string> {
    return new Set(this.#schemes.map(({ name }) => name))
  }
}
