import type { FastifyBaseLogger } from 'fastify'
import { must } from '../../errors.js'
import type { Scheme } from '../../options/scheme.js'
import type { Registry } from '../../routing/registry.js'
import { describeSessions, withoutSessions } from '../document/describe.js'
import type { OpenApiDocument } from '../document/openapi.js'
import { clearerError, generate, peek, type Routes } from './generate.js'
import { yamlWriter } from './yaml.js'

/** The function that @fastify/swagger decorates an instance with. */
export type Swagger = (options?: { yaml?: boolean }) => OpenApiDocument | string

/** One registered scheme, and the routes declared in its scope. */
export interface Registration {
  readonly scheme: Scheme
  readonly registry: Registry
}

/** One decorator of @fastify/swagger, and the session schemes that its document describes. */
export class DocumentSource {
  readonly #original: Swagger
  readonly #log: FastifyBaseLogger
  readonly #registrations = new Set<Registration>()
  /** The finished document. @fastify/swagger makes its document only once. */
  #described: { readonly document: OpenApiDocument, yaml?: string } | undefined
  /** The document that @fastify/swagger starts from, once known; `static` if it returns a document that was written by hand. */
  #base: OpenApiDocument | 'static' | undefined

  constructor (original: Swagger, log: FastifyBaseLogger) {
    this.#original = original
    this.#log = log
  }

  /** @throws `FST_SESSION_OPTIONS` if the document would need one name for two cookies */
  add (registration: Registration): void {
    const { name, cookie } = registration.scheme
    const other = this.#schemes.find((scheme) => scheme.name === name && scheme.cookie.name !== cookie.name)
    must(other === undefined, `one document cannot tell two schemes "${name}" apart, one with the cookie "${other?.cookie.name}" and one with ` +
      `"${cookie.name}": give one of the registrations another \`scheme\``)
    this.#registrations.add(registration)
  }

  /** Replaces the original decorator. */
  readonly swagger: Swagger = (options) => {
    this.inspect()
    if (this.#base === 'static') return this.#original(options)
    const described = this.#described ??= { document: this.#describe() }
    return options?.yaml ? described.yaml ??= yamlWriter(import.meta.url)(described.document) : described.document
  }

  /**
   * Checks the document that @fastify/swagger starts from.
   * @throws `FST_SESSION_OPTIONS` if the document names a session that is not enforced, or cannot be made
   */
  inspect (): void {
    this.#base ??= this.#make(peek)
    if (this.#base !== 'static') this.#refuseClaims(this.#base)
  }

  #refuseClaims ({ security = [] }: OpenApiDocument): void {
    const claimed = security.flatMap((requirement) => Object.keys(requirement)).find((name) => this.#names.has(name))
    must(claimed === undefined, `the document's own \`security\` names "${claimed}", which is not enforced there: ` +
      `take it out, and give this plugin \`security: [{ "${claimed}": [] }]\`, which is enforced and documented`)
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
    // Registrations that share a route have the same plan for it.
    const declared = [...this.#registrations].flatMap(({ registry }) => registry.compileAll())
    const routes = new Map(declared.map(({ route, plan }) => [route, plan?.requirement]))
    try {
      return step(() => this.#original() as OpenApiDocument, routes, this.#names)
    } catch (error) {
      throw clearerError(error, this.#base === 'static' ? undefined : this.#base, routes, this.#names)
    }
  }

  get #schemes (): readonly Scheme[] {
    return [...this.#registrations].map(({ scheme }) => scheme)
  }

  get #names (): ReadonlySet<string> {
    return new Set(this.#schemes.map(({ name }) => name))
  }
}
