import { Type } from '@sinclair/typebox'
import fc from 'fast-check'
import t from 'tap'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyRequest } from 'fastify'
import { cookieValue, DUPLICATE } from '../../lib/request/load.js'
import { authorize } from '../../lib/routing/authorize.js'
import { SessionError } from '../../lib/errors.js'
import { isSameOrigin } from '../../lib/routing/cross-origin.js'
import { compileRequirement } from '../../lib/routing/requirement.js'
import type { Plan } from '../../lib/routing/route.js'
import { Codec } from '../../lib/session/codec.js'
import { hashSecret, mintCredential, parseCredential } from '../../lib/session/credential.js'
import { type Data, toJson } from '../../lib/session/json.js'
import { merge } from '../../lib/session/draft.js'
import { anyObject } from '../../lib/session/schema/schema.js'
import { classicTypeBoxSchema } from '../../lib/session/schema/typebox.js'
import type { Times } from '../../lib/session/times.js'
import { holds } from './property.js'

const NAME = '__Host-session'
const hostile = fc.oneof(
  fc.string(), fc.string({ unit: 'binary' }), fc.base64String(),
  fc.constantFrom(NAME, `${NAME}=`, '=', ';', '; ', '"', '\0', '\t', ',', '%', '__proto__', 'A'.repeat(43), 'A'.repeat(5000))
)
const cookieText = fc.array(hostile, { maxLength: 12 }).map((parts) => parts.join(''))

t.test('cookie header: the value of the name, as a parser that splits finds it, and none where it is empty or there are two', async (t) => {
  const trim = (text: string): string => text.replace(/^[ \t]+/, '')
  const reference = (header: string): string | typeof DUPLICATE | undefined => {
    const values = header.split(';').map(trim).filter((pair) => pair.startsWith(`${NAME}=`)).map((pair) => pair.slice(NAME.length + 1).trim())
    return values.length > 1 ? DUPLICATE : values[0] || undefined
  }
  await holds(t, fc.property(cookieText, (header) => cookieValue(header, NAME) === reference(header)), 3000)
})

