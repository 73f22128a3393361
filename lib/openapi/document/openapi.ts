import type { SecurityRequirement } from '../../routing/requirement.js'

type Extensible = Record<string, unknown>
type Named<T> = Readonly<Record<string, T | undefined>>

/** The parts of an OpenAPI document (2.0 to 3.2) that the plugin reads or writes. */
export interface OpenApiDocument extends Extensible {
  openapi?: string
  swagger?: string
  security?: readonly SecurityRequirement[]
  components?: Components
  /** The security schemes in Swagger 2.0. */
  securityDefinitions?: object
  paths?: Readonly<Record<string, Extensible>>
}
export type Components = Partial<Record<'schemas' | 'responses' | 'headers' | 'securitySchemes', Named<object>>>
export type Operation = Extensible & { operationId?: string, security?: readonly SecurityRequirement[], responses?: Named<Response> }
export type Response = Extensible & { $ref?: string, headers?: object }

/** An operation with its place in the document. `method` is in upper case. */
export type PlacedOperation = Readonly<{ method: string, path: string, item: Extensible, operation: Operation }>

const METHOD_FIELDS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'])

/** Returns a copy of the document with each operation replaced by the result of `change`, if any. Shares the rest with the original. */
export function mapOperations (document: OpenApiDocument, change: (placed: PlacedOperation) => Operation | void): OpenApiDocument {
  const paths = mapValues(document.paths ?? {}, (item, path) => mapValues(item, (value, key) => {
    if (METHOD_FIELDS.has(key)) return change({ method: key.toUpperCase(), path, item, operation: value as Operation }) ?? value
    if (key !== 'additionalOperations') return value
    // OpenAPI 3.2: other methods by name, in the case in which they are sent.
    return mapValues(value as Record<string, Operation>, (operation, method) => change({ method, path, item, operation }) ?? operation)
  }))
  return { ...document, paths }
}

export function mapValues<T, R> (values: Readonly<Record<string, T>>, map: (value: T, key: string) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value, key)]))
}

export function operationsOf (document: OpenApiDocument): PlacedOperation[] {
  const found: PlacedOperation[] = []
  mapOperations(document, (placed) => { found.push(placed) })
  return found
}
