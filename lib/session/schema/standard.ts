import { attempt } from '../../attempt.js'
import { must } from '../../errors.js'
import { type Data, isObject, isPlain, own, put, toJson } from '../json.js'
import { checked, type DataSchema, type Fault } from './schema.js'

/** A Standard Schema (version 1, standardschema.dev): Zod, Valibot, ArkType and others. */
interface Standard { readonly '~standard': { readonly vendor: string, validate (value: unknown): Result | PromiseLike<Result> } }

interface Result { readonly value?: unknown, readonly issues?: readonly Issue[] | undefined }

/** `expected` is of Zod, Valibot and ArkType, `code` of Zod and ArkType. `errors` are the parts of an issue of ArkType. */
interface Issue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
  readonly expected?: unknown
  readonly code?: unknown
  readonly errors?: readonly Issue[]
}

export function isStandard (schema: object): schema is Standard {
  return typeof (schema as Partial<Standard>)['~standard']?.validate === 'function'
}

/** The result of checking data: the data with the schema's defaults (the data themselves if none is missing), or what is wrong. */
interface Judgement { readonly completed?: unknown, readonly fault?: Fault }

/** Thrown where a schema does what session data do not allow. It is the fault of the schema. */
class Refusal extends Error {}

/** Reads a Standard Schema. @throws `FST_SESSION_OPTIONS` if checking an empty object shows that it transforms or is async */
export function standardSchema ({ '~standard': standard }: Standard): DataSchema {
  const judge = (data: unknown): Judgement => {
    try {
      const result = standard.validate(data)
      if ('then' in result) {
        result.then(undefined, () => {})
        throw new Refusal('the schema is asynchronous, but data are checked synchronously: run async checks where the data are set')
      }
      if (result.issues !== undefined) return { fault: faultOf(result.issues[0], standard.vendor) }
      return { completed: complete(data, result.value, []) }
    } catch (error) {
      return { fault: error instanceof Refusal ? error : { message: 'the schema threw an error' } }
    }
  }
  for (const data of [{}, attempt(() => toJson(judge({}).completed ?? {}))]) {
    const { fault } = judge(data)
    must(!(fault instanceof Refusal), `schema cannot be used for a session: ${fault?.message}`)
  }
  return checked({
    // Defaults that are missing do not fit: the codec fills them in first.
    check: (data) => judge(data).completed === data,
    errors: (data) => [judge(data).fault ?? { message: 'a default of the schema is missing' }],
    fill: (data) => judge(data).completed
  })
}

/** Says what is expected. Omits messages that may quote the value: those of Valibot and ArkType, and of Zod custom ones and `received`. */
function faultOf (issue: Issue = { message: '' }, vendor: string): Fault {
  const path = pointer(Array.from(issue.path ?? [], (segment) => typeof segment === 'object' ? segment.key : segment))
  const expected = expectation(issue)
  if (expected !== undefined) return { path, message: `expected ${expected}` }
  return vendor === 'zod' && issue.code !== 'custom' && !('received' in issue) ? { path, message: issue.message } : { path }
}

function expectation ({ expected, code, errors }: Issue): string | undefined {
  // ArkType may combine several issues in one, whose text quotes the value. Use the parts instead.
  if (errors === undefined) return typeof expected === 'string' ? expected : undefined
  const parts = errors.map(expectation)
  return parts.includes(undefined) ? undefined : parts.join(code === 'union' ? ' or ' : ' and ')
}

function pointer (keys: readonly PropertyKey[]): string { return keys.map((key) => `/${String(key)}`).join('') }

/**
 * Returns `input` with the keys that only `output` has, which are defaults; `input` itself if there are none. Keeps keys that
 * `output` lacks: the schema does not know them. @throws `Refusal` naming the place of any other difference
 */
function complete (input: unknown, output: unknown, path: readonly PropertyKey[]): unknown {
  if (input === output) return input
  const areAlike = Array.isArray(input) ? Array.isArray(output) && input.length === output.length
    : isObject(input) && isObject(output) && isPlain(output)
  if (!areAlike) {
    throw new Refusal(`the schema transforms ${pointer(path) || 'the data'}, but session data are stored and read as they are: let the schema check the stored form, and transform where the data are used`)
  }
  const before = input as Data
  let result = before
  for (const [key, value] of Object.entries(output as Data)) {
    const given = own(before, key)
    const next = given === undefined ? value : complete(given, value, [...path, key])
    if (next === given) continue
    if (result === before) result = Array.isArray(input) ? [...input as unknown[]] as unknown as Data : { ...before }
    put(result, key, next)
  }
  return result
}
