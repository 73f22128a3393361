import { operationsOf, type OpenApiDocument } from './openapi.js'

/** The facts of one registered session scheme that a document describes. */
export interface DocumentedScheme {
  /** Its name in `security` and in `components.securitySchemes`. */
  readonly name: string
  /** The cookie's real name. */
  readonly cookie: string
  /** For people who read the document. Default: a description that tells how to sign in. */
  readonly description: string | undefined
  /** operationIds of the routes that sign in, tell who is signed in, and sign out. */
  readonly operations: { readonly login?: string, readonly status?: string, readonly logout?: string }
  /** Header Objects of other plugins' headers, which every response has. */
  readonly headers: Readonly<Record<string, object>>
  /** True if unsafe requests from pages of another origin are refused (403). */
  readonly crossOrigin: boolean
  /** True if there is a store, which may not work (503). Sealed cookies that adopt no other sessions have none. */
  readonly persistentStore: boolean
  /** Name or names under which @fastify/swagger decorated the instance: its option `decorator`, `swagger` by default. */
  readonly decorator: string | readonly string[]
}

/**
 * Returns the Security Scheme Object (OpenAPI 3, 4.8.27): a cookie is an API key to OpenAPI. What the app wrote under the
 * same name is kept, except the facts that tools act upon. `x-session` names the operations that sign in and out.
 */
export function securityScheme (document: OpenApiDocument, scheme: DocumentedScheme): object {
  return {
    description: scheme.description ?? describe(document, scheme),
    ...document.components?.securitySchemes?.[scheme.name],
    type: 'apiKey',
    in: 'cookie',
    name: scheme.cookie,
    'x-session': { ...scheme.operations }
  }
}

function describe (document: OpenApiDocument, { cookie, operations: { login, logout } }: DocumentedScheme): string {
  const operations = operationsOf(document)
  const call = (operationId: string): string => {
    const where = operations.find(({ operation }) => operation.operationId === operationId)
    return `the operation \`${operationId}\`${where === undefined ? '' : ` (\`${where.method} ${where.path}\`)`}`
  }
  const signIn = login === undefined ? 'sign in to this site in this browser' : `run ${call(login)}`
  return `A session, kept in the cookie \`${cookie}\`. To sign in, ${signIn}: the server sets the cookie, and the browser sends it with ` +
    'every request to this origin. No script can read or write it (HttpOnly), so it cannot be typed in here.' +
    (logout === undefined ? '' : ` To sign out, run ${call(logout)}.`)
}
