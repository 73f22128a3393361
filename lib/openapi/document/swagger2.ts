import { mapOperations, type OpenApiDocument } from './openapi.js'

/**
 * Returns a Swagger 2.0 document without the session schemes, which it cannot describe: its API keys are never cookies. An
 * alternative that needs a session is left out as a whole, because the rest of it alone lets no request in.
 */
export function withoutSessions (document: OpenApiDocument, names: ReadonlySet<string>): OpenApiDocument {
  return mapOperations(document, (operation) => {
    const without = operation.security?.filter((requirement) => !Object.keys(requirement).some((name) => names.has(name)))
    return without === undefined || without.length === operation.security?.length ? operation : { ...operation, security: without }
  })
}
