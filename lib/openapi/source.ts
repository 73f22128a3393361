import type { FastifyBaseLogger } from 'fastify'
import { SessionError } from '../errors.js'
import { explain, peek } from './base.js'
import { generateBehindCurtain, settle } from './curtain.js'
import { describeSessions } from './document.js'
import type { OpenApiDocument } from './openapi.js'
import { guardedRoutes, routesOf, schemesIn, type Registration } from './routes.js'
import { withoutSessions } from './swagger2.js'
import { yamlWriter } from './yaml.js'

/** The function that @fastify/swagger decorates an instance with. */
export type Swagger = (options?: { yaml?: boolean }) => OpenApiDocument | string

/** One decorator of @fastify/swagger, and the session schemes that its document tells of. */
export class DocumentSource {
  readonly #original: Swagger
  readonly #log: FastifyBaseLogger
  readonly #registrations: Registration[] = []
  /** By the document as @fastify/swagger made it: it makes one, and hands out that one ever after. */
  readonly #described = new WeakMap<OpenApiDocument, { readonly document: OpenApiDocument, yaml?: string }>()
  /** What @fastify/swagger starts from, once that is known; `static` where it only hands out what somebody wrote. */
  #base: OpenApiDocument | 'static' | undefined

  constructor (original: Swagger, log: FastifyBaseLogger) {
    this.#original = original
    this.#log = log
  }

  /** @throws {SessionError} `FST_SESSION_OPTIONS` when the document would need one name for two cookies */
  add (registration: Registration): void {
    if (this.#registrations.includes(registration)) return
    const { name, cookie } = registration.scheme
    const other = this.#registrations.find(({ scheme }) => scheme.name === name && scheme.cookie !== cookie)
    if (other !== undefined) {
      throw new SessionError('FST_SESSION_OPTIONS', `one document cannot tell two schemes "${name}" apart, one with the cookie ` +
        `"${other.scheme.cookie}" and one with "${cookie}": give one of the registrations another \`scheme\``)
    }
    this.#registrations.push(registration)
  }

  /** Stands in for the original. */
  readonly swagger: Swagger = (options) => {
    this.inspect()
    if (this.#base === 'static') return this.#original(options)
    const described = this.#describe()
    return options?.yaml ? described.yaml ??= yamlWriter(import.meta.url)(described.document) : described.document
  }

  /**
   * Looks at what the app gave @fastify/swagger.
   * @throws {SessionError} `FST_SESSION_OPTIONS` where the document would claim what nobody enforces, or cannot be made
   */
  inspect (): void {
    const base = this.#base ??= this.#explaining(() => peek(this.#generate, routesOf(this.#registrations)))
    if (base === 'static') return
    this.#refuseClaims(base)
  }

  #refuseClaims ({ security }: OpenApiDocument): void {
    const claimed = [...schemesIn(security)].find((name) => this.#sessions.has(name))
    if (claimed === undefined) return
    throw new SessionError('FST_SESSION_OPTIONS', `the document's own \`security\` names "${claimed}", which nobody enforces there: ` +
      `take it out, and give this plugin \`security: [{ ${JSON.stringify(claimed)}: [] }]\`, which is enforced and documented`)
  }

  #describe (): { readonly document: OpenApiDocument, yaml?: string } {
    const guarded = guardedRoutes(this.#registrations)
    const generated = this.#explaining(() => generateBehindCurtain(this.#generate, guarded, this.#sessions))
    let described = this.#described.get(generated)
    if (described === undefined) {
      this.#refuseClaims(generated)
      described = { document: this.#withSessions(settle(generated, guarded, this.#sessions)) }
      this.#described.set(generated, described)
    }
    return described
  }

  #withSessions (document: OpenApiDocument): OpenApiDocument {
    if (document.swagger === undefined) return describeSessions(document, this.#registrations.map(({ scheme }) => scheme))
    this.#log.warn('Swagger 2.0 cannot describe sessions that are kept in cookies: they are enforced, but left out of the document. ' +
      'Give @fastify/swagger the option `openapi`, and the document is OpenAPI 3 and complete')
    return withoutSessions(document, this.#sessions)
  }

  readonly #generate = (): OpenApiDocument => this.#original() as OpenApiDocument

  #explaining<T> (step: () => T): T {
    try {
      return step()
    } catch (error) {
      const named = new Set(Array.from(routesOf(this.#registrations)).flatMap(({ schema }) => [...schemesIn(schema?.security)]))
      throw explain(error, this.#base === 'static' ? undefined : this.#base, this.#sessions, named)
    }
  }

  get #sessions (): ReadonlySet<string> {
    return new Set(this.#registrations.map(({ scheme }) => scheme.name))
  }
}
