import type { SecurityRequirement } from '../../routing/requirement.js'

/** The parts of an OpenAPI document (2.0 to 3.2) that are read or written here; everything else passes through as it is. */
export interface OpenApiDocument extends Extensible {
  openapi?: string
  swagger?: string
  security?: readonly SecurityRequirement[]
  components?: Components
  paths?: Paths
}

export interface Components extends Extensible {
  schemas?: ComponentMap
  responses?: ComponentMap
  headers?: ComponentMap
  securitySchemes?: ComponentMap
}

export type ComponentMap = Readonly<Record<string, object | undefined>>

type Paths = Readonly<Record<string, PathItem>>

export interface PathItem extends Extensible {
  /** OpenAPI 3.2: the methods that have no field of their own, in the case they are sent in. */
  additionalOperations?: Readonly<Record<string, Operation>>
}

export interface Operation extends Extensible {
  operationId?: string
  security?: readonly SecurityRequirement[]
  responses?: Readonly<Record<string, Response | undefined>>
}

export interface Response extends Extensible {
  $ref?: string
  headers?: Readonly<Record<string, object>>
}

interface Extensible {
  [key: string]: unknown
}

/** `method` as it is sent: upper case. */
export type OperationChange = (operation: Operation, method: string, pathItem: PathItem) => Operation

const METHOD_FIELDS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'])

/**
 * Returns the document with each operation replaced by what `change` returns for it. Where `change` returns the same object,
 * the path item and the document around it stay the same objects too.
 */
export function mapOperations (document: OpenApiDocument, change: OperationChange): OpenApiDocument {
  return mapValues(document, (value, key) => key === 'paths' ? mapValues(value as Paths, (item) => mapPathItem(item, change)) : value)
}

function mapPathItem (item: PathItem, change: OperationChange): PathItem {
  return mapValues(item, (value, key) => {
    if (METHOD_FIELDS.has(key)) return change(value as Operation, key.toUpperCase(), item)
    if (key !== 'additionalOperations') return value
    return mapValues(value as Record<string, Operation>, (operation, method) => change(operation, method, item))
  })
}

/** Returns a copy of `values` with each value mapped, or `values` itself if no value changed. */
export function mapValues<T, V extends Readonly<Record<string, T>>> (values: V, map: (value: V[string], key: string) => T): V {
  let changed: Record<string, T> | undefined
  for (const key of Object.keys(values)) {
    const value = values[key] as V[string]
    const mapped = map(value, key)
    if (mapped !== value) (changed ??= { ...values })[key] = mapped
  }
  return (changed as V | undefined) ?? values
}

/** An operation and where it stands: `method` in upper case, `path` as the document has it. */
export interface PlacedOperation {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

/** Returns all operations of a document. */
export function operationsOf (document: OpenApiDocument): PlacedOperation[] {
  const found: PlacedOperation[] = []
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    mapPathItem(item, (operation, method) => {
      found.push({ method, path, operation })
      return operation
    })
  }
  return found
}
