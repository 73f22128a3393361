import type { RouteOptions } from 'fastify'
import { invalidOptions } from '../../errors.js'
import type { OpenApiDocument } from '../document/openapi.js'
import type { DocumentedRoute } from './generate.js'
import { fixedHeadRoute } from './heads.js'
import { show } from './show.js'

type Transform = (seen: { openapiObject?: OpenApiDocument, swaggerObject?: OpenApiDocument }) => never

/**
 * Returns the document that a dynamic @fastify/swagger starts from, before the first of `routes`; `static` if its document
 * does not come from routes. The `swaggerTransform` of a route's config receives the unfinished document: the one that is
 * shown here stops the work as soon as it is called.
 */
export function peek (make: () => OpenApiDocument, routes: readonly DocumentedRoute[]): OpenApiDocument | 'static' {
  let base: OpenApiDocument | undefined
  const stop = new Error('enough seen')
  const swaggerTransform: Transform = ({ openapiObject, swaggerObject }) => {
    base = openapiObject ?? swaggerObject
    throw stop
  }
  const undo = routes.map(({ route }) => show(route, 'config', { ...route.config, swaggerTransform } as RouteOptions['config']))
  try {
    const document = make()
    return undo.some((step) => step !== undefined) ? 'static' : document
  } catch (error) {
    if (error === stop) return base as OpenApiDocument
    throw error
  } finally {
    for (const step of undo.toReversed()) step?.()
  }
}

/**
 * Returns a sentence in place of the TypeError that @fastify/swagger throws when a requirement names a scheme that it does
 * not know. Returns any other error as it is.
 * @param base - what @fastify/swagger starts from, as far as it is known
 */
export function explain (
  error: unknown, base: OpenApiDocument | undefined, routes: readonly DocumentedRoute[], sessions: ReadonlySet<string>
): unknown {
  if (!(error instanceof TypeError)) return error
  const named = new Set(routes.flatMap(({ requirement }) => requirement?.alternatives.flat().map(({ scheme }) => scheme) ?? []))
  const read = /\(reading '(.+)'\)$/.exec(error.message)?.[1]
  const isAboutSchemes = read === 'type' || (read !== undefined && (sessions.has(read) || named.has(read))) || error.message.includes('securityDefinitions')
  if (!isAboutSchemes) return error
  const foreign = [...named].filter((name) => !sessions.has(name))
  const reason = (base && (unknownSchemes(base, foreign) ?? fixedHeadRoute(routes, sessions))) ??
    `a route that was declared before fastify-openapi-session, or the document's own \`security\`, names a scheme such as ${JSON.stringify([...sessions][0])}. ` +
    'Register fastify-openapi-session before that route. What should hold for all routes goes into its own option `security`'
  return invalidOptions(`@fastify/swagger cannot make the document: ${reason}`, error)
}

function unknownSchemes (base: OpenApiDocument, foreign: readonly string[]): string | undefined {
  const [option, defined] = base.swagger === undefined
    ? ['openapi.components.securitySchemes', base.components?.securitySchemes]
    : ['swagger.securityDefinitions', base['securityDefinitions']]
  const unknown = foreign.filter((name) => !Object.hasOwn(defined ?? {}, name)).map((name) => JSON.stringify(name))
  return unknown.length > 0 ? `its option \`${option}\` has to define ${unknown.join(', ')}, which \`security\` of a route names` : undefined
}
