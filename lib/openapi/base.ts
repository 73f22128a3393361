import type { RouteOptions } from 'fastify'
import { SessionError } from '../errors.js'
import { replace } from './curtain.js'
import type { OpenApiDocument } from './openapi.js'

type Transform = (seen: { openapiObject?: OpenApiDocument, swaggerObject?: OpenApiDocument }) => never

/**
 * What a dynamic @fastify/swagger starts its document from, before the first of `routes`; `static` where it does not make
 * one out of routes. Its own door to that is the `swaggerTransform` of a route's config, which is handed the unfinished
 * document: here it stops the work as soon as it is called.
 */
export function peek (generate: () => OpenApiDocument, routes: Iterable<RouteOptions>): OpenApiDocument | 'static' {
  let base: OpenApiDocument | undefined
  const stop = new Error('enough seen')
  const swaggerTransform: Transform = ({ openapiObject, swaggerObject }) => {
    base = openapiObject ?? swaggerObject
    throw stop
  }
  const undo = Array.from(routes, (route) => replace(route, 'config', { ...route.config, swaggerTransform } as RouteOptions['config']))
  try {
    const document = generate()
    return undo.length === 0 ? document : 'static'
  } catch (error) {
    if (error === stop) return base as OpenApiDocument
    throw error
  } finally {
    for (const step of undo) step()
  }
}

/**
 * The sentence for what @fastify/swagger has only a TypeError for: a requirement that names a scheme which it does not know.
 * Any other error is given back as it is.
 * @param named - all schemes that the known routes name
 */
export function explain (
  error: unknown, base: OpenApiDocument | undefined, sessions: ReadonlySet<string>, named: ReadonlySet<string>
): unknown {
  if (!(error instanceof TypeError)) return error
  const read = /\(reading '(.+)'\)$/.exec(error.message)?.[1]
  const isAboutSchemes = read === 'type' || (read !== undefined && (sessions.has(read) || named.has(read))) || error.message.includes('securityDefinitions')
  if (!isAboutSchemes) return error
  return new SessionError('FST_SESSION_OPTIONS', `@fastify/swagger cannot make the document: ${reason(base, sessions, named)}`, { cause: error })
}

function reason (base: OpenApiDocument | undefined, sessions: ReadonlySet<string>, named: ReadonlySet<string>): string {
  const session = JSON.stringify([...sessions][0])
  if (base === undefined) {
    return `a route that was declared before fastify-openapi-session, or the document's own \`security\`, names a scheme such as ${session}. ` +
      'Register fastify-openapi-session before that route; what shall hold for all routes goes into its own option `security`'
  }
  const defined = base.swagger === undefined ? base.components?.securitySchemes : base['securityDefinitions']
  const unknown = [...named].filter((name) => !sessions.has(name) && !Object.hasOwn(defined ?? {}, name))
  if (unknown.length > 0) {
    const where = base.swagger === undefined ? 'openapi.components.securitySchemes' : 'swagger.securityDefinitions'
    return `its option \`${where}\` has to define ${unknown.map((name) => JSON.stringify(name)).join(', ')}, which \`security\` of a route names`
  }
  return `the \`security\` of a HEAD route that names ${session} is frozen. Leave it unfrozen, or declare \`exposeHeadRoute: false\``
}
