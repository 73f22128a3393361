import type { SecurityRequirement } from '../../routing/requirement.js'

interface Extensible {
  [key: string]: unknown
}

/** The parts of an OpenAPI document (2.0 to 3.2) that the plugin reads or writes. */
export interface OpenApiDocument extends Extensible {
  openapi?: string
  swagger?: string
  security?: readonly SecurityRequirement[]
  components?: Components
  paths?: Readonly<Record<string, Extensible>>
}

export type Components = Partial<Record<'schemas' | 'responses' | 'headers' | 'securitySchemes', Readonly<Record<string, object | undefined>>>>

export interface Operation extends Extensible {
  operationId?: string
  security?: readonly SecurityRequirement[]
  responses?: Readonly<Record<string, Response | undefined>>
}

export interface Response extends Extensible {
  $ref?: string
  headers?: Readonly<Record<string, object>>
}

/** An operation with its place in the document. `method` is in upper case. */
export interface PlacedOperation {
  readonly method: string
  readonly path: string
  readonly item: Extensible
  readonly operation: Operation
}

const METHOD_FIELDS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'])

/** Returns a copy of the document with each operation replaced by the result of `change`. Shares the rest with the original. */
export function mapOperations (document: OpenApiDocument, change: (placed: PlacedOperation) => Operation): OpenApiDocument {
  if (document.paths === undefined) return document
  const paths = mapValues(document.paths, (item, path) => mapValues(item, (value, key) => {
    if (METHOD_FIELDS.has(key)) return change({ method: key.toUpperCase(), path, item, operation: value as Operation })
    if (key !== 'additionalOperations') return value
    // OpenAPI 3.2: other methods by name, in the case in which they are sent.
    return mapValues(value as Record<string, Operation>, (operation, method) => change({ method, path, item, operation }))
  }))
  return { ...document, paths }
}

export function mapValues<T, R> (values: Readonly<Record<string, T>>, map: (value: T, key: string) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value, key)]))
}

export function operationsOf (document: OpenApiDocument): PlacedOperation[] {
  const found: PlacedOperation[] = []
  mapOperations(document, (placed) => {
    found.push(placed)
    return placed.operation
  })
  return found
}
