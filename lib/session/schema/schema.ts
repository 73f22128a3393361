import { attempt } from '../../attempt.js'
import { copyJson, type Data, isObject } from '../json.js'

/** A part of data that does not fit. The two names of its JSON Pointer are those of the libraries. A fault of the schema has no place. */
export interface Fault { readonly path?: string, readonly instancePath?: string, readonly message?: string | undefined }

/** The functions of a library. Each may throw. */
export interface Checker {
  /** Returns `true` if data fit. Does not change the data. */
  check (data: Data): unknown
  errors (data: Data): Iterable<Fault>
  /** Returns data with the schema's defaults filled in. */
  fill (data: Data): unknown
}

/** The parts of a schema that the codec needs, for a schema of any library. None of them throws. */
export type DataSchema = ReturnType<typeof checked>

/** Makes a `DataSchema` from the functions that check it. `fill` must not change its argument. */
export function checked ({ check, errors, fill }: Checker) {
  return {
    // TypeBox accepts some arrays as objects, and throws for some values that do not fit.
    fits: (data: unknown): data is Data => isObject(data) && attempt(check, data) === true,
    /** Says where data do not fit and what is expected there. Never quotes the value, which may be a secret. */
    problem (data: unknown): string {
      if (!isObject(data)) return 'an object is expected'
      const { instancePath, path = instancePath, message = 'the value is not accepted' } = attempt(() => first(errors(data))) ?? { path: '' }
      return path === undefined ? message : `${path || 'the data'}: ${message}`
    },
    /** Returns data with the schema's defaults filled in: a copy, or the data themselves if nothing was added. */
    withDefaults: (data: Data): unknown => attempt(fill, data) ?? data
  }
}

/** The schema that accepts any data. */
export const anyObject = checked({ check: () => true, errors: () => [], fill: (data) => data })

/** Makes a `DataSchema` from a schema in the form of JSON Schema and the functions that check it. `fill` may change its argument. */
export function checkedBy (schema: object, { fill, ...others }: Checker): DataSchema {
  // If a schema cannot be written as JSON, one of its defaults may be the reason.
  const hasDefaults = attempt(() => /"(?:default|\$ref)":/.test(JSON.stringify(schema))) ?? true
  return checked({ ...others, fill: (data) => hasDefaults ? fill(copyJson(data)) : data })
}

function first<T> ([item]: Iterable<T>): T | undefined { return item }
