import type {} from 'fastify'
import type { CheckedSchema } from '../types/security.js'

// Both as @fastify/swagger declares them, so that they are known without that package and agree with it.

declare module 'fastify' {
  interface FastifySchema extends CheckedSchema {
    /** The schemes that a request must satisfy: alternatives (OR) of requirements (AND). OpenAPI 3.1, Security Requirement Object. */
    security?: ReadonlyArray<{ [securityLabel: string]: readonly string[] }>
    /** The name of the route's operation, by which the option `openapi` of the plugin can name it. */
    operationId?: string
  }
}
