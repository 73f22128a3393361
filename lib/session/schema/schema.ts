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

/** The functions of a library that checks data without changing them. Each may throw. */
export interface Checker {
  check (data: Data): unknown
  /** Returns the parts that do not fit. */
  errors (data: Data): Iterable<{ readonly path: string, readonly message?: string | undefined }>
  /** Fills the schema's defaults into data, and returns the result. */
  fill (data: Data): unknown
}

/** The schema that accepts any data. */
export const anyObject: DataSchema = {
  fits: isObject,
  problem: () => 'an object is expected',
  withDefaults: (data) => data
}

/** Makes a `DataSchema` from a schema in the form of JSON Schema and the functions that check it. */
export function checkedBy (schema: object, { check, errors, fill }: Checker): DataSchema {
  // If a schema cannot be written as JSON, one of its defaults may be the reason.
  const hasDefaults = attempt(() => /"(?:default|\$ref)":/.test(JSON.stringify(schema))) ?? true
  return {
    fits (data): data is Data {
      try {
        // TypeBox accepts some arrays as objects, and throws for some values that do not fit.
        return isObject(data) && check(data) === true
      } catch {
        return false
      }
    },
    problem (data) {
      if (!isObject(data)) return 'an object is expected'
      const [{ path, message = 'the value is not accepted' } = { path: '' }] = attempt(() => errors(data)) ?? []
      return `${path === '' ? 'the data' : path}: ${message}`
    },
    withDefaults: (data) => hasDefaults ? attempt(() => fill(copyJson(data))) ?? data : data
  }
}

/** Returns the result of `work`, `undefined` if it throws. */
export function attempt<T> (work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
