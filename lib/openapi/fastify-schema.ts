import type {} from 'fastify'

declare module 'fastify' {
  interface FastifySchema {
    /**
     * What a request must bring: alternatives (OR) of requirements (AND), as in OpenAPI 3.1, "Security Requirement Object".
     * Declared exactly as @fastify/swagger declares it, so that it is known without that package and agrees with it.
     */
    security?: ReadonlyArray<{ [securityLabel: string]: readonly string[] }>
  }
}
