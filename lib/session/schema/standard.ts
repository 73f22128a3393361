import { must } from '../../errors.js'
import { type Data, isObject, isPlain, put, toJson } from '../json.js'
import { attempt, type DataSchema } from './schema.js'

/** A Standard Schema (version 1, standardschema.dev): Zod, Valibot, ArkType and others. */
interface Standard {
  readonly '~standard': {
    readonly vendor: string
    validate (value: unknown): Result | PromiseLike<Result>
  }
}

interface Result {
  readonly value?: unknown
  readonly issues?: readonly Issue[] | undefined
}

interface Issue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
  /** The expected type or value, in Zod, Valibot and ArkType. */
  readonly expected?: unknown
  /** The kind of the issue, in Zod and ArkType. */
  readonly code?: unknown
  /** The issues that this one consists of, in ArkType. */
  readonly errors?: readonly Issue[]
}

export function isStandard (schema: object): schema is Standard {
  return typeof (schema as Partial<Standard>)['~standard']?.validate === 'function'
}

/** Thrown where a schema does what session data do not allow. */
class Refusal extends Error {}

/** Reads a Standard Schema. @throws `FST_SESSION_OPTIONS` if checking an empty object shows that it transforms or is async */
export function standardSchema (schema: Standard): DataSchema {
  const judge = (data: unknown): Judgement => judgeData(data, schema['~standard'])
  const withDefaults = (data: Data): unknown => judge(data).completed ?? data

  for (const data of [{}, attempt(() => toJson(withDefaults({})))]) {
    const { refusal } = judge(data)
    must(refusal === undefined, `schema cannot be used for a session: ${refusal}`)
  }
  return {
    // Defaults that are missing do not fit: the codec fills them in first.
    fits: (data): data is Data => isObject(data) && judge(data).completed === data,
    problem (data) {
      if (!isObject(data)) return 'an object is expected'
      const { problem, refusal } = judge(data)
      return problem ?? refusal ?? 'a default of the schema is missing'
    },
    withDefaults
  }
}

/** The result of checking data. It has one of these properties. */
interface Judgement {
  /** The data with the schema's defaults; the data themselves if none is missing. */
  readonly completed?: unknown
  /** Why the data do not fit. */
  readonly problem?: string
  /** Why the schema cannot be used. */
  readonly refusal?: string
}

function judgeData (data: unknown, standard: Standard['~standard']): Judgement {
  try {
    const result = standard.validate(data)
    if ('then' in result) {
      result.then(undefined, () => {})
      return { refusal: 'the schema is asynchronous, but data are checked synchronously: run async checks where the data are set' }
    }
    if (result.issues !== undefined) return { problem: sentence(result.issues[0], standard.vendor) }
    return { completed: complete(data, result.value, []) }
  } catch (error) {
    return error instanceof Refusal ? { refusal: error.message } : { problem: 'the schema threw an error' }
  }
}

/** Says what is expected. Omits messages that may quote the value: those of Valibot and ArkType, and of Zod custom ones and `received`. */
function sentence (issue: Issue = { message: '' }, vendor: string): string {
  const at = place(Array.from(issue.path ?? [], (segment) => typeof segment === 'object' ? segment.key : segment))
  const expected = expectation(issue)
  if (expected !== undefined) return `${at}: expected ${expected}`
  return `${at}: ${vendor === 'zod' && issue.code !== 'custom' && !('received' in issue) ? issue.message : 'the value is not accepted'}`
}

function expectation ({ expected, code, errors }: Issue): string | undefined {
  // ArkType may combine several issues in one, whose text quotes the value. Use the parts instead.
  if (errors === undefined) return typeof expected === 'string' ? expected : undefined
  const parts = errors.map(expectation)
  return parts.includes(undefined) ? undefined : parts.join(code === 'union' ? ' or ' : ' and ')
}

function place (keys: readonly PropertyKey[]): string {
  return keys.length === 0 ? 'the data' : `/${keys.map(String).join('/')}`
}

/**
 * Returns `input` with the keys that only `output` has, which are defaults; `input` itself if there are none. Keeps keys that
 * `output` lacks: the schema does not know them. @throws `Refusal` naming the place of any other difference
 */
function complete (input: unknown, output: unknown, path: readonly PropertyKey[]): unknown {
  if (input === output) return input
  if (!isContainer(input) || !isContainer(output) || !sameKind(input, output)) {
    throw new Refusal(`the schema transforms ${place(path)}, but session data are stored and read as they are: let the schema check the stored form, and transform where the data are used`)
  }
  let result = input
  for (const key of Object.keys(output)) {
    const given = Object.hasOwn(input, key) ? input[key] : undefined
    if (given === undefined && output[key] === undefined) continue
    const next = given === undefined ? output[key] : complete(given, output[key], [...path, key])
    if (next === given) continue
    if (result === input) result = Array.isArray(input) ? [...input] as unknown as Data : { ...input }
    put(result, key, next)
  }
  return result
}

function isContainer (value: unknown): value is Data {
  return typeof value === 'object' && value !== null
}

function sameKind (input: Data, output: Data): boolean {
  if (Array.isArray(input)) return Array.isArray(output) && input.length === output.length
  return !Array.isArray(output) && isPlain(output)
}