t.test('credential: exactly one spelling of 16 bytes and 32 bytes', async (t) => {
  const text = fc.oneof(hostile, fc.tuple(fc.uint8Array({ minLength: 15, maxLength: 17 }), fc.uint8Array({ minLength: 31, maxLength: 33 }))
    .map((parts) => parts.map((bytes) => Buffer.from(bytes).toString('base64url')).join('.')))
  await holds(t, fc.property(text, (text) => {
    const [id = '', secret = '', ...others] = text.split('.')
    const isExact = (part: string, bytes: number): boolean => Buffer.from(part, 'base64url').length === bytes && Buffer.from(part, 'base64url').toString('base64url') === part
    return (parseCredential(text) !== undefined) === (others.length === 0 && isExact(id, 16) && isExact(secret, 32))
  }), 5000)
  await holds(t, fc.property(fc.nat({ max: 65 }), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
    const { id, secret } = mintCredential()
    const value = `${id}.${secret}`
    const changed = value.slice(0, at) + character + value.slice(at + 1)
    const parsed = parseCredential(changed)
    return changed === value || parsed === undefined || parsed.id !== id || parsed.secret !== secret
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

const anything = new Codec({ scheme: 'session', schema: anyObject, migrate: undefined, principal: undefined, maxSize: 1e6 })
const Strict = Type.Object({ userId: Type.Optional(Type.String()), roles: Type.Array(Type.String(), { default: [] }) }, { additionalProperties: false })
const strict = new Codec({ scheme: 'session', schema: await classicTypeBoxSchema(Strict), migrate: undefined, principal: ({ userId }) => userId, maxSize: 1e6 })
const times = { createdAt: 1, authenticatedAt: 2, deadline: 3, persistent: false }
const SECRET = hashSecret('secret')

t.test('schema data: whatever is kept comes back equal', async (t) => {
  await holds(t, fc.property(data, (value) => {
    const decoded = anything.decode(anything.encode({ times, secretHash: SECRET, data: anything.accept(value).data }))
    if ('reason' in decoded) throw new Error(decoded.reason)
    return JSON.stringify(decoded.data) === JSON.stringify(value) && decoded.secretHash === SECRET && ({} as { a?: unknown }).a === undefined
  }), 2000)
})

t.test('stored record: times of any value come back equal, in their own scheme only', async (t) => {
  const codecs = ['session', 'admin', '"'].map((scheme) => new Codec({ scheme, schema: anyObject, migrate: undefined, principal: undefined, maxSize: 1e6 }))
  const instant = fc.integer({ min: 0, max: 3 })
  const times = fc.record({ createdAt: instant, authenticatedAt: instant, deadline: instant, persistent: fc.boolean(), idleTimeout: instant, rank: instant, later: json }, { requiredKeys: ['createdAt', 'authenticatedAt', 'deadline', 'persistent'] })
  await holds(t, fc.property(times, (times) => codecs.every((writer) => {
    const payload = writer.encode({ times: times as Times, secretHash: SECRET, data: {} })
    const read = codecs.map((reader) => reader.decode(payload))
    return read.every((decoded, index) => 'reason' in decoded ? codecs[index] !== writer && decoded.reason === 'unfit' : codecs[index] === writer && isDeepStrictEqual({ ...decoded.times }, JSON.parse(JSON.stringify(times))))
  })), 2000)
})

t.test('schema data: what JSON would change is refused, never kept otherwise', async (t) => {
  await holds(t, fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true, withNullPrototype: true, withSparseArray: true }), (value) => {
    let text: string
    try {
      text = JSON.stringify(toJson({ value }))
    } catch (error) {
      return (error as { code?: string }).code === 'FST_SESSION_INVALID_DATA'
    }
    return JSON.stringify(JSON.parse(text)) === text
  }), 3000)
})

t.test('stored record: any text is content, damaged or unfit, and content fits the schema', async (t) => {
  const valid = strict.encode({ times, secretHash: SECRET, data: { userId: 'ada', roles: ['admin'] } })
  const payload = fc.oneof(
    hostile,
    json.map((value) => JSON.stringify(value)),
    fc.record({ v: fc.oneof(fc.constant(1), json), scheme: fc.oneof(fc.constant('session'), json), hash: json, at: json, authenticatedAt: json, ms: json, persistent: json, data: json }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
    data.map((value) => JSON.stringify({ hash: SECRET, at: 1, ms: 2, data: value })),
    fc.tuple(fc.nat({ max: valid.length }), fc.nat({ max: 5 }), hostile).map(([at, cut, put]) => valid.slice(0, at) + put + valid.slice(at + cut))
  )
  await holds(t, fc.property(payload, (text) => {
    const decoded = strict.decode(text)
    if ('reason' in decoded) return true
    const keys = Object.keys(decoded.data)
    return keys.every((name) => name === 'userId' || name === 'roles') && Array.isArray(decoded.data['roles']) && typeof decoded.secretHash === 'string' &&
      [decoded.times.deadline, decoded.times.createdAt].every(Number.isFinite) && decoded.principal === (decoded.data['userId'] === '' ? undefined : decoded.data['userId'])
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

/** Returns whether a request is let in that satisfies the schemes `held`, of which none is a session here. */
async function isLetIn (security: unknown, held: readonly string[], known: readonly string[]): Promise<boolean> {
  const requirement = compileRequirement(security, (name) => {
    if (!known.includes(name)) throw new SessionError('FST_SESSION_OPTIONS', `no verifier for the scheme "${name}"`)
    return () => name === 'bearer' || name === 'admin' ? Promise.resolve(held.includes(name)) : held.includes(name)
  })
  try {
    await authorize({} as FastifyRequest, { requirement } as Plan, [])
    return true
  } catch (error) {
    if ((error as { code?: string }).code !== 'FST_SESSION_REQUIRED') throw error
    return false
  }
}

t.test('security arrays: OR of ANDs, whatever they say', async (t) => {
  await holds(t, fc.asyncProperty(alternatives, fc.subarray([...schemes]), async (security, held) => {
    const expected = security.length === 0 || security.some((requirement) => Object.keys(requirement).every((name) => held.includes(name as typeof held[number])))
    return await isLetIn(security, held, schemes) === expected
  }), 2000)
})

t.test('security arrays: a list that cannot be compiled is refused with a sentence, and lets no request in', async (t) => {
  const wild = fc.oneof(json, fc.anything(), fc.array(fc.anything(), { minLength: 1, maxLength: 4 }), fc.array(record(fc.anything()), { minLength: 1 }))
  await holds(t, fc.asyncProperty(wild, async (security) => {
    let letIn: boolean
    try {
      letIn = await isLetIn(security, [], ['session', 'bearer'])
    } catch (error) {
      return error instanceof SessionError && error.message.length > 20
    }
    const empty = Array.isArray(security) && (security.length === 0 || security.some((each) => Reflect.ownKeys(each as object).length === 0))
    return !letIn || empty
  }), 3000)
})

t.test('origin: any headers give an answer, and only the same origin is let through', async (t) => {
  const header = fc.option(fc.oneof(hostile, fc.constantFrom('https://shop.example', 'http://evil.example', 'null', 'same-origin', 'same-site', 'cross-site', 'none', 'file://', 'shop.example')), { nil: undefined })
  await holds(t, fc.property(header, header, header, (origin, site, host) => {
    const headers = { ...(origin === undefined ? {} : { origin }), ...(site === undefined ? {} : { 'sec-fetch-site': site }) }
    const allowed = isSameOrigin({ host, protocol: 'http', headers })
    if (site !== undefined && site !== '') return allowed === (site === 'same-origin' || site === 'none')
    if (origin === undefined || origin === '') return allowed
    return !allowed || (host !== undefined && origin.toLowerCase().includes(new URL(`http://${host}`).hostname.toLowerCase()))
  }), 3000)
})
