import { Type } from '@sinclair/typebox'
import fc from 'fast-check'
import t from 'tap'
import { cookieValues } from '../../lib/cookie.js'
import { Codec, type Data, merge, toJson } from '../../lib/record.js'
import { isSameOrigin } from '../../lib/security/origin.js'
import { compileRequirement, judge, MET, type Verdict } from '../../lib/security/requirement.js'
import { idOf, isToken, mint } from '../../lib/token.js'
import { holds } from './property.js'

const NAME = '__Host-session'
const hostile = fc.oneof(
  fc.string(), fc.string({ unit: 'binary' }), fc.base64String(),
  fc.constantFrom(NAME, `${NAME}=`, '=', ';', '; ', '"', '\0', '\t', ',', '%', '__proto__', 'A'.repeat(43), 'A'.repeat(5000))
)
const cookieText = fc.array(hostile, { maxLength: 12 }).map((parts) => parts.join(''))

t.test('cookie header: every value of the name, as a parser that splits finds them', async (t) => {
  const trim = (text: string): string => text.replace(/^[ \t]+/, '')
  const reference = (header: string): string[] => header.split(';').map(trim).filter((pair) => pair.startsWith(`${NAME}=`)).map((pair) => pair.slice(NAME.length + 1).trim())
  await holds(t, fc.property(cookieText, (header) => {
    if (JSON.stringify(cookieValues(header, NAME)) !== JSON.stringify(reference(header))) throw new Error(JSON.stringify(cookieValues(header, NAME)))
  }), 3000)
})

t.test('token: exactly the one spelling of 32 bytes', async (t) => {
  await holds(t, fc.property(fc.oneof(hostile, fc.uint8Array({ minLength: 30, maxLength: 34 }).map((bytes) => Buffer.from(bytes).toString('base64url'))), (text) => {
    const bytes = Buffer.from(text, 'base64url')
    return isToken(text) === (bytes.length === 32 && bytes.toString('base64url') === text)
  }), 5000)
  await holds(t, fc.property(fc.nat({ max: 42 }), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
    const { token, id } = mint()
    const changed = token.slice(0, at) + character + token.slice(at + 1)
    return changed === token || !isToken(changed) || idOf(changed) !== id
  }), 2000)
})

const key = fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('__proto__', 'constructor', 'toString', 'data', 'v', 'userId', 'roles', '"data":', ',"data":{'))
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, fc.constant(null), fc.boolean(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n === 0 ? 0 : n), hostile, fc.array(tie('value'), { maxLength: 4 }), record(tie('value')))
})).value
const data = record(json) as fc.Arbitrary<Data>

/** Objects whose keys are plain data, `__proto__` included. */
function record (value: fc.Arbitrary<unknown>): fc.Arbitrary<object> {
  return fc.array(fc.tuple(key, value), { maxLength: 6 }).map((entries) => {
    const made = {}
    for (const [name, item] of entries) Object.defineProperty(made, name, { value: item, enumerable: true, configurable: true, writable: true })
    return made
  })
}

const anything = new Codec({ scheme: 'session', schema: Type.Record(Type.String(), Type.Unknown()), migrate: undefined, principal: undefined, maxSize: 1e6 })
const strict = new Codec({
  scheme: 'session', schema: Type.Object({ userId: Type.Optional(Type.String()), roles: Type.Array(Type.String(), { default: [] }) }, { additionalProperties: false }),
  migrate: undefined, principal: ({ userId }) => userId, maxSize: 1e6
})
const life = { createdAt: 1, authenticatedAt: 2, deadline: 3, persistent: false }

t.test('schema data: whatever is kept comes back equal', async (t) => {
  await holds(t, fc.property(data, (value) => {
    const { text } = anything.prepare(anything.admit(value))
    const decoded = anything.decode(anything.encode(life, text))
    if (decoded.kind !== 'content') throw new Error(decoded.kind)
    return JSON.stringify(decoded.content.data) === JSON.stringify(value) && decoded.content.text === text && ({} as { a?: unknown }).a === undefined
  }), 2000)
})

t.test('schema data: what JSON would change is refused, never kept otherwise', async (t) => {
  await holds(t, fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, withNullPrototype: true, withSparseArray: true }), (value) => {
    let text: string
    try {
      text = toJson({ value })
    } catch (error) {
      return (error as { code?: string }).code === 'FST_SESSION_INVALID_DATA'
    }
    return JSON.stringify(JSON.parse(text)) === text
  }), 3000)
})

