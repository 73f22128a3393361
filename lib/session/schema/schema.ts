import { copyJson, type Data, isObject } from '../json.js'

/** The parts of a schema that the codec needs, for a schema of any library. */
export interface DataSchema {
  /** Returns whether data fit. Never throws. */
  fits (data: unknown): data is Data
  /** Says where data do not fit and what is expected there. Never quotes the value, which may be a secret. */
  problem (data: unknown): string
  /** Returns data with the schema's defaults filled in: a copy, or the data themselves if nothing was added. Never throws. */
  withDefaults (data: Data): unknown
}

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

/** The schema that accepts any data. */
export const anyObject: DataSchema = { fits: isObject, problem: () => 'an object is expected', withDefaults: (data) => data }

/** Makes a `DataSchema` from the functions that check it. `fill` must not change its argument. */
export function checked ({ check, errors, fill }: Checker): DataSchema {
  return {
    // TypeBox accepts some arrays as objects, and throws for some values that do not fit.
    fits: (data): data is Data => isObject(data) && attempt(() => check(data)) === true,
    problem (data) {
      if (!isObject(data)) return anyObject.problem(data)
      const [{ instancePath, path = instancePath, message = 'the value is not accepted' } = { path: '' }] = attempt(() => errors(data)) ?? []
      return path === undefined ? message : `${path || 'the data'}: ${message}`
    },
    withDefaults: (data) => attempt(() => fill(data)) ?? data
  }
}

/** Makes a `DataSchema` from a schema in the form of JSON Schema and the functions that check it. `fill` may change its argument. */
export function checkedBy (schema: object, { fill, ...others }: Checker): DataSchema {
  // If a schema cannot be written as JSON, one of its defaults may be the reason.
  const hasDefaults = attempt(() => /"(?:default|\$ref)":/.test(JSON.stringify(schema))) ?? true
  return checked({ ...others, fill: (data) => hasDefaults ? fill(copyJson(data)) : data })
}

/** Returns the result of `work`, `undefined` if it throws. */
export function attempt<T> (work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