t.test('stored record: any text is content, damaged or unfit, and content fits the schema', async (t) => {
  const valid = strict.encode(life, '{"userId":"ada","roles":["admin"]}')
  const payload = fc.oneof(
    hostile,
    json.map((value) => JSON.stringify(value)),
    fc.record({ v: fc.oneof(fc.constant(1), json), scheme: fc.oneof(fc.constant('session'), json), createdAt: json, authenticatedAt: json, deadline: json, persistent: json, data: json }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
    data.map((value) => JSON.stringify({ v: 1, scheme: 'session', ...life, data: value })),
    fc.tuple(fc.nat({ max: valid.length }), fc.nat({ max: 5 }), hostile).map(([at, cut, put]) => valid.slice(0, at) + put + valid.slice(at + cut))
  )
  await holds(t, fc.property(payload, (text) => {
    const decoded = strict.decode(text)
    if (decoded.kind !== 'content') return true
    const { content } = decoded
    const keys = Object.keys(content.data)
    return keys.every((name) => name === 'userId' || name === 'roles') && Array.isArray(content.data['roles']) && [content.life.deadline, content.life.createdAt].every(Number.isFinite) &&
      JSON.stringify(content.data) === JSON.stringify(JSON.parse(content.text)) && content.principal === (content.data['userId'] === '' ? undefined : content.data['userId'])
  }), 5000)
})

t.test('merge: nothing of either side is lost, and no side gains what neither wrote', async (t) => {
  const sorted = (value: object): string => JSON.stringify(Object.entries(value).toSorted(([one], [two]) => one < two ? -1 : 1))
  const same = (a: unknown, b: unknown): boolean => sorted(a as object) === sorted(b as object)
  const copy = (value: Data): Data => JSON.parse(JSON.stringify(value)) as Data
  await holds(t, fc.property(data, data, data, (base, mine, theirs) => {
    const merged = merge(base, mine, theirs)
    for (const name of new Set([...Object.keys(base), ...Object.keys(mine), ...Object.keys(theirs)])) {
      const text = (from: Data): string | undefined => Object.hasOwn(from, name) ? JSON.stringify(from[name]) : undefined
      const wanted = text(mine) === text(base) ? text(theirs) : text(mine)
      if (text(merged) !== wanted) throw new Error(`${name}: ${text(merged)} instead of ${wanted}`)
    }
    return Object.getPrototypeOf(merged) === Object.prototype && same(merge(base, copy(base), theirs), theirs) && same(merge(base, mine, copy(base)), mine)
  }), 3000)
})

const schemes = ['session', 'admin', 'bearer', 'csrf'] as const
const alternatives = fc.array(fc.subarray([...schemes]).map((names) => Object.fromEntries(names.map((name) => [name, []]))), { maxLength: 5 })

t.test('security arrays: OR of ANDs, whatever they say', async (t) => {
  await holds(t, fc.asyncProperty(alternatives, fc.subarray([...schemes]), async (security, held) => {
    const requirement = compileRequirement(security, (name) => name === 'session' || name === 'admin', () => true)
    const verdict = await judge(requirement, ({ scheme }): Verdict => held.includes(scheme as typeof held[number]) ? MET : { kind: 'unauthenticated', why: scheme, scheme })
    const expected = security.length === 0 || security.some((requirement) => Object.keys(requirement).every((name) => held.includes(name as typeof held[number])))
    return (verdict.kind === 'met') === expected
  }), 2000)
})

t.test('security arrays: what is none is refused with a sentence, and never lets anybody in', async (t) => {
  const wild = fc.oneof(json, fc.anything(), fc.array(fc.anything(), { minLength: 1, maxLength: 4 }), fc.array(record(fc.anything()), { minLength: 1 }))
  await holds(t, fc.asyncProperty(wild, async (security) => {
    let requirement: ReturnType<typeof compileRequirement>
    try {
      requirement = compileRequirement(security, (name) => name === 'session', (name) => name === 'bearer')
    } catch (error) {
      return (error as Error).constructor === Error && (error as Error).message.length > 20
    }
    const empty = Array.isArray(security) && (security.length === 0 || security.some((each) => Reflect.ownKeys(each as object).length === 0))
    const verdict = await judge(requirement, ({ scheme }) => ({ kind: 'unauthenticated', why: 'no', scheme }))
    return verdict.kind !== 'met' || empty
  }), 3000)
})

t.test('origin: any headers give an answer, and only a same or trusted origin is let through', async (t) => {
  const header = fc.option(fc.oneof(hostile, fc.constantFrom('https://shop.example', 'http://evil.example', 'null', 'same-origin', 'same-site', 'cross-site', 'none', 'file://', 'shop.example')), { nil: undefined })
  await holds(t, fc.property(header, header, header, fc.constantFrom('GET', 'POST', 'PUT', 'get', 'X'), (origin, site, host, method) => {
    const headers = { ...(origin === undefined ? {} : { origin }), ...(site === undefined ? {} : { 'sec-fetch-site': site }) }
    const allowed = isSameOrigin({ method, host, headers }, new Set(['https://app.example']))
    if (method === 'GET') return allowed
    if (site !== undefined && site !== '') return allowed === (site === 'same-origin' || site === 'none')
    if (origin === undefined || origin === '') return allowed
    return !allowed || (host !== undefined && origin.toLowerCase().includes(new URL(`http://${host}`).hostname.toLowerCase()))
  }), 3000)
})
